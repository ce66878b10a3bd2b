"""HTTP/2 by bare frames: what breaks a rule and what only costs ends its connection, with the error that says why, before it has cost much.
Another connection, open since before, is answered afterwards. h2spec (an extra suite) goes through the rules one by one; here are those by
which servers were brought down."""
import collections

import h2.errors
import hpack
import pytest

from hostile import (CONTINUATION, DATA, GOAWAY, HEADERS, PING, PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, Raw, Target, Two,
                     frame)

STREAMS, RESETS, CONTROLS, MANY = 10, 20, 50, 20_000
READ = 65536  # bytes that the server takes from a socket at once; what it answers goes out behind them
END_STREAM, END_HEADERS, PADDED, PRIORITIZED, ACK = 1, 4, 8, 32, 1
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS)
CALM, PROTOCOL, FLOW, SIZE, CLOSED, COMPRESSION = ("ENHANCE_YOUR_CALM", "PROTOCOL_ERROR", "FLOW_CONTROL_ERROR", "FRAME_SIZE_ERROR",
                                                   "STREAM_CLOSED", "COMPRESSION_ERROR")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    limits = {"streams": STREAMS, "resets": RESETS, "controls": CONTROLS}
    running = Target(tmp_path_factory.mktemp("server"), limits=limits)
    yield running
    running.finish()


def block(*fields, method="GET", path="/livez"):
    """A header block that leaves the dynamic table as it is."""
    encoder = hpack.Encoder()
    every = [(":method", method), (":path", path), (":scheme", "http"), (":authority", "x"), *fields]
    return encoder.encode([hpack.NeverIndexedHeaderTuple(*field) for field in every], huffman=False)


GET, POST = block(), block(("content-type", "application/json"), method="POST", path="/api/v1/things")


def get(stream=1):
    return frame(HEADERS, stream, GET, END_STREAM | END_HEADERS)


def post(stream=1):
    return frame(HEADERS, stream, POST, END_HEADERS)


def streams(count, make):
    return b"".join(make(1 + 2 * i) for i in range(count))


def setting(name, value):
    return frame(SETTINGS, 0, name.to_bytes(2, "big") + value.to_bytes(4, "big"))


def indexed_again_and_again():
    """A field of 4,000 bytes goes into the table, and each further byte of the block repeats it."""
    first = hpack.Encoder().encode([(b"x", b"a" * 3900)], huffman=False)
    return frame(HEADERS, 1, GET + first + b"\xbe" * 10_000, END_STREAM | END_HEADERS)


def word(number):
    return number.to_bytes(4, "big")


FLOODS = {  # each would go on for very long
    "requests that are reset": streams(MANY, lambda s: post(s) + frame(RST_STREAM, s, word(8))),
    "requests that have us reset them": streams(MANY, lambda s: post(s) + frame(WINDOW_UPDATE, s, word((1 << 31) - 1))),
    "requests that have us reset them by a broken length": streams(MANY, lambda s: frame(HEADERS, s, block(("content-length", "1"), method="POST"), 5)),
    "empty CONTINUATION": frame(HEADERS, 1, GET, END_STREAM) + frame(CONTINUATION, 1) * MANY,
    "CONTINUATION of a byte": frame(HEADERS, 1, GET, END_STREAM) + frame(CONTINUATION, 1, b"\x82") * MANY,
    "large CONTINUATION": frame(HEADERS, 1, GET, END_STREAM) + frame(CONTINUATION, 1, (b"\x00\x01a\x7f\x81\x7e" + b"b" * 16256)) * 100,
    "SETTINGS": frame(SETTINGS) * MANY,
    "SETTINGS that change the size of the table": (setting(1, 0) + setting(1, 4096)) * (MANY // 2),
    "SETTINGS that open and shut windows": get() + (setting(4, 0) + setting(4, 65535)) * (MANY // 2),
    "SETTINGS of many entries": frame(SETTINGS, 0, b"\0\3\0\0\0\1" * 2000) * 20,
    "requests on a stream that was passed by": post(3) + get(1) * MANY,
    "PING": frame(PING, 0, b"12345678") * MANY,
    "answers to no PING": frame(PING, 0, b"12345678", ACK) * MANY,
    "PRIORITY": b"".join(frame(PRIORITY, 1 + 2 * (i % 1000), word(0) + b"\x10") for i in range(MANY)),
    "WINDOW_UPDATE": frame(WINDOW_UPDATE, 0, word(1)) * MANY,
    "empty DATA": post() + frame(DATA, 1) * MANY,
    "DATA that is padding alone": post() + frame(DATA, 1, b"\x01\0", PADDED) * MANY,
    "frames of a kind that nobody knows": frame(0xbb, 0, b"x") * MANY,
    "an HPACK bomb": indexed_again_and_again(),
}


@pytest.fixture
def other(server):
    with Two(server) as two:
        assert two.status(two.ask()) == 200
        yield two
        assert two.status(two.ask()) == 200, "somebody else's connection suffered"


def attack(server, data):
    """What the server has to say to it, by kind of frame; and the error of its GOAWAY, or None."""
    with Raw(server) as raw:
        raw.send(PREFACE)
        raw.send(data)
        frames = list(raw.frames())
    last = [payload for kind, _, _, payload in frames if kind == GOAWAY]
    error = h2.errors.ErrorCodes(int.from_bytes(last[-1][4:8], "big")).name if last else None
    return collections.Counter(kind for kind, *_ in frames), error


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_ends_its_connection_before_it_costs_much(server, other, name):
    before = len(server.events("request"))
    said, error = attack(server, FLOODS[name])
    assert error == CALM
    assert sum(said.values()) <= 4 * CONTROLS + READ // 20, said  # no more of the flood was worked on than one read brought
    assert len(server.events("request")) - before <= RESETS + STREAMS + 2


RULES = {
    "no SETTINGS behind the greeting": (PROTOCOL, None),
    "a request on a stream of the server's": (PROTOCOL, get(2)),
    "a request on stream 0": (PROTOCOL, get(0)),
    "a window of a stream that opens by nothing": (PROTOCOL, post() + frame(WINDOW_UPDATE, 1, word(0))),
    "an acknowledgement of SETTINGS that were not sent": (PROTOCOL, frame(SETTINGS, flags=ACK) * 2),
    "a request twice on a stream": (CLOSED, get(1) + get(1)),
    "a body behind the end": (CLOSED, get(1) + frame(DATA, 1, b"x")),
    "a body on stream 0": (PROTOCOL, frame(DATA, 0, b"x")),
    "a body on a stream nobody opened": (PROTOCOL, frame(DATA, 1, b"x")),
    "a window of a stream nobody opened": (PROTOCOL, frame(WINDOW_UPDATE, 7, word(1))),
    "a reset of a stream nobody opened": (PROTOCOL, frame(RST_STREAM, 7, word(8))),
    "a reset of stream 0": (PROTOCOL, frame(RST_STREAM, 0, word(8))),
    "a promise by a client": (PROTOCOL, get(1) + frame(PUSH_PROMISE, 1, word(2) + GET, END_HEADERS)),
    "CONTINUATION of nothing": (PROTOCOL, frame(CONTINUATION, 1, GET, END_HEADERS)),
    "another frame within a head": (PROTOCOL, frame(HEADERS, 1, GET, END_STREAM) + frame(PING, 0, b"12345678")),
    "a frame that nobody knows within a head": (PROTOCOL, frame(HEADERS, 1, GET, END_STREAM) + frame(0xbb, 1, b"x")),
    "another stream's CONTINUATION": (PROTOCOL, frame(HEADERS, 1, GET, END_STREAM) + frame(CONTINUATION, 3, b"", END_HEADERS)),
    "a frame over the size": (SIZE, post() + frame(DATA, 1, bytes(16385))),
    "a frame of 16 MiB": (SIZE, post() + frame(DATA, 1, b"", length=0xFFFFFF) + bytes(20000)),
    "a PING of 7 bytes": (SIZE, frame(PING, 0, b"1234567")),
    "a PING on a stream": (PROTOCOL, frame(PING, 1, b"12345678")),
    "SETTINGS of 5 bytes": (SIZE, frame(SETTINGS, 0, bytes(5))),
    "SETTINGS on a stream": (PROTOCOL, frame(SETTINGS, 1)),
    "an acknowledgement with something in it": (SIZE, frame(SETTINGS, 0, bytes(6), ACK)),
    "a window over its maximum, by SETTINGS": (FLOW, setting(4, 1 << 31)),
    "a window over its maximum": (FLOW, frame(WINDOW_UPDATE, 0, word((1 << 31) - 1))),
    "a window that opens by nothing": (PROTOCOL, frame(WINDOW_UPDATE, 0, word(0))),
    "push that is neither on nor off": (PROTOCOL, setting(2, 2)),
    "a frame size below the least": (PROTOCOL, setting(5, 16383)),
    "a frame size above the most": (PROTOCOL, setting(5, 1 << 24)),
    "RST_STREAM of 3 bytes": (SIZE, get() + frame(RST_STREAM, 1, b"\0\0\0")),
    "more padding than frame": (PROTOCOL, post() + frame(DATA, 1, b"\xff\0", PADDED)),
    "more padding than head": (PROTOCOL, frame(HEADERS, 1, b"\xff" + GET, END_STREAM | END_HEADERS | PADDED)),
    "an index out of the table": (COMPRESSION, frame(HEADERS, 1, GET + b"\xff\xff\x7f", END_STREAM | END_HEADERS)),
    "index 0": (COMPRESSION, frame(HEADERS, 1, GET + b"\x80", END_STREAM | END_HEADERS)),
    "an integer without an end": (COMPRESSION, frame(HEADERS, 1, b"\xff" + b"\xff" * 20, END_STREAM | END_HEADERS)),
    "a text longer than its block": (COMPRESSION, frame(HEADERS, 1, GET + b"\x00\x7f\x7f", END_STREAM | END_HEADERS)),
    "a text of Huffman's that ends wrong": (COMPRESSION, frame(HEADERS, 1, GET + b"\x00\x81\x00\x81\x00", END_STREAM | END_HEADERS)),
    "a table larger than agreed on": (COMPRESSION, frame(HEADERS, 1, b"\x3f\xff\xff\x03" + GET, END_STREAM | END_HEADERS)),
}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_that_is_broken_ends_its_connection_with_the_error_for_it(server, other, name):
    expected, data = RULES[name]
    if data is None:
        with Raw(server) as raw:
            raw.send(PREFACE[:24] + get())
            assert raw.farewell() == expected
    else:
        assert attack(server, data)[1] == expected


RESET = {
    "a window of a stream over its maximum": (FLOW, post() + frame(WINDOW_UPDATE, 1, word((1 << 31) - 1))),
    "a length that the body has not": (PROTOCOL, frame(HEADERS, 1, block(("content-length", "5"), method="POST"), END_HEADERS) + frame(DATA, 1, b"x", END_STREAM)),
    "a name in capitals": (PROTOCOL, frame(HEADERS, 1, block(("X", "y")), END_STREAM | END_HEADERS)),
    "a pseudo field behind others": (PROTOCOL, frame(HEADERS, 1, block(("x", "y"), (":path", "/")), END_STREAM | END_HEADERS)),
    "two paths": (PROTOCOL, frame(HEADERS, 1, block((":path", "/")), END_STREAM | END_HEADERS)),
    "a field of the connection": (PROTOCOL, frame(HEADERS, 1, block(("connection", "close")), END_STREAM | END_HEADERS)),
    "Transfer-Encoding": (PROTOCOL, frame(HEADERS, 1, block(("transfer-encoding", "chunked")), END_STREAM | END_HEADERS)),
    "two lengths": (PROTOCOL, frame(HEADERS, 1, block(("content-length", "1"), ("content-length", "2")), END_HEADERS)),
    "a line break in a value": (PROTOCOL, frame(HEADERS, 1, block(("x", "a\r\ny: b")), END_STREAM | END_HEADERS)),
    "a NUL in a value": (PROTOCOL, frame(HEADERS, 1, block(("x", "a\0b")), END_STREAM | END_HEADERS)),
    "a line break in the path": (PROTOCOL, frame(HEADERS, 1, block(path="/ HTTP/1.1\r\nx: y"), END_STREAM | END_HEADERS)),
    "trailers without the end": (PROTOCOL, post() + frame(HEADERS, 1, b"\x00\x01x\x01y", END_HEADERS)),
}


@pytest.mark.parametrize("name", RESET)
def test_a_malformed_request_is_reset_and_its_connection_goes_on(server, name):
    expected, data = RESET[name]
    with Raw(server) as raw:
        raw.send(PREFACE + data)
        error = status = None
        for kind, _, stream, payload in raw.frames():
            assert kind != GOAWAY, h2.errors.ErrorCodes(int.from_bytes(payload[4:8], "big"))
            if kind == HEADERS and stream == 1:
                status = payload[0]
            if kind == RST_STREAM and stream == 1:
                error = h2.errors.ErrorCodes(int.from_bytes(payload, "big")).name
                break
            if kind == HEADERS and stream == 1 and status == 0x8c:  # 400: refused in words
                error = PROTOCOL
                break
        assert error == expected
        raw.send(get(9))
        assert next(payload[0] for kind, _, stream, payload in raw.frames() if (kind, stream) == (HEADERS, 9)) == 0x88  # 200


def test_frames_of_kinds_to_come_are_passed_over(server):
    """As RFC 9113 section 4.1 has it: also those that have a name elsewhere (ALTSVC, ORIGIN, PRIORITY_UPDATE), whatever is in them."""
    with Raw(server) as raw:
        raw.send(PREFACE + b"".join(frame(kind, stream, b"x" * size) for kind in (0x0a, 0x0b, 0x0c, 0x10, 0xbb, 0xff) for stream, size in ((0, 0), (1, 300))) + get())
        assert next(payload[0] for kind, _, stream, payload in raw.frames() if (kind, stream) == (HEADERS, 1)) == 0x88
        raw.send(get(3))
        assert next(payload[0] for kind, _, stream, payload in raw.frames() if (kind, stream) == (HEADERS, 3)) == 0x88


def test_streams_far_over_the_cap_are_refused_and_only_so_many_begin(server, other):
    before = len(server.events("request"))
    said, error = attack(server, streams(STREAMS + 1000, post))
    assert error in (CALM, PROTOCOL)
    assert said[RST_STREAM] <= RESETS + READ // len(post())
    assert len(server.events("request")) - before <= STREAMS + 2


def test_the_last_stream_id_there_is_can_be_used_and_none_behind_it(server, other):
    last = (1 << 31) - 1
    with Raw(server) as raw:
        raw.send(PREFACE + get(last))
        assert next(payload[0] for kind, _, stream, payload in raw.frames() if (kind, stream) == (HEADERS, last)) == 0x88
        raw.send(get(1) + frame(PING, 0, b"12345678"))  # the id has been passed by: not heard
        for kind, _, stream, _ in raw.frames():
            assert stream != 1 and kind not in (GOAWAY, RST_STREAM)
            if kind == PING:
                break
