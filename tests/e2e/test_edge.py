"""The edge: where the server listens, who may connect, and who a client is behind proxies. The real binary, with raw sockets and curl."""
import json
import os
import re
import select
import socket
import ssl
import stat
import struct
import subprocess

import pytest

from servers import BINARY, START_TIMEOUT, Server

ITEM = {"type": "object", "required": ["title"], "properties": {"title": {"type": "string"}}}
OPEN = {"read": "public", "write": "public"}
LINE = b"PROXY TCP4 192.0.2.9 198.51.100.1 56324 443\r\n"
WAIT = 30


class EdgeServer(Server):
    """A server at the addresses of its definition; `urls` has what it says of each."""

    def start(self):
        self.log = open(self.log_path, "ab")
        addresses = json.loads(self.path.read_text())["server"]["listen"]
        self.process = subprocess.Popen([BINARY, "serve", str(self.path), *self.options], stdout=subprocess.PIPE, stderr=self.log,
                                        cwd=self.folder, env=self.env)
        self.urls = []
        for _ in addresses:
            ready, _, _ = select.select([self.process.stdout], [], [], START_TIMEOUT)
            line = os.read(self.process.stdout.fileno(), 1) if ready else b""
            while line and not line.endswith(b"\n"):
                line += os.read(self.process.stdout.fileno(), 1)
            if not line.startswith(b"listening on "):
                self.kill()
                raise RuntimeError(f"it did not start: {line!r}\n{self.log_path.read_text()}")
            self.urls.append(line[len("listening on "):].decode().strip())

    def where(self, index=0):
        host, port = re.match(r"https?://\[?([^]/]+?)\]?:(\d+)$", self.urls[index]).groups()
        return host, int(port)

    def connect(self, index=0):
        sock = socket.create_connection(self.where(index))
        sock.settimeout(WAIT)
        return sock


@pytest.fixture
def edge(tmp_path):
    servers = []

    def start(*listen, files=None, options=(), **server):
        folder = tmp_path / f"edge-{len(servers)}"
        folder.mkdir()
        for name, content in (files or {}).items():
            (folder / name).write_bytes(content)
        settings = {"listen": list(listen), "store": "sqlite::memory:", "workers": 2, **server}
        definition = {"models": {"Item": ITEM}, "identity": {}, "resources": {"items": {"model": "Item", "access": OPEN},
                                                              "notes": {"model": "Item", "owner": True}}, "server": settings}
        servers.append(EdgeServer(folder, definition, *options))
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            assert server.stop() == 0, server.log_path.read_text()[-4000:]
        log = server.log_path.read_text()
        assert "Sanitizer" not in log and "runtime error" not in log, log[-6000:]


def read_all(sock):
    received = b""
    try:
        while data := sock.recv(65536):
            received += data
    except ConnectionResetError:
        pass
    return received


def ask(sock, path="/api/v1/items", head=b"", before=b""):
    """One request on the connection, which ends with it; the whole answer."""
    sock.sendall(before + b"GET " + path.encode() + b" HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\n" + head + b"\r\n")
    with sock:
        return read_all(sock)


def status(answer):
    return int(answer.split(b" ", 2)[1]) if answer else 0


def peers(server):
    """What the log says of who asked, once the server has stopped and written all of it."""
    assert server.stop() == 0
    return [event["peer"] for event in server.events("request")]


def curl(*words):
    done = subprocess.run(["curl", "-sS", "--max-time", str(WAIT), *map(str, words)], capture_output=True, timeout=2 * WAIT)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


# --- where it listens --------------------------------------------------------------------------------------------------------


def test_one_server_listens_on_ipv4_ipv6_and_a_unix_socket(edge):
    server = edge("127.0.0.1:0", "[::1]:0", {"address": "unix:api.sock", "mode": "0600"})
    path = server.folder / "api.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert status(ask(server.connect(0))) == 200
    assert status(ask(server.connect(1))) == 200
    for _ in range(4):  # whichever worker takes it
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(WAIT)
        sock.connect(str(path))
        assert status(ask(sock)) == 200
    seen = peers(server)
    assert seen[0].startswith("127.0.0.1:") and seen[1].startswith("[::1]:") or sorted(seen)[-1] == "unix"
    assert seen.count("unix") == 4
    assert not path.exists()


def test_a_unix_socket_left_behind_by_a_kill_is_taken_over(edge):
    server = edge("unix:api.sock")
    server.kill()
    assert (server.folder / "api.sock").exists()
    server.start()
    assert curl("--unix-socket", server.folder / "api.sock", "http://a/livez") == '{"status":"ok"}'


# --- the PROXY protocol ------------------------------------------------------------------------------------------------------


def test_a_proxy_header_says_who_the_client_is(edge):
    server = edge({"address": "127.0.0.1:0", "proxy_protocol": True}, "127.0.0.1:0", log={"requests": True})
    two = b"\r\n\r\n\0\r\nQUIT\n" + struct.pack("!BBH16s16sHH", 0x21, 0x21, 36, socket.inet_pton(socket.AF_INET6, "2001:db8::9"),
                                               socket.inet_pton(socket.AF_INET6, "2001:db8::1"), 5000, 443)
    assert status(ask(server.connect(), before=LINE)) == 200
    assert status(ask(server.connect(), before=two)) == 200
    assert ask(server.connect()) == b""  # without one: closed
    assert ask(server.connect(), before=b"PROXY TCP4 nonsense\r\n") == b""
    assert status(ask(server.connect(1), before=LINE)) == 501  # where none is expected, PROXY is a method that nobody knows
    assert {"192.0.2.9:56324", "[2001:db8::9]:5000"} <= set(peers(server))


def test_curls_haproxy_header_is_taken(edge):
    server = edge({"address": "127.0.0.1:0", "proxy_protocol": True})
    assert curl("--haproxy-protocol", server.urls[0] + "/livez") == '{"status":"ok"}'


def test_only_trusted_proxies_may_speak_the_proxy_protocol(edge):
    server = edge({"address": "127.0.0.1:0", "proxy_protocol": True}, trusted_proxies=["10.0.0.0/8"])
    assert ask(server.connect(), before=LINE) == b""


# --- proxies that forward ----------------------------------------------------------------------------------------------------


def test_trusted_proxies_say_who_the_client_is(edge):
    server = edge("127.0.0.1:0", trusted_proxies=["127.0.0.1"], deny=["192.0.2.66"], log={"requests": True})
    assert status(ask(server.connect(), head=b"X-Forwarded-For: 203.0.113.1, 198.51.100.7\r\n")) == 200
    assert status(ask(server.connect(), head=b"Forwarded: for=203.0.113.2\r\n")) == 200  # not the field that is chosen
    assert status(ask(server.connect(), head=b"X-Forwarded-For: 192.0.2.66\r\n")) == 403
    seen = peers(server)
    assert seen.count("198.51.100.7") == 1 and seen.count("192.0.2.66") == 1
    assert sum(peer.startswith("127.0.0.1:") for peer in seen) == 1


def test_nobody_else_does(edge):
    server = edge("127.0.0.1:0", trusted_proxies=["10.0.0.0/8"], forwarded="forwarded")
    assert status(ask(server.connect(), head=b"Forwarded: for=203.0.113.1\r\n")) == 200
    assert all(peer.startswith("127.0.0.1:") for peer in peers(server))


# --- who may connect ---------------------------------------------------------------------------------------------------------


def test_lists_and_caps_are_kept(edge):
    denied = edge("127.0.0.1:0", deny=["127.0.0.0/8"])
    assert ask(denied.connect()) == b""
    others = edge("127.0.0.1:0", "unix:api.sock", allow=["10.0.0.0/8", "unix"])
    assert ask(others.connect()) == b""
    assert curl("--unix-socket", others.folder / "api.sock", "http://a/livez") == '{"status":"ok"}'
    for server in (denied, others):
        assert server.stop() == 0
        assert server.events("connections_refused")[0]["denied"] == 1


def test_one_address_has_its_cap_over_all_workers(edge):
    server = edge("127.0.0.1:0", limits={"connections_each": 3})
    held = [server.connect() for _ in range(3)]
    for sock in held:  # each has been taken once it is answered
        sock.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        assert sock.recv(4096).startswith(b"HTTP/1.1 200")
    assert ask(server.connect()) == b""
    held.pop().close()
    for _ in range(100):  # until the server has seen it go
        if answer := ask(server.connect()):
            break
    assert status(answer) == 200
    for sock in held:
        sock.close()


def test_a_reload_changes_who_may_connect(edge):
    server = edge("127.0.0.1:0")
    assert status(ask(server.connect())) == 200
    definition = json.loads(server.path.read_text())
    definition["server"]["deny"] = ["127.0.0.1"]
    server.path.write_text(json.dumps(definition))
    server.process.send_signal(1)  # SIGHUP
    server.wait_event(lambda event: event.get("event") == "reloaded")
    assert ask(server.connect()) == b""


# --- TLS ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def papers(tmp_path_factory):
    """A server's certificate, an authority of clients, and a client's certificate."""
    folder = tmp_path_factory.mktemp("papers")
    openssl = lambda *words: subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=60)
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30")
    openssl("req", "-x509", *key, "-keyout", "key.pem", "-out", "certificate.pem", "-subj", "/CN=api.example", "-addext",
            "subjectAltName=DNS:api.example,IP:127.0.0.1")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=clients")
    openssl("req", *key[:-2], "-keyout", "robot.key", "-out", "robot.csr", "-subj", "/O=x/CN=robot")
    openssl("x509", "-req", "-in", "robot.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30", "-out", "robot.pem")
    return folder


def tls(papers, **more):
    files = {name: (papers / name).read_bytes() for name in ("certificate.pem", "key.pem", "ca.pem")}
    return {"files": files, "tls": {"certificates": [{"certificate": "certificate.pem", "key": "key.pem"}], **more}}


def secure(server, papers, index=0, before=b"", client=None):
    context = ssl.create_default_context(cafile=str(papers / "certificate.pem"))
    if client:
        context.load_cert_chain(papers / f"{client}.pem", papers / f"{client}.key")
    sock = server.connect(index)
    sock.sendall(before)
    return context.wrap_socket(sock, server_hostname="api.example")


def test_plain_addresses_send_their_clients_to_tls(edge, papers):
    server = edge({"address": "127.0.0.1:0", "redirect": "https:8443"}, {"address": "127.0.0.1:0", "tls": True}, **tls(papers))
    answer = ask(server.connect(), path="/api/v1/items?page=2")
    assert status(answer) == 308
    assert b"\r\nlocation: https://api.example:8443/api/v1/items?page=2\r\n" in answer.replace(b"Location", b"location")
    assert b"strict-transport-security" not in answer.lower()
    assert status(ask(server.connect(), path="/livez")) == 200
    assert status(ask(server.connect(), path="/nowhere")) == 308
    answer = ask(secure(server, papers, 1))
    assert status(answer) == 200 and b"strict-transport-security: max-age=31536000\r\n" in answer.lower()


def test_a_proxy_header_goes_before_tls(edge, papers):
    server = edge({"address": "127.0.0.1:0", "tls": True, "proxy_protocol": True}, **tls(papers))
    assert status(ask(secure(server, papers, before=LINE))) == 200
    assert peers(server) == ["192.0.2.9:56324"]


def test_a_clients_certificate_is_a_principal_that_owns_rows(edge, papers):
    roles = {"ca": "ca.pem", "roles": {"CN=robot,O=x": ["admin"]}}
    server = edge({"address": "127.0.0.1:0", "tls": True}, **tls(papers, client=roles))
    assert status(ask(secure(server, papers), "/api/v1/notes")) == 401
    body = b'{"title":"mine"}'
    with secure(server, papers, client="robot") as sock:
        sock.sendall(b"POST /api/v1/notes HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
                     b"Connection: close\r\n\r\n%s" % (len(body), body))
        answer = read_all(sock)
    assert status(answer) == 201, answer
    assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["owner_id"] < 0
    answer = ask(secure(server, papers, client="robot"), "/api/v1/notes")
    assert status(answer) == 200 and b"mine" in answer
    assert status(ask(secure(server, papers, client="robot"), "/auth/me")) == 401  # it has no account


def test_clients_without_a_certificate_are_refused_where_one_is_required(edge, papers):
    server = edge({"address": "127.0.0.1:0", "tls": True}, **tls(papers, client={"ca": "ca.pem", "required": True}))
    assert status(ask(secure(server, papers, client="robot"))) == 200
    with pytest.raises((ssl.SSLError, ConnectionError)):
        sock = secure(server, papers)
        sock.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        if not sock.recv(100):
            raise ConnectionError
