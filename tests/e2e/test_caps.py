"""Every cap on a request, from outside: one below it, at it, one over it; by length and by chunks, over HTTP/1.1 and HTTP/2, as it is and
compressed."""
import base64
import gzip
import random

import brotli
import pytest
import zstandard

from hostile import Raw, Target, Two

HEAD, FIELDS, TARGET, BODY, RATIO = 4096, 20, 1024, 128 << 10, 10
AROUND = pytest.mark.parametrize("over", [-1, 0, 1], ids=["below", "at", "over"])
CODERS = {"gzip": gzip.compress, "br": brotli.compress, "zstd": zstandard.compress}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    limits = {"head": f"{HEAD}B", "fields": FIELDS, "target": f"{TARGET}B", "body": f"{BODY}B", "inflate_ratio": RATIO}
    running = Target(tmp_path_factory.mktemp("server"), limits=limits)
    yield running
    running.finish()


def status(server, data):
    with Raw(server) as raw:
        raw.send(data)
        answer = raw.answer()
        assert answer.status < 400 or answer.status == 415 or raw.ended()
        return answer.status


def thing(size):
    """A body of so many bytes, that compresses too badly to reach the ratio."""
    return b'{"text":"' + base64.b64encode(random.Random(1).randbytes(size))[:size - 11] + b'"}'


@AROUND
def test_a_head(server, over):
    start, end = b"GET /livez HTTP/1.1\r\nHost: x\r\nX: ", b"\r\n\r\n"
    padding = b"a" * (HEAD + over - len(start + end))
    assert status(server, start + padding + end) == (431 if over > 0 else 200)


@AROUND
def test_a_head_of_http2(server, over):
    fields = {b":method": b"GET", b":path": b"/livez", b":scheme": b"http", b":authority": b"x"}
    used = sum(len(name) + len(value) + 32 for name, value in fields.items())  # RFC 9113 section 6.5.2
    with Two(server) as two:
        stream = two.ask(b"/livez", (b"x", b"a" * (HEAD + over - used - 33)))
        assert two.status(stream) == (431 if over > 0 else 200)
        assert two.status(two.ask()) == 200  # only the request was refused


@AROUND
def test_the_number_of_fields(server, over):
    lines = b"".join(b"X%d: a\r\n" % i for i in range(FIELDS - 1 + over))  # and Host
    assert status(server, b"GET /livez HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n") == (431 if over > 0 else 200)


@AROUND
def test_the_number_of_fields_of_http2(server, over):
    with Two(server) as two:
        stream = two.ask(b"/livez", *((b"x%d" % i, b"a") for i in range(FIELDS + over)))
        assert two.status(stream) == (431 if over > 0 else 200)
        assert two.status(two.ask()) == 200


@AROUND
def test_a_target(server, over):
    target = b"/livez?" + b"a" * (TARGET + over - len(b"/livez?"))
    assert status(server, b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n") == (414 if over > 0 else 200)
    with Two(server) as two:
        assert two.status(two.ask(target)) == (414 if over > 0 else 200)
        assert two.status(two.ask()) == 200


def post(body, *fields):
    return b"\r\n".join([b"POST /api/v1/things HTTP/1.1", b"Host: x", b"Content-Type: application/json", *fields, b"", b""]) + body


def chunked(body, size):
    pieces = (body[at:at + size] for at in range(0, len(body), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def ways(body, *fields):
    """The request's bytes in each framing."""
    yield post(body, b"Content-Length: %d" % len(body), *fields)
    for size in (1000, 1 << 20):
        yield post(chunked(body, size), b"Transfer-Encoding: chunked", *fields)


@AROUND
def test_a_body(server, over):
    body = thing(BODY + over)
    for data in ways(body):
        assert status(server, data) == (413 if over > 0 else 201)
    with Two(server) as two:
        for fields in ((), ((b"content-length", b"%d" % len(body)),)):
            assert two.status(two.post(body, *fields)) == (413 if over > 0 else 201)
        assert two.status(two.ask()) == 200


@AROUND
@pytest.mark.parametrize("coding", CODERS)
def test_what_a_compressed_body_unpacks_to(server, coding, over):
    body = thing(BODY + over)
    packed = CODERS[coding](body)
    assert len(packed) * RATIO > BODY + 1, "the cap is meant, not the ratio"
    for data in ways(packed, b"Content-Encoding: " + coding.encode()):
        assert status(server, data) == (413 if over > 0 else 201)
    with Two(server) as two:
        assert two.status(two.post(packed, (b"content-encoding", coding.encode()))) == (413 if over > 0 else 201)


@pytest.mark.parametrize("coding", CODERS)
def test_how_many_times_its_size_a_compressed_body_unpacks_to(server, coding):
    """Under the cap, and yet a bomb: looked at beyond the first 64 KiB."""
    for size, expected in ((65536, 201), (100_000, 413)):
        packed = CODERS[coding](b'{"text":"' + b"a" * (size - 11) + b'"}')
        assert len(packed) * RATIO < size
        for data in ways(packed, b"Content-Encoding: " + coding.encode()):
            assert status(server, data) == expected
        with Two(server) as two:
            assert two.status(two.post(packed, (b"content-encoding", coding.encode()))) == expected
