"""Every setting of the section `server`, changed in a reload: either the running server does it from then on, or the reload is refused with
the setting's name. A setting that the schema gets is missed here until it has its row."""
import gzip
import json
import select
import shutil
import socket
import ssl
import subprocess
import time

import pytest
import requests

from servers import ROOT, Server, login, register
from test_edge import papers  # noqa: F401 (a fixture)
from test_reload import command

CERTIFICATE = {"certificate": "certificate.pem", "key": "key.pem"}
BASE = {
    "listen": ["127.0.0.1:0", {"address": "127.0.0.1:0", "tls": True}], "workers": 1, "store": "sqlite:t.db", "log": {"requests": False},
    "tls": {"certificates": [CERTIFICATE], "client": {"ca": "ca.pem"}}, "secret": "the root secret of these tests: 32 bytes and more",
    "cors": {"origins": ["https://a.example"]},
}
DEFINITION = {
    "server": BASE, "identity": {},
    "models": {"Item": {"type": "object", "properties": {"name": {"type": "string"}}},
               "Own": {"type": "object", "properties": {"name": {"type": "string"}}}},
    "resources": {"items": {"model": "Item", "access": "public", "changes": True},
                  "owns": {"model": "Own", "access": {"read": {"roles": ["admin"]}}, "changes": True}},
}

# What shows too slowly or not at all from outside; the room's own tests do.
UNSEEN = {
    "/limits/pipelined": "only how much is read before it is answered (src/net/limits_test.c)",
    "/limits/body_rate": "a rate over a time (src/net/limits_test.c)",
    "/timeouts/write_stall": "needs a full socket for a time (src/net/limits_test.c)",
    "/overload/turn": "needs a loop that stands still (src/server/overload_test.c)",
    "/overload/wait": "needs a store that stands still (src/store/session_test.c)",
    "/drain": "how long what is old may go on (tests/e2e/test_reload.py)",
    "/limits/spool": "likewise of the definition that the request began with (src/server/body_test.c)",
    "/spool_folder": "where files without a name lie while a body comes: of the definition that the request began with (src/server/body.c)",
}


def merge(one, other):
    made = dict(one)
    for name, value in other.items():
        made[name] = merge(made[name], value) if isinstance(value, dict) and isinstance(made.get(name), dict) else value
    return made


@pytest.fixture(scope="module")
def server(tmp_path_factory, papers):  # noqa: F811
    folder = tmp_path_factory.mktemp("settings")
    for each in papers.iterdir():
        shutil.copy(each, folder)
    path = folder / "own.json"
    path.write_text(json.dumps(DEFINITION))
    made = Server(folder, path, program=("serve", str(path)))
    made.wait_event(lambda record: record["event"] == "listening" and record["url"].startswith("https:"))
    made.ports = [int(record["url"].rsplit(":", 1)[1]) for record in made.events("listening")]
    for name in ("first", "second"):
        assert requests.post(made.url + "/api/v1/items", json={"name": name}, timeout=20).status_code == 201
    long = " ".join(str(n * n * 7919 % 10007) for n in range(60_000))
    assert requests.post(made.url + "/api/v1/items", json={"name": long}, timeout=20).status_code == 201
    register(made, "ann")
    yield made
    assert made.stop() == 0


def reload(server, section):
    server.path.write_text(json.dumps({**DEFINITION, "server": section}))
    return command("reload", server.path)


# --- looking ----------------------------------------------------------------------------------------------------------------


def get(server, path="/livez", **more):
    """Its status and its fields; on a connection of its own."""
    return requests.get(server.url + path, timeout=20, **more)


def raw(server, words, enough=lambda got: False, wait=20.0):
    """What comes, and whether it ended because the server closed: not when it was enough, nor when nothing more came for so long."""
    with socket.create_connection(("127.0.0.1", server.ports[0]), timeout=20) as client:
        client.settimeout(wait)
        got = b""
        try:
            client.sendall(words)
            while not enough(got):
                piece = client.recv(65536)
                if not piece:
                    return got, True
                got += piece
        except TimeoutError:
            pass
        except ConnectionError:
            return got, True
        return got, False


def info(name):
    return lambda server: get(server, "/openapi.json").json()["info"].get(name)


def field(name, **more):
    return lambda server: get(server, **more).headers.get(name)


def secure(server, client=False, most=None, ask=True, alpn=()):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if client:
        context.load_cert_chain(server.folder / "robot.pem", server.folder / "robot.key")
    if most:
        context.maximum_version = most
    if alpn:
        context.set_alpn_protocols(list(alpn))
    try:
        with socket.create_connection(("127.0.0.1", server.ports[1]), timeout=20) as plain, context.wrap_socket(plain) as sock:
            seen = {"cipher": sock.cipher()[0], "alpn": sock.selected_alpn_protocol(), "certificate": sock.getpeercert(True)}
            if ask:
                sock.sendall(b"GET /api/v1/owns HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                while piece := sock.recv(65536):
                    seen["answer"] = seen.get("answer", b"") + piece
            return seen
    except (ssl.SSLError, ConnectionError):
        return {}


def hsts(server):
    answer = secure(server).get("answer", b"").lower()
    return answer.split(b"strict-transport-security: ")[1].split(b"\r\n")[0] if b"strict-transport" in answer else None


def robot_status(server):
    return secure(server, client=True).get("answer", b"")[9:12]


def asked_for(server):
    """The authorities that a client's certificate may be of."""
    words = ["openssl", "s_client", "-connect", f"127.0.0.1:{server.ports[1]}"]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    return b"CN = clients" in done.stdout or b"CN=clients" in done.stdout


def preflight(name):
    headers = {"Origin": "https://a.example", "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-more"}
    return lambda server: requests.options(server.url + "/api/v1/items", headers=headers, timeout=20).headers.get(name)


def post(server, body, **headers):
    headers = {"Content-Type": "application/json", **headers}
    return requests.post(server.url + "/api/v1/items", data=body, headers=headers, timeout=20).status_code


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0)


def frames(got):
    """Those that are whole: (kind, stream, payload)."""
    while len(got) >= 9 and len(got) >= 9 + (size := int.from_bytes(got[:3], "big")):
        yield got[3], int.from_bytes(got[5:9], "big"), got[9:9 + size]
        got = got[9 + size:]


def settings_of_http2(server):
    got, _ = raw(server, PREFACE, lambda got: any(frames(got)))
    _, _, payload = next(frames(got))
    pairs = [payload[at:at + 6] for at in range(0, len(payload), 6)]
    return {int.from_bytes(pair[:2], "big"): int.from_bytes(pair[2:], "big") for pair in pairs}.get(3)


def pings_end_it(server):
    pings = PREFACE + frame(6, 0, 0, b"12345678") * 100
    return raw(server, pings, lambda got: sum(kind == 6 for kind, _, _ in frames(got)) == 100)[1]


def resets_end_it(server):
    head = b"\x82\x86\x84\x41\x01a"
    given_up = (frame(1, 5, n, head) + frame(3, 0, n, b"\0\0\0\x08") for n in range(1, 101, 2))
    words = PREFACE + b"".join(given_up) + frame(1, 5, 101, head)
    return raw(server, words, lambda got: any((kind, stream) == (1, 101) for kind, stream, _ in frames(got)))[1]


def two_streams(headers):
    def look(server):
        held = [get(server, "/api/v1/items/changes", stream=True, headers={"Accept": "text/event-stream", **headers(server)})
                for _ in range(2)]
        statuses = [each.status_code for each in held]
        for each in held:
            each.close()
        return statuses
    return look


def nobody(server):
    return {}


def ann(server):
    return {"Authorization": "Bearer " + server.token}


def second_connection(first):
    def look(server):
        with socket.create_connection(("127.0.0.1", server.ports[0]), timeout=20) as held:
            held.sendall(first)
            held.recv(65536)
            return raw(server, b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")[0][9:12]
    return look


def cursor(server):
    if not hasattr(server, "cursor"):
        server.cursor = get(server, "/api/v1/items?sort=id&page_size=1&cursor=").json()["next"]
    return get(server, server.cursor).status_code


def has_records(server):
    before = len(server.events())
    get(server)
    raw(server, b"GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    if not server.section.get("log", {}).get("requests", True):
        return False
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if len(server.events()) > before:
            return True
        select.select([], [], [], 0.01)
    return False


def reload_tells(server):
    """Whether the log says what the level `info` says."""
    before = len(server.events("reloaded"))
    assert command("reload", server.path).returncode == 0
    return len(server.events("reloaded")) > before


def item_path(server):
    return get(server, "/api/v1/items?page_size=1").status_code, get(server, "/other/items?page_size=1").status_code


def coded(accept, path="/api/v1/items?page_size=3"):
    def look(server):
        answer = get(server, path, headers={"Accept-Encoding": accept}, stream=True)
        return answer.headers.get("content-encoding"), len(answer.raw.read(decode_content=False))
    return look


def names(server):
    return (server.folder / "more.sock").exists()


def closes(words):
    """Where the timeout is short, it is waited for; that it is not, for a second."""
    return lambda server: raw(server, words, wait=20 if "timeouts" in server.section else 1)[1]


GET = b"GET /livez HTTP/1.1\r\nHost: a\r\n"
FORWARDED = {"X-Forwarded-Proto": "https", "Forwarded": "proto=http"}
HALF = b"POST /api/v1/items HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n{"
WAITING = HALF[:-5].replace(b"Content-Type", b"Expect: 100-continue\r\nContent-Type") + b"\r\n\r\n"
ORIGIN = {"headers": {"Origin": "https://a.example"}}
PROXIES = {"trusted_proxies": ["127.0.0.0/8"]}

# pointer: what changes, how it is seen, and what it starts from
ROWS = {
    "/title": ({"title": "other"}, info("title")),
    "/version": ({"version": "7.7.7"}, info("version")),
    "/description": ({"description": "other"}, info("description")),
    "/listen": ({"listen": [*BASE["listen"], "unix:more.sock"]}, names),
    "/tls/certificates": ({"tls": {"certificates": [{"certificate": "other.pem", "key": "other.key"}]}},
                          lambda server: secure(server, ask=False).get("certificate")),
    "/tls/min_version": ({"tls": {"min_version": "1.3"}}, lambda server: secure(server, most=ssl.TLSVersion.TLSv1_2, ask=False) == {}),
    "/tls/ciphers": ({"tls": {"ciphers": "ECDHE-ECDSA-CHACHA20-POLY1305"}},
                     lambda server: secure(server, most=ssl.TLSVersion.TLSv1_2, ask=False).get("cipher")),
    "/tls/http2": ({"tls": {"http2": False}}, lambda server: secure(server, alpn=("h2", "http/1.1"), ask=False).get("alpn")),
    "/tls/client/ca": ({"tls": {"client": {"ca": ""}}}, asked_for),
    "/tls/client/required": ({"tls": {"client": {"required": True}}}, lambda server: "answer" in secure(server)),
    "/tls/client/roles": ({"tls": {"client": {"roles": {"CN=robot,O=x": ["admin"]}}}}, robot_status),
    "/hsts/max_age": ({"hsts": {"max_age": "1h"}}, hsts),
    "/hsts/include_subdomains": ({"hsts": {"include_subdomains": True}}, hsts),
    "/hsts/preload": ({"hsts": {"preload": True}}, hsts, {"hsts": {"include_subdomains": True, "max_age": "365d"}}),
    "/trusted_proxies": (PROXIES, field("strict-transport-security", headers={"X-Forwarded-Proto": "https"})),
    "/forwarded": ({"forwarded": "forwarded"}, field("strict-transport-security", headers=FORWARDED), PROXIES),
    "/allow": ({"allow": ["192.0.2.0/24"]}, lambda server: raw(server, GET + b"Connection: close\r\n\r\n")[0] == b""),
    "/deny": ({"deny": ["127.0.0.0/8"]}, lambda server: raw(server, GET + b"Connection: close\r\n\r\n")[0] == b""),
    "/user": ({"user": "nobody"}, None),
    "/group": ({"user": "nobody", "group": "nogroup"}, None),
    "/store": ({"store": "sqlite:other.db"}, None),
    "/workers": ({"workers": 2}, None),
    "/mode": ({"mode": "development"}, lambda server: "version" in get(server, "/health").json()),
    "/base_path": ({"base_path": "/other"}, item_path),
    "/secret": ({"secret": "another root secret of these tests, 32 bytes and more"}, cursor),
    "/cors/origins": ({"cors": {"origins": ["https://b.example"]}}, field("access-control-allow-origin", **ORIGIN)),
    "/cors/methods": ({"cors": {"methods": ["GET", "PUT"]}}, preflight("access-control-allow-methods")),
    "/cors/headers": ({"cors": {"headers": ["x-more"]}}, preflight("access-control-allow-headers")),
    "/cors/expose": ({"cors": {"expose": ["x-more"]}}, field("access-control-expose-headers", **ORIGIN)),
    "/cors/credentials": ({"cors": {"credentials": True}}, field("access-control-allow-credentials", **ORIGIN)),
    "/cors/max_age": ({"cors": {"max_age": "2h"}}, preflight("access-control-max-age")),
    "/security_headers": ({"security_headers": False}, field("x-content-type-options")),
    "/limits/head": ({"limits": {"head": "2KiB"}}, lambda server: get(server, headers={"X-Long": "x" * 3000}).status_code),
    "/limits/fields": ({"limits": {"fields": 8}}, lambda server: get(server, headers={f"X-{n}": "x" for n in range(20)}).status_code),
    "/limits/target": ({"limits": {"target": "256B"}}, lambda server: get(server, "/livez?" + "x" * 500).status_code),
    "/limits/body": ({"limits": {"body": "1KiB"}}, lambda server: post(server, json.dumps({"name": "x" * 2000}))),
    "/limits/inflate_ratio": ({"limits": {"inflate_ratio": 2}},
                              lambda server: post(server, gzip.compress(json.dumps({"name": "ab" * 40000}).encode()),
                                                  **{"Content-Encoding": "gzip"}),
                              {"limits": {"inflate_ratio": 100000}}),
    "/limits/memory": ({"limits": {"memory": "64KiB"}}, lambda server: get(server, "/api/v1/items/3").status_code),
    "/limits/change_streams": ({"limits": {"change_streams": 1}}, two_streams(nobody)),
    "/limits/change_streams_each": ({"limits": {"change_streams_each": 1}}, two_streams(ann)),
    "/limits/connections": ({"limits": {"connections": 1}}, second_connection(WAITING)),
    "/limits/connections_each": ({"limits": {"connections_each": 1}}, second_connection(GET + b"\r\n")),
    "/limits/requests_a_connection": ({"limits": {"requests_a_connection": 1}}, field("connection")),
    "/limits/streams": ({"limits": {"streams": 7}}, settings_of_http2),
    "/limits/resets": ({"limits": {"resets": 5}}, resets_end_it),
    "/limits/controls": ({"limits": {"controls": 10}}, pings_end_it),
    "/compression/enabled": ({"compression": {"enabled": False}}, coded("gzip")),
    "/compression/codings": ({"compression": {"codings": ["gzip"]}}, coded("br, gzip;q=0.5")),
    "/compression/floor": ({"compression": {"floor": "1MiB"}}, coded("gzip")),
    "/compression/level": ({"compression": {"level": 9}}, coded("gzip"), {"compression": {"level": 1}}),
    "/timeouts/head": ({"timeouts": {"head": "200ms"}}, closes(GET)),
    "/timeouts/idle": ({"timeouts": {"idle": "200ms"}}, closes(GET + b"\r\n")),
    "/timeouts/body_stall": ({"timeouts": {"body_stall": "200ms"}}, closes(HALF)),
    "/timeouts/request": ({"timeouts": {"request": "7s"}}, None),
    "/timeouts/statement": ({"timeouts": {"statement": "7s"}}, None),
    "/log/level": ({"log": {"level": "off"}}, reload_tells),
    "/log/requests": ({"log": {"requests": True}}, has_records),
    "/request_id": ({"request_id": False}, field("x-request-id", params={"a": 1})),
    "/docs": ({"docs": False}, lambda server: get(server, "/docs").status_code),
}


def leaves(schema, at=""):
    for name, part in schema.get("properties", {}).items():
        if part.get("properties"):
            yield from leaves(part, f"{at}/{name}")
        else:
            yield f"{at}/{name}"


def test_every_setting_has_its_row():
    schema = json.loads((ROOT / "src/server/server.schema.json").read_text())
    assert sorted(leaves(schema)) == sorted([*ROWS, *UNSEEN])


@pytest.mark.parametrize("pointer", ROWS)
def test_a_changed_setting_takes_effect_or_is_refused(server, pointer):
    change, look, *before = ROWS[pointer]
    if pointer == "/tls/certificates":
        shutil.copy(server.folder / "robot.pem", server.folder / "other.pem")
        shutil.copy(server.folder / "robot.key", server.folder / "other.key")
    server.section = merge(BASE, before[0] if before else {})
    done = reload(server, server.section)
    assert done.returncode == 0, done.stderr
    server.token = login(server, "ann")["access_token"]
    was = look(server) if look else None
    changed = merge(server.section, change)
    done = reload(server, changed)
    try:
        if not look:
            assert done.returncode == 3 and f"/server{pointer}" in done.stderr and "a running server can't change" in done.stderr
            return
        assert done.returncode == 0, done.stderr
        server.section = changed
        assert look(server) != was
    finally:
        assert reload(server, BASE).returncode == 0
