"""TLS misused: greetings made by hand, cut to pieces or swollen, junk among the records, ends without a word, protocols that were not agreed
on. Each costs its connection alone. Handshakes of clients that behave are in test_tls.py."""
import re
import socket
import ssl
import struct
import subprocess

import pytest

from hostile import LIVEZ, WAIT, Raw, Target, document, frame, serves, tls_context

HANDSHAKE, ALERT, CHANGE_CIPHER, DATA, HEARTBEAT = 22, 21, 20, 23, 24
UNEXPECTED, OVERFLOW, FAILURE, ILLEGAL, DECODE, VERSION, FALLBACK, UNRECOGNIZED, NO_PROTOCOL = 10, 22, 40, 47, 50, 70, 86, 112, 120


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = Target(tmp_path_factory.mktemp("server"), timeouts={"head": "1s"})
    yield running
    running.finish()


@pytest.fixture(autouse=True)
def others_go_on(server):
    """A connection from before is answered afterwards, and so is a new one."""
    with Raw(server, tls=True) as raw:
        assert raw.send(LIVEZ) and raw.answer().status == 200
        yield
        assert raw.send(LIVEZ) and raw.answer().status == 200
    with Raw(server, tls=True) as raw:
        assert raw.send(LIVEZ) and raw.answer().status == 200


def record(kind, payload, version=0x0301, length=None):
    return struct.pack(">BHH", kind, version, len(payload) if length is None else length) + payload


def extension(kind, payload):
    return struct.pack(">HH", kind, len(payload)) + payload


def sized(width, payload):
    return len(payload).to_bytes(width, "big") + payload


def server_name(name, kind=0):
    return extension(0, sized(2, bytes([kind]) + sized(2, name)))


GROUPS, SIGNATURES = extension(10, sized(2, b"\0\x17\0\x18")), extension(13, sized(2, b"\4\3\5\3\4\1"))


def hello(*extensions, version=0x0303, ciphers=b"\xc0\x2b\xc0\x2c\xc0\x2f", session=b"", compression=b"\0", length=None, groups=GROUPS):
    """A ClientHello as a handshake message."""
    body = struct.pack(">H", version) + bytes(32) + sized(1, session) + sized(2, ciphers) + sized(1, compression)
    body += sized(2, b"".join((groups, SIGNATURES, *extensions)))
    return b"\1" + (len(body) if length is None else length).to_bytes(3, "big") + body


def records(message, size=16384):
    """A message over as many records as it takes."""
    return b"".join(record(HANDSHAKE, message[at:at + size]) for at in range(0, len(message), size))


def tell(server, *data):
    """What the server answers first: (kind of record, its payload); None: it closes."""
    with socket.create_connection(("127.0.0.1", server.tls_port), timeout=WAIT) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for piece in data:
                sock.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass
        got = b""
        try:
            while len(got) < 5 or len(got) < 5 + int.from_bytes(got[3:5], "big"):
                piece = sock.recv(65536)
                if not piece:
                    return None
                got += piece
        except ConnectionResetError:
            return None
        return got[0], got[5:5 + int.from_bytes(got[3:5], "big")]


def alert(answer):
    """The alert's number; of a greeting that was taken: "hello"."""
    if answer is None:
        return None
    return "hello" if answer[0] == HANDSHAKE and answer[1][0] == 2 else answer[1][1] if answer[0] == ALERT else answer


GOOD = hello()
GREETINGS = {
    "a proper one": ("hello", record(HANDSHAKE, GOOD)),
    "one in records of a byte": ("hello", records(GOOD, 1)),
    "one in records of 7 bytes": ("hello", records(GOOD, 7)),
    "one with another record within": (UNEXPECTED, record(HANDSHAKE, GOOD[:7]) + record(ALERT, b"\1\x5a") + record(DATA, b"x")),
    "one that claims 16 MiB": (ILLEGAL, record(HANDSHAKE, hello(length=0xFFFFFF)[:4]) + record(HANDSHAKE, bytes(16384)) * 20),
    "one that claims 16 MiB, by the byte": (ILLEGAL, record(HANDSHAKE, hello(length=0xFFFFFF)[:4]) + record(HANDSHAKE, b"\0") * 20000),
    "one of 50,000 bytes": ("hello", records(hello(extension(0xfafa, bytes(50000))))),
    "one that ends within": (DECODE, record(HANDSHAKE, b"\1" + sized(3, GOOD[4:40]))),
    "one with something behind": (DECODE, record(HANDSHAKE, b"\1" + sized(3, GOOD[4:] + b"x"))),
    "SSL 3.0": (FAILURE, record(HANDSHAKE, hello(version=0x0300), 0x0300)),
    "TLS 1.0": (VERSION, record(HANDSHAKE, hello(version=0x0301))),
    "TLS 1.1": (VERSION, record(HANDSHAKE, hello(version=0x0302))),
    "TLS 1.2 as a fallback": (FALLBACK, record(HANDSHAKE, hello(ciphers=b"\xc0\x2b\x56\x00"))),
    "SSL 2.0": (VERSION, b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + bytes(37)),
    "no common cipher": (FAILURE, record(HANDSHAKE, hello(ciphers=b"\0\x05\0\x0a"))),
    "ciphers without encryption": (FAILURE, record(HANDSHAKE, hello(ciphers=b"\0\1\0\2\xc0\x06"))),
    "ciphers without a name of the server": (FAILURE, record(HANDSHAKE, hello(ciphers=b"\xc0\x18\xc0\x19"))),
    "an odd number of ciphers' bytes": (DECODE, record(HANDSHAKE, hello(ciphers=b"\xc0\x2b\xc0"))),
    "no ciphers": (ILLEGAL, record(HANDSHAKE, hello(ciphers=b""))),
    "no null compression": (DECODE, record(HANDSHAKE, hello(compression=b"\1"))),
    "a session id of 33 bytes": (DECODE, record(HANDSHAKE, hello(session=bytes(33)))),
    "an extension twice": (ILLEGAL, record(HANDSHAKE, hello(GROUPS))),
    "an extension longer than the rest": (DECODE, record(HANDSHAKE, hello(b"\0\0\xff\xff"))),
    "a protocol nobody speaks": (NO_PROTOCOL, record(HANDSHAKE, hello(extension(16, sized(2, sized(1, b"spdy/3")))))),
    "an empty protocol": (DECODE, record(HANDSHAKE, hello(extension(16, sized(2, b"\0"))))),
    "protocols longer than their list": (DECODE, record(HANDSHAKE, hello(extension(16, sized(2, b"\x20h2"))))),
    "a server name": ("hello", record(HANDSHAKE, hello(server_name(b"localhost")))),
    "a server name with a NUL": (UNRECOGNIZED, record(HANDSHAKE, hello(server_name(b"local\0host")))),
    "a server name of 255 bytes": ("hello", record(HANDSHAKE, hello(server_name(b"a" * 255)))),
    "a server name of 256 bytes": (UNRECOGNIZED, record(HANDSHAKE, hello(server_name(b"a" * 256)))),
    "a server name of 60,000 bytes": (UNRECOGNIZED, records(hello(server_name(b"a" * 60000)))),
    "an empty server name": ("hello", record(HANDSHAKE, hello(server_name(b"")))),
    "a server name that leaves its folder": ("hello", record(HANDSHAKE, hello(server_name(b"../../etc/passwd")))),
    "a heartbeat": (UNEXPECTED, record(HEARTBEAT, b"\1\x40\0" + bytes(16))),
    "a heartbeat extension": ("hello", record(HANDSHAKE, hello(extension(15, b"\1")))),
    "data before the handshake": (UNEXPECTED, record(DATA, b"GET / HTTP/1.1\r\n\r\n")),
    "a cipher change before the handshake": (UNEXPECTED, record(CHANGE_CIPHER, b"\1")),
    "an alert that says farewell": (UNEXPECTED, record(ALERT, b"\1\0")),
    "a fatal alert": (UNEXPECTED, record(ALERT, b"\2\x28")),
    "a record over the size": (OVERFLOW, record(HANDSHAKE, bytes(16385))),
    "empty records": (UNEXPECTED, record(HANDSHAKE, b"") * 1000),
    "a record of a kind that nobody knows": (None, record(99, b"x")),
    "a message of the server's": (UNEXPECTED, record(HANDSHAKE, b"\2" + GOOD[1:])),
    "an answer in the middle of nothing": (UNEXPECTED, record(HANDSHAKE, b"\x14" + sized(3, bytes(12)))),
}


@pytest.mark.parametrize("name", GREETINGS)
def test_a_greeting_gets_what_it_deserves(server, name):
    expected, data = GREETINGS[name]
    assert alert(tell(server, data)) == expected


def test_a_greeting_that_trickles_is_cut_in_its_time(server):
    assert tell(server, record(HANDSHAKE, GOOD)[:20]) is None  # timeouts.head


@pytest.mark.parametrize("junk", [record(HEARTBEAT, b"\1\x40\0" + bytes(20), 0x0303), record(DATA, bytes(range(100)), 0x0303), record(HANDSHAKE, GOOD, 0x0303),
                                  record(ALERT, bytes(range(30)), 0x0303), record(99, b"x", 0x0303), LIVEZ, record(DATA, b"", 0x0303) * 1000],
                         ids=["heartbeat", "garbage", "greeting", "alert", "unknown", "plain", "empty"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_junk_among_the_records_ends_the_connection_and_is_no_request(server, junk, version):
    context = tls_context()
    context.minimum_version = context.maximum_version = version
    raw = Raw(server)
    raw.socket.close()
    plain = socket.create_connection(("127.0.0.1", server.tls_port), timeout=WAIT)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with plain:
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                plain.sendall(outgoing.read())
                incoming.write(plain.recv(65536))
        client.write(LIVEZ[:10])
        plain.sendall(outgoing.read() + junk)
        answer = b""
        try:
            while piece := plain.recv(65536):
                incoming.write(piece)
                try:
                    while got := client.read(65536):
                        answer += got
                except ssl.SSLError:
                    pass
        except ConnectionResetError:
            pass
        assert b"200" not in answer


def test_a_body_that_ends_without_a_close_notify_is_no_whole_body(server):
    head = b"POST /api/v1/things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    body = document("cut off")
    for data in (head + b"Content-Length: %d\r\n\r\n" % (len(body) + 1) + body,
                 head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n"):
        for how in ("vanish", "reset"):
            raw = Raw(server, tls=True)
            assert raw.send(data)
            getattr(raw, how)()
    with Raw(server, tls=True) as raw:
        assert raw.send(b"GET /api/v1/things HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"cut off" not in raw.answer().body


def test_a_protocol_that_was_not_agreed_on_is_not_spoken(server):
    with Raw(server, tls=True, alpn=("h2",)) as raw:
        raw.send(LIVEZ)
        assert raw.farewell() == "PROTOCOL_ERROR"
    for alpn in ((), ("http/1.1",)):
        with Raw(server, tls=True, alpn=alpn) as raw:
            raw.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4))
            assert raw.answer().status == 505 and raw.ended()


def s_client(server, *words, text=""):
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{server.tls_port}", *words], input=text, capture_output=True, text=True,
                          timeout=WAIT, cwd=server.folder)
    return done.stdout + done.stderr


def test_data_before_the_handshake_is_whole_is_not_taken(server):
    """0-RTT can be replayed by whoever sees it: no ticket allows it, and who sends it all the same is not heard before the handshake."""
    (server.folder / "early").write_bytes(b"GET /early HTTP/1.1\r\nHost: x\r\n\r\n")
    with socket.create_connection(("127.0.0.1", server.tls_port), timeout=WAIT) as plain, tls_context().wrap_socket(plain) as tls:
        tls.sendall(LIVEZ)
        assert tls.recv(100).startswith(b"HTTP/1.1 200")
    said = s_client(server, "-tls1_3", "-ign_eof", "-sess_out", "session", text="GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert set(re.findall(r"Max Early Data: (\d+)", said)) == {"0"}
    said = s_client(server, "-tls1_3", "-sess_in", "session", "-early_data", "early")
    assert "Reused, TLSv1.3" in said and "Early data was accepted" not in said
    assert not [r for r in server.events("request") if r.get("path") == "/early"]


@pytest.mark.parametrize("words", [("-tls1_2", "-legacy_renegotiation"), ("-tls1_2",)])
def test_renegotiation_again_and_again_costs_nothing(server, words):
    said = s_client(server, *words, text="R\nR\nR\nQ\n")
    assert "no renegotiation" in said.lower() or "NO_RENEGOTIATION" in said


def test_tls_at_the_plain_port_is_refused_in_words(server):
    with Raw(server) as raw:
        raw.send(record(HANDSHAKE, GOOD))
        assert raw.answer().status == 400 and raw.ended()
    with pytest.raises(ssl.SSLError):
        tls_context().wrap_socket(socket.create_connection(("127.0.0.1", server.port), timeout=WAIT), server_hostname="localhost")
    assert serves(server)
