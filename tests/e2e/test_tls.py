"""TLS as clients of others see it: Python's ssl and `openssl s_client` against the real binary, with certificates that openssl made."""
import http.client
import json
import pathlib
import re
import select
import socket
import ssl
import struct
import subprocess

import pytest
from servers import BINARY, START_TIMEOUT, Server

PATIENCE = 30
MODELS = {"models": {"Note": {"type": "object", "properties": {"text": {"type": "string", "maxLength": 900000}}, "required": ["text"]}},
          "resources": {"notes": {"model": "Note", "access": {"default": "public"}}}}


def openssl(folder, *words, text=None, check=True):
    return subprocess.run(["openssl", *words], input=text, capture_output=True, text=True, timeout=60, check=check, cwd=folder)


class Papers:
    """A certification authority in a folder."""

    def __init__(self, folder):
        self.folder = folder
        openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "root.key", "-out", "root.pem",
                "-subj", "/CN=Root", "-days", "30")
        self.issue("a", "a.test,localhost", "ec")
        self.issue("a-rsa", "a.test,localhost", "rsa:2048")
        self.issue("b", "b.test,*.c.test", "ec")
        self.issue("robot", "robot", "ec", subject="/O=Acme/CN=robot")

    def issue(self, name, hosts, kind, subject=None, days="30"):
        more = ["-pkeyopt", "ec_paramgen_curve:P-256"] if kind == "ec" else []
        openssl(self.folder, "req", "-new", "-newkey", kind, *more, "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject or f"/CN={name}")
        names = ",".join(f"DNS:{host}" for host in hosts.split(","))
        (self.folder / "ext").write_text(f"subjectAltName={names}\n")
        openssl(self.folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-days", days, "-out",
                f"{name}.only.pem", "-extfile", "ext")
        (self.folder / f"{name}.pem").write_text((self.folder / f"{name}.only.pem").read_text() + (self.folder / "root.pem").read_text())

    def respond(self, name, file, status="V"):
        """An OCSP response for the certificate, from the root."""
        serial = openssl(self.folder, "x509", "-in", f"{name}.only.pem", "-noout", "-serial").stdout.strip().split("=")[1]
        revoked = "260101000000Z" if status == "R" else ""
        (self.folder / "index.txt").write_text(f"{status}\t401231000000Z\t{revoked}\t{serial}\tunknown\t/CN={name}\n")
        openssl(self.folder, "ocsp", "-issuer", "root.pem", "-cert", f"{name}.only.pem", "-reqout", "request.der")
        openssl(self.folder, "ocsp", "-index", "index.txt", "-rsigner", "root.pem", "-rkey", "root.key", "-CA", "root.pem", "-reqin", "request.der", "-respout",
                file, "-ndays", "5")


@pytest.fixture(scope="module")
def papers(tmp_path_factory):
    return Papers(tmp_path_factory.mktemp("papers"))


class TlsServer(Server):
    """One that takes its address from the definition."""

    def start(self):
        self.log = open(self.log_path, "ab")
        self.process = subprocess.Popen([BINARY, "serve", str(self.path), "--workers", "1"], stdout=subprocess.PIPE, stderr=self.log, cwd=self.folder)
        ready, _, _ = select.select([self.process.stdout], [], [], START_TIMEOUT)
        line = self.process.stdout.readline().decode() if ready else ""
        found = re.match(r"listening on (https://(\S+):(\d+))\n", line)
        if not found:
            self.kill()
            raise RuntimeError(f"the server did not start: {line!r}\n{self.log_path.read_text()}")
        self.url, self.host, self.port = found.group(1), found.group(2), int(found.group(3))


def entries(papers, *names, **more):
    return [{"certificate": str(papers.folder / f"{n}.pem"), "key": str(papers.folder / f"{n}.key"), **more} for n in names]


def definition(papers, certificates, **more):
    server = {"listen": [{"address": "127.0.0.1:0", "tls": True}], "store": "sqlite:x.db", "tls": {"certificates": certificates, **more.pop("tls", {})},
              "log": {"level": "debug"}, **more}
    return {**MODELS, "server": server}


@pytest.fixture(scope="module")
def server(papers, tmp_path_factory):
    papers.respond("a", "a.ocsp")
    certificates = [{**entries(papers, "a")[0], "ocsp": str(papers.folder / "a.ocsp")}, *entries(papers, "a-rsa", "b")]
    running = TlsServer(tmp_path_factory.mktemp("server"), definition(papers, certificates, timeouts={"head": "2s"}))
    yield running
    assert running.stop() == 0


def context(papers, version=None, alpn=None, ciphers=None):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(papers.folder / "root.pem")
    if version:
        made.minimum_version = made.maximum_version = version
    if alpn:
        made.set_alpn_protocols(alpn)
    if ciphers:
        made.set_ciphers(ciphers)
    return made


def connect(server, using, name="a.test", session=None):
    raw = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
    return using.wrap_socket(raw, server_hostname=name, session=session)


def ask(stream, method="GET", path="/health", body=None, headers=None):
    connection = http.client.HTTPConnection("a.test")
    connection.sock = stream
    connection.request(method, path, body=body, headers={"content-type": "application/json", **(headers or {})})
    answer = connection.getresponse()
    return answer.status, answer.read()


def serves(server, papers):
    with connect(server, context(papers)) as stream:
        return ask(stream)[0] == 200


BOTH = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


@BOTH
def test_both_versions_serve_many_requests_on_a_connection(server, papers, version):
    with connect(server, context(papers, version)) as stream:
        for _ in range(50):
            assert ask(stream)[0] == 200
        assert stream.version() == {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[version]
        assert stream.compression() is None


def test_old_versions_and_weak_ciphers_are_refused(server):
    for words in (("-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0"), ("-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"), ("-tls1_2", "-cipher", "AES256-GCM-SHA384")):
        done = openssl(server.folder, "s_client", "-connect", f"127.0.0.1:{server.port}", *words, text="", check=False)
        assert done.returncode != 0 and "alert" in done.stderr


def test_protocols_are_agreed_on_or_refused(server, papers):
    with connect(server, context(papers, alpn=["http/1.1"])) as stream:
        assert stream.selected_alpn_protocol() == "http/1.1" and ask(stream)[0] == 200
    with connect(server, context(papers)) as stream:
        assert stream.selected_alpn_protocol() is None and ask(stream)[0] == 200
    with connect(server, context(papers, alpn=["http/1.1", "h2"])) as stream:
        assert stream.selected_alpn_protocol() == "h2"
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        connect(server, context(papers, alpn=["spdy/3"]))


@pytest.mark.parametrize(("name", "subject"), [("a.test", "a"), ("b.test", "b"), ("x.c.test", "b"), ("X.C.TEST", "b")])
def test_the_name_picks_the_certificate(server, papers, name, subject):
    with connect(server, context(papers), name) as stream:
        assert dict(pair for part in stream.getpeercert()["subject"] for pair in part)["commonName"] == subject


def test_an_unknown_name_or_none_gets_the_first_certificate(server, papers):
    for name in ("who.test", None):
        using = context(papers)
        using.check_hostname = False
        with connect(server, using, name) as stream:
            assert ("DNS", "a.test") in stream.getpeercert()["subjectAltName"]


@pytest.mark.parametrize(("signatures", "kind"), [("ecdsa_secp256r1_sha256", "id-ecPublicKey"), ("rsa_pss_rsae_sha256", "rsaEncryption")])
def test_the_kind_of_key_is_what_the_client_can_check(server, signatures, kind):
    done = openssl(server.folder, "s_client", "-connect", f"127.0.0.1:{server.port}", "-servername", "a.test", "-sigalgs", signatures, text="", check=False)
    shown = openssl(server.folder, "x509", "-noout", "-text", text=done.stdout).stdout
    assert kind in shown


@BOTH
def test_sessions_are_resumed(server, papers, version):
    using = context(papers, version)
    with connect(server, using) as stream:
        assert ask(stream)[0] == 200 and not stream.session_reused
        session = stream.session
        assert session.has_ticket and session.ticket_lifetime_hint == 7200
        stream.unwrap()
    with connect(server, using, session=session) as stream:
        assert ask(stream)[0] == 200 and stream.session_reused


def test_a_good_response_is_stapled(server, papers):
    words = ("s_client", "-connect", f"127.0.0.1:{server.port}", "-status", "-CAfile", str(papers.folder / "root.pem"), "-servername")
    done = openssl(server.folder, *words, "a.test", "-sigalgs", "ecdsa_secp256r1_sha256", text="", check=False)
    assert "OCSP Response Status: successful" in done.stdout and "Cert Status: good" in done.stdout
    done = openssl(server.folder, *words, "b.test", text="", check=False)
    assert "OCSP response: no response sent" in done.stdout


@BOTH
def test_large_bodies_go_both_ways(server, papers, version):
    text = "abcdefghij" * 60000
    with connect(server, context(papers, version)) as stream:
        status, body = ask(stream, "POST", "/api/v1/notes", json.dumps({"text": text}))
        assert status == 201, body[:300]
        made = json.loads(body)
        assert made["text"] == text
        assert json.loads(ask(stream, path=f"/api/v1/notes/{made['id']}")[1])["text"] == text


def test_plain_http_is_told_to_come_by_tls(server, papers):
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        answer = b"".join(iter(lambda: raw.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 400 ") and b"use https://" in answer
    assert serves(server, papers)


@pytest.mark.parametrize("junk", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x16\x03\x01\x40\x01" + b"\0" * 16385, b"\x00" * 100, bytes(n * 167 % 256 for n in range(2000)),
                                  b"\x16\x03\x03\x00\x04\x0e\x00\x00\x00", b"\x80\x80\x01\x03\x01"])
def test_garbage_ends_its_connection_alone(server, papers, junk):
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as raw:
        raw.sendall(junk)
        raw.shutdown(socket.SHUT_WR)
        try:
            while raw.recv(4096):
                pass
        except ConnectionResetError:
            pass
    assert serves(server, papers)


def test_a_handshake_that_stops_is_ended_in_time_and_one_given_up_is_forgotten(server, papers):
    hello = bytearray()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context(papers).wrap_bio(incoming, outgoing, server_hostname="a.test").do_handshake()
    hello += outgoing.read()
    for cut in (0, 1, 5, 50, len(hello)):
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as raw:
            raw.sendall(hello[:cut])
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as raw:
        raw.sendall(hello[:50])
        assert raw.recv(1) == b""  # timeouts.head
    assert serves(server, papers)


def test_renegotiation_is_refused(server):
    done = openssl(server.folder, "s_client", "-connect", f"127.0.0.1:{server.port}", "-tls1_2", text="R\nQ\n", check=False)
    assert "no renegotiation" in done.stderr.lower() or "NO_RENEGOTIATION" in done.stderr


def test_failed_handshakes_are_logged_with_their_reason(server, papers):
    with pytest.raises(ssl.SSLError):
        connect(server, context(papers, alpn=["spdy/3"]))
    record = server.wait_event(lambda r: r["event"] == "tls_handshake_failed" and "protocol" in r["reason"])
    assert record["level"] == "info" and record["peer"].startswith("127.0.0.1:")


def test_clients_are_known_by_their_certificates(papers, tmp_path):
    settings = {"client": {"ca": str(papers.folder / "root.pem"), "required": True}}
    server = TlsServer(tmp_path, definition(papers, entries(papers, "a"), tls=settings))
    try:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                with connect(server, context(papers, version)) as stream:
                    stream.sendall(b"GET /health HTTP/1.1\r\nHost: a.test\r\n\r\n")
                    assert stream.recv(1) == b""
                    raise ConnectionError
            using = context(papers, version)
            using.load_cert_chain(papers.folder / "robot.pem", papers.folder / "robot.key")
            with connect(server, using) as stream:
                assert ask(stream)[0] == 200
    finally:
        assert server.stop() == 0


def refusal(folder, document):
    path = pathlib.Path(folder) / "d.json"
    path.write_text(json.dumps(document, indent=1))
    done = subprocess.run([BINARY, "check", str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3, done.stderr
    return done.stderr


def test_mistakes_are_located_in_the_definition(papers, tmp_path):
    crossed = [{"certificate": str(papers.folder / "a.pem"), "key": str(papers.folder / "b.key")}]
    told = refusal(tmp_path, definition(papers, crossed))
    assert re.search(r"d\.json:\d+:\d+: /server/tls/certificates/0/key: the key in \S+b\.key is not that of the certificate in \S+a\.pem", told), told
    told = refusal(tmp_path, definition(papers, entries(papers, "a", "nope")))
    assert "/server/tls/certificates/1/certificate: cannot read" in told and "/server/tls/certificates/1/key: cannot read" in told
    told = refusal(tmp_path, definition(papers, [{**entries(papers, "b")[0], "ocsp": str(papers.folder / "a.ocsp")}]))
    assert "/server/tls/certificates/0/ocsp: " in told and "is for another certificate" in told
