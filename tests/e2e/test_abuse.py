"""The server against clients that are slow, that go in the middle of everything, and that are too many: somebody else is answered all the
while, and afterwards nothing of them is left."""
import os
import re
import resource
import shutil
import socket
import ssl
import subprocess
import threading

import h2.events
import h2.exceptions
import h2.settings
import pytest

import ws_client
from hostile import LIVEZ, SANITIZED, WAIT, Raw, Target, Two, document, serves, settles, tls_context

BIG = 16 << 20  # more than the kernel buffers between two sockets
QUICK = {"head": "1s", "idle": "60s", "body_stall": "1s", "write_stall": "1s"}
MANY = {"timeouts": QUICK, "log": {"requests": False}}


def files(folder):
    (folder / "public").mkdir()
    with open(folder / "public" / "big.bin", "wb") as big:
        big.truncate(BIG)
    return {"files": {"/files": {"folder": str(folder / "public"), "access": "public", "upload": {"access": "public"}}}}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    spool = folder / "spool"
    spool.mkdir()
    # Not refused for overload: a client that was refused at once is let go by the idle time, and it is the other bounds that are shown here.
    calm = {"turn": "60s", "wait": "60s"}
    running = Target(folder, files(folder), timeouts=QUICK, limits={"body": "8MiB"}, overload=calm, spool_folder=str(spool))
    yield running
    running.finish()


@pytest.fixture
def start(tmp_path):
    started = []

    def begin(**settings):
        started.append(Target(tmp_path, **settings))
        return started[-1]

    yield begin
    for running in started:
        running.finish()


class WellBehaved:
    """Somebody who asks, over a kept connection, again and again while the others misbehave; every answer has to be right."""

    def __init__(self, server):
        self.server, self.over, self.answered, self.wrong = server, threading.Event(), 0, None
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join(WAIT)
        assert not self.thread.is_alive() and self.wrong is None and self.answered > 0, self.wrong

    def run(self):
        body = document("behaved")
        post = b"POST /api/v1/things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        try:
            with Raw(self.server) as raw:
                while not self.over.wait(0.002):
                    data, expected = (post, 201) if self.answered % 2 else (LIVEZ, 200)
                    assert raw.send(data)
                    answer = raw.answer()
                    assert answer is not None and answer.status == expected, answer
                    self.answered += 1
        except (AssertionError, OSError) as problem:
            self.wrong = repr(problem)

    def goes_on(self):
        """Is answered again after now."""
        before = self.answered
        settles(lambda: self.wrong or self.answered > before + 1, "the well-behaved client waits")
        assert self.wrong is None, self.wrong


# --- slow ones ---------------------------------------------------------------------------------------------------------------

SLOW = {
    "headers": ("-H", "/livez"),
    "body": ("-B -f application/json", "/api/v1/things"),
    "ranges": ("-R -t GET", "/files/big.bin"),
    "read": ("-X -w 1 -y 512 -n 1 -z 5", "/files/big.bin"),
}


@pytest.mark.skipif(not shutil.which("slowhttptest"), reason="slowhttptest is not installed")
@pytest.mark.parametrize("name", SLOW)
def test_slowhttptest_holds_nobody_and_is_let_go(server, name):
    words, path = SLOW[name]
    count, before = 100, server.sockets()
    command = ["slowhttptest", *words.split(), "-c", str(count), "-r", "400", "-i", "1", "-l", "60", "-p", "5", "-u", server.url + path]
    with WellBehaved(server) as other:
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=server.folder) as tool:
            try:
                settles(lambda: server.sockets() >= before + count // 10 or tool.poll() is not None, "the attack never began")
                other.goes_on()
                settles(lambda: server.sockets() <= before + 3, lambda: f"{server.sockets() - before} of {count} are still held")
                other.goes_on()
            finally:
                tool.kill()


def test_handshakes_that_stall_hold_nobody_and_are_let_go(server):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        tls_context().wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    hello, stalled = outgoing.read(), []
    with WellBehaved(server) as other:
        for i in range(100):
            stalled.append(socket.create_connection(("127.0.0.1", server.tls_port), timeout=WAIT))
            stalled[-1].sendall(hello[:len(hello) * (i % 3) // 2])  # nothing, half of the greeting, all of it
        other.goes_on()
        with Raw(server, tls=True) as raw:
            assert raw.send(LIVEZ) and raw.answer().status == 200
        for connection in stalled:
            with connection:
                while connection.recv(65536):  # ends because the server ends it
                    pass
        other.goes_on()


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_windows_that_stay_shut_hold_nobody_and_their_streams_are_reset(server, tls):
    shut = {h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0}
    with WellBehaved(server) as other, Two(server, tls, settings=shut) as two:
        streams = [two.ask(b"/files/big.bin") for _ in range(50)]
        other.goes_on()
        for stream in streams:
            assert two.wait(h2.events.ResponseReceived, lambda e, s=stream: e.stream_id == s)
        for stream in streams:
            assert two.wait(h2.events.StreamReset, lambda e, s=stream: e.stream_id == s).error_code == 8  # CANCEL
        other.goes_on()


def test_windows_that_open_by_a_byte_do_not_keep_a_stream(server):
    shut = {h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0}
    with WellBehaved(server) as other, Two(server, settings=shut) as two:
        stream = two.ask(b"/files/big.bin")
        assert two.status(stream) == 200
        given = 0
        try:
            while given < 1000:  # each byte is a sign of life, and all together are too few
                two.h2.increment_flow_control_window(1, stream)
                two.flush()
                given += 1
                assert two.wait((h2.events.DataReceived, h2.events.StreamReset))
                other.over.wait(0.02)  # the attacker's pace
        except h2.exceptions.StreamClosedError:
            pass
        assert 1 < given < 1000
        other.goes_on()


def test_a_connection_of_http2_that_is_not_read_is_cut(server):
    """The windows are wide open, and the socket is not: what the kernel takes is all that a client can make the server hold."""
    wide = {h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: (1 << 31) - 1}
    before = server.sockets()
    with WellBehaved(server) as other, Two(server, receive_buffer=4096, settings=wide) as two:
        two.h2.increment_flow_control_window((1 << 31) - 1 - 65535)
        for _ in range(20):
            two.ask(b"/files/big.bin")
        other.goes_on()
        settles(lambda: server.sockets() <= before + 1, "it is still held")
        other.goes_on()


# --- gone in the middle ------------------------------------------------------------------------------------------------------

POST = b"POST /api/v1/things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
LARGE = POST + b"Content-Length: 4000000\r\n\r\n"
UPLOAD = b"PUT /files/half.bin HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n" + bytes(1_000_000)
FORM = (b"POST /files/ HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"186a0\r\n--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"half.txt\"\r\n\r\n" + bytes(100_000))
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
WHOLE = POST + b"Content-Length: 12\r\n\r\n" + document()
STATES = {  # what was sent, and what is waited for before the end (None: nothing)
    "before the head": (b"", None),
    "in a blank line": (b"\r", None),
    "in the request line": (b"GET /liv", None),
    "in a field": (b"GET /livez HTTP/1.1\r\nHos", None),
    "before the end of the head": (b"GET /livez HTTP/1.1\r\nHost: x\r\n\r", None),
    "before the body": (POST + b"Content-Length: 12\r\n\r\n", None),
    "before the body, asked for it": (POST + b"Content-Length: 12\r\nExpect: 100-continue\r\n\r\n", b"HTTP/1.1 100 "),
    "in the body": (WHOLE[:-3], None),
    "in a large body": (LARGE + bytes(3_000_000), None),
    "before a chunk": (CHUNKED, None),
    "in a chunk's size": (CHUNKED + b"1", None),
    "in a chunk's extension": (CHUNKED + b"1;a", None),
    "in a chunk": (CHUNKED + b'ff\r\n{"', None),
    "before the last chunk": (CHUNKED + b"c\r\n" + document() + b"\r\n", None),
    "in a trailer": (CHUNKED + b"c\r\n" + document() + b"\r\n0\r\nX: y", None),
    "awaiting the answer": (WHOLE, None),
    "awaiting many answers": (WHOLE * 50, None),
    "in the first answer of many": (WHOLE * 50, b"HTTP/1.1 201"),
    "in a large answer": (b"GET /files/big.bin HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 200"),
    "in events": (b"GET /api/v1/things/changes HTTP/1.1\r\nHost: x\r\n\r\n", b"retry:"),
    "in an upload": (UPLOAD, None),
    "in an upload of a form": (FORM, None),
    "between requests": (LIVEZ, b'{"status":"ok"}'),
    "in the next request": (LIVEZ + b"GET /li", b'{"status":"ok"}'),
    "after a refusal": (b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 400"),
    "in the preface of HTTP/2": (PREFACE[:20], None),
    "behind the preface": (PREFACE, None),
    "in the SETTINGS": (PREFACE + b"\0\0\6\4\0\0\0\0\0\0\3", None),
}


def shut(raw, endless=False):
    """Half closed: reads what comes until the server is at its end, too. Events have none for one who goes
    on to read, and that he has gone for good shows at the next of them: he is reset."""
    try:
        raw.socket.shutdown(socket.SHUT_WR)
        while not endless and raw.receive():
            raw.data = b""
    except OSError:
        pass
    raw.reset() if endless else raw.vanish()


ENDS = {"closed": lambda raw, _=False: raw.vanish(), "reset": lambda raw, _=False: raw.reset(), "half closed": shut}


def two_in(server, tls, *, answer=None, **ask):
    two = Two(server, tls, settings={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1000})
    stream = two.ask(**ask)
    if answer:
        assert two.status(stream) == 200 and two.wait(answer)
    return two


HTTP2 = {
    "greeted": lambda server, tls: Two(server, tls),
    "awaiting the answer": lambda server, tls: two_in(server, tls),
    "before the body": lambda server, tls: two_in(server, tls, path=b"/api/v1/things", method=b"POST", end=False),
    "in an upload": lambda server, tls: two_in(server, tls, path=b"/files/half.bin", method=b"PUT", end=False),
    "in a large answer": lambda server, tls: two_in(server, tls, path=b"/files/big.bin", answer=h2.events.DataReceived),
    "in events": lambda server, tls: two_in(server, tls, path=b"/api/v1/things/changes", answer=h2.events.DataReceived),
}


def nothing_is_left(server, before):
    settles(lambda: server.sockets() <= before, lambda: f"{server.sockets() - before} connections are left")
    settles(lambda: not server.spools(), lambda: f"temporary files are left: {server.spools()}")
    assert os.listdir(server.folder / "spool") == [] and os.listdir(server.folder / "public") == ["big.bin"]
    assert serves(server)


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
@pytest.mark.parametrize("end", ENDS)
def test_who_goes_in_any_state_leaves_nothing(server, end, tls):
    before = server.sockets()
    for name, (data, awaited) in STATES.items():
        raw = Raw(server, tls)
        raw.send(data)
        while awaited and awaited not in raw.data:
            assert raw.receive(), f"{name}: ended before {awaited}: {raw.data!r}"
        ENDS[end](raw, name == "in events")
    for name, begin in HTTP2.items():
        ENDS[end](begin(server, tls), name == "in events")
    nothing_is_left(server, before)


def test_who_goes_in_any_byte_of_a_handshake_leaves_nothing(server):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = tls_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    hello, before = outgoing.read(), server.sockets()
    for end in ENDS.values():
        for cut in range(0, len(hello) + 1, 16):
            raw = Raw(server)
            raw.socket.close()
            raw.socket = socket.create_connection(("127.0.0.1", server.tls_port), timeout=WAIT)
            raw.send(hello[:cut])
            end(raw)
    with socket.create_connection(("127.0.0.1", server.tls_port), timeout=WAIT) as last:  # the server has done its part, the client goes
        last.sendall(hello)
        assert last.recv(1) == b"\x16"
    nothing_is_left(server, before)


def test_a_request_is_whole_or_not_there(server):
    """What went in the middle of its body has not become a row, whatever its body looked like up to there."""
    def rows():
        with Raw(server) as raw:
            assert raw.send(b"GET /api/v1/things?text=torn HTTP/1.1\r\nHost: x\r\n\r\n")
            return raw.answer().body.count(b'"text":"torn"')

    body = document("torn")
    for tls in (False, True):
        for end in ENDS.values():
            raw = Raw(server, tls)
            raw.send(POST + b"Content-Length: %d\r\n\r\n" % (len(body) + 1) + body)  # a whole document, and yet a byte is owed
            end(raw)
    assert serves(server) and rows() == 0
    with Raw(server) as raw:
        assert raw.send(POST + b"Content-Length: %d\r\n\r\n" % len(body) + body) and raw.answer().status == 201
    assert rows() == 1


def test_who_goes_from_a_websocket_leaves_nothing(tmp_path):
    running = ws_client.start(tmp_path)
    count = lambda: len(os.listdir(f"/proc/{running.process.pid}/fd"))  # noqa: E731
    with ws_client.Peer(running) as peer:
        peer.send(ws_client.frame(ws_client.TEXT, b"x"))
        assert peer.message() == (ws_client.TEXT, b"x")
        before = count()
    states = [b"", b"\x81", ws_client.frame(ws_client.TEXT, b"x" * 1000)[:500], ws_client.frame(ws_client.TEXT, b"x", fin=False),
              ws_client.frame(ws_client.TEXT, b"x" * 100_000) * 5, ws_client.frame(ws_client.PING, b"x"), ws_client.close(1000)]
    for data in states:
        for end in ("vanish", "reset", "half"):
            peer = ws_client.Peer(running)
            raw = Raw.__new__(Raw)
            raw.socket, raw.data, raw.tls = peer.socket, b"", False
            raw.send(data)
            shut(raw) if end == "half" else getattr(raw, end)()
    settles(lambda: count() <= before, lambda: f"{count() - before} descriptors are left")
    assert running.stop() == 0


# --- too many ----------------------------------------------------------------------------------------------------------------


def drop(port, batch, number):
    """Opens so many connections at once, has some of them say something, and drops them all by a reset, which leaves no port waiting."""
    held = []
    for i in range(batch):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        sock.connect(("127.0.0.1", port))
        if i % 8 == number % 8:
            sock.sendall(LIVEZ[:i % len(LIVEZ)])
        held.append(sock)
    for sock in held:
        sock.close()


def test_slow_senders_of_large_bodies_hold_files_and_little_memory(start):
    server, senders, size = start(limits={"body": "8MiB"}), 30, 6 << 20
    memory = server.memory_kib()
    head = f"POST /api/v1/things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n".encode()
    held = [Raw(server) for _ in range(senders)]
    for one in held:
        assert one.send(head + b" " * (size - 100))
    settles(lambda: len(server.spools()) == senders, lambda: f"{len(server.spools())} files for {senders} bodies")
    if not SANITIZED:
        grown = (server.memory_kib() - memory) >> 10
        assert grown < senders * 2, f"{grown} MiB more"
    assert held[0].send(b'{"text":"whole"}'.rjust(100))
    assert held[0].receive() and b" 201 " in held[0].data[:20], held[0].data
    for one in held:
        one.socket.close()
    settles(lambda: not server.spools(), lambda: f"temporary files are left: {server.spools()}")


def test_a_hundred_thousand_connections_come_and_go(start):
    server = start(**MANY)
    drop(server.port, 500, 0)
    settles(lambda: server.sockets() < 100, "they are not let go")
    memory, before, most, batch = server.memory_kib(), server.descriptors(), 0, 500
    with WellBehaved(server) as other:
        for number in range(100_000 // batch):
            drop(server.port, batch, number)
            if number % 10 == 0:
                most = max(most, server.descriptors())
                other.goes_on()
    settles(lambda: server.descriptors() <= before, lambda: f"{server.descriptors() - before} descriptors are left")
    assert most < before + 5 * batch
    if not SANITIZED:  # sanitizers keep what is freed
        assert server.memory_kib() < memory + 8192


def test_connections_over_the_cap_are_not_kept_and_an_active_client_goes_on(start):
    server = start(limits={"connections": 100}, **MANY)
    before = server.sockets()
    with WellBehaved(server) as other:
        other.goes_on()
        held = []
        for _ in range(25):  # who has been idle for longest goes: that must not be somebody who asks
            held += [socket.create_connection(("127.0.0.1", server.port), timeout=WAIT) for _ in range(20)]
            other.goes_on()
        settles(lambda: server.sockets() <= before + 100, lambda: f"{server.sockets() - before} are kept")
        for sock in held:
            sock.close()


def test_without_descriptors_an_active_client_goes_on(start):
    few = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (160, 160))  # noqa: E731
    server = start(preexec=few, **MANY)
    with WellBehaved(server) as other:
        other.goes_on()
        held = []
        for _ in range(20):  # who has been idle for longest makes room: that must not be somebody who asks
            held += [socket.create_connection(("127.0.0.1", server.port), timeout=WAIT) for _ in range(20)]
            other.goes_on()
        assert server.descriptors() <= 160
        for sock in held:
            sock.close()
        other.goes_on()
    settles(lambda: serves(server), "nobody new is answered")


def test_one_address_cannot_take_the_places_of_others(start):
    server = start(limits={"connections": 400, "connections_each": 50}, **MANY)
    before = server.sockets()
    held = [socket.create_connection(("127.0.0.1", server.port), timeout=WAIT) for _ in range(300)]
    settles(lambda: server.sockets() <= before + 50, lambda: f"{server.sockets() - before} are kept")
    with socket.socket() as other:
        other.settimeout(WAIT)
        other.bind(("127.0.0.2", 0))
        other.connect(("127.0.0.1", server.port))
        other.sendall(LIVEZ)
        assert re.match(rb"HTTP/1\.1 200", other.recv(4096))
    for sock in held:
        sock.close()
