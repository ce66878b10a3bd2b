"""HTTP/1.1 on the wire: what is refused, what is kept open, what slow or rude clients can't do."""
import concurrent.futures
import pathlib
import re
import socket
import time

import pytest
from servers import Client, problem

DEFINITION = {
    "server": {"store": "sqlite:test.db", "limits": {"body": "1KiB"}},
    "models": {"Thing": {"type": "object", "properties": {"text": {"type": "string"}}}},
    "resources": {"things": {"model": "Thing", "access": {"default": "public"}}},
}


@pytest.fixture
def server(serve):
    return serve(DEFINITION)


def connect(server):
    return socket.create_connection((server.host, server.port), timeout=60)


def read_all(connection):
    data = b""
    while True:
        try:
            piece = connection.recv(65536)
        except ConnectionResetError:
            return data
        if not piece:
            return data
        data += piece


def exchange(server, data):
    """Sends bytes, says that no more come, and returns all that comes back."""
    with connect(server) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return read_all(connection)


def statuses(data):
    return [int(s) for s in re.findall(rb"HTTP/1\.1 (\d{3}) ", data)]


GET = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"

SMUGGLING = {
    "length and chunked": (b"POST /api/v1/things HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "two lengths": (b"POST /api/v1/things HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
    "length list": (b"POST /api/v1/things HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\nhello", 400),
    "negative length": (b"POST /api/v1/things HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
    "signed length": (b"POST /api/v1/things HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello", 400),
    "huge length": (b"POST /api/v1/things HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n", 400),
    "chunked, not last": (b"POST /api/v1/things HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", None),
    "unknown coding": (b"POST /api/v1/things HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", None),
    "bad chunk size": (b"POST /api/v1/things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    "chunk without CRLF": (b"POST /api/v1/things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}x\r\n0\r\n\r\n", 400),
    "bare LF": (b"GET /livez HTTP/1.1\nHost: x\n\n", 400),
    "obs-fold": (b"GET /livez HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n", 400),
    "space before colon": (b"GET /livez HTTP/1.1\r\nHost : x\r\n\r\n", 400),
    "NUL in a value": (b"GET /livez HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n", 400),
    "no host": (b"GET /livez HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET /livez HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
    "no version": (b"GET /livez\r\n\r\n", None),
    "wrong version": (b"GET /livez HTTP/3.0\r\nHost: x\r\n\r\n", None),
    "not HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", None),
    "long target": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    "large head": (b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"X: " + b"a" * 20000 + b"\r\n\r\n", 431),
    "many fields": (b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X%d: a\r\n" % i for i in range(120)) + b"\r\n", 431),
    "CONNECT": (b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n", None),
}


@pytest.mark.parametrize("name", SMUGGLING)
def test_ambiguous_and_oversized_requests_are_refused_and_closed(server, name):
    data, expected = SMUGGLING[name]
    answer = exchange(server, data + GET)
    got = statuses(answer)
    assert len(got) <= 1, f"a second request was read behind it: {answer!r}"
    if expected:
        assert got == [expected], answer
    elif got:
        assert got[0] >= 400
    assert Client(server).get("/livez").status_code == 200


def test_keep_alive_pipelining_and_order(server):
    missing = b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = exchange(server, (GET + missing) * 20)
    assert statuses(answer) == [200, 404] * 20


def test_connection_close_and_http_1_0(server):
    assert statuses(exchange(server, b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + GET)) == [200]
    assert len(re.findall(rb"HTTP/1\.[01] 200", exchange(server, b"GET /livez HTTP/1.0\r\n\r\n" + GET))) == 1


def test_a_request_may_come_byte_by_byte(server):
    with connect(server) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        body = b'{"text":"abc"}'
        chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
        data = b"POST /api/v1/things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + chunks
        for i in range(len(data)):
            connection.sendall(data[i:i + 1])
        answer = read_all(connection)
    assert statuses(answer) == [201] and b'"text":"abc"' in answer


def test_expect_continue_is_asked_only_when_the_body_is_wanted(server):
    head = b"POST /api/v1/things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n"
    with connect(server) as connection:
        connection.sendall(head % 2)
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"{}")
        assert b"201" in connection.recv(1000).split(b"\r\n")[0]
    with connect(server) as connection:
        connection.sendall(head % 5000)
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_bodies_at_and_over_the_cap(server):
    client = Client(server)
    fits = '{"text":"' + "x" * (1024 - 11) + '"}'
    assert len(fits) == 1024
    send = lambda body, **more: client.post("/api/v1/things", data=body, headers={"content-type": "application/json"}, **more)  # noqa: E731
    assert send(fits).status_code == 201
    problem(send(fits + " "), 413, "body_too_large")
    problem(send(iter([fits.encode(), b" "])), 413)


def test_a_half_closed_client_gets_its_answer(server):
    with connect(server) as connection:
        connection.sendall(GET)
        connection.shutdown(socket.SHUT_WR)
        assert statuses(read_all(connection)) == [200]


def test_slow_clients_are_cut_off_and_do_not_hold_others(serve):
    definition = dict(DEFINITION, server={"store": "sqlite:test.db", "timeouts": {"head": "200ms", "idle": "200ms", "body_stall": "200ms"}})
    server = serve(definition)
    slow = []
    for start in (b"GET /livez HT", b"", b"POST /api/v1/things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{"):
        for _ in range(20):
            connection = connect(server)
            connection.sendall(start)
            slow.append(connection)
    assert Client(server).get("/livez").status_code == 200
    for connection in slow:
        data = read_all(connection)  # ends because the server ends it
        assert statuses(data) in ([], [408]), data
        connection.close()


def test_connections_dropped_in_every_state_leak_nothing(server):
    descriptors = lambda: len(list(pathlib.Path(f"/proc/{server.process.pid}/fd").iterdir()))  # noqa: E731
    client = Client(server)
    client.get("/livez")
    before = descriptors()
    whole = b"POST /api/v1/things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

    def drop(i):
        connection = connect(server)
        connection.sendall(whole[: i % (len(whole) + 1)])
        if i % 2:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # a reset instead of an orderly end
        connection.close()

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(drop, range(2000)))
    deadline = time.monotonic() + 30
    while descriptors() > before + 5 and time.monotonic() < deadline:
        client.get("/livez")
    assert descriptors() <= before + 5


def test_running_out_of_descriptors_fails_connections_not_the_server(serve):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
    try:
        server = serve(DEFINITION)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    held = [connect(server) for _ in range(200)]
    for connection in held:
        connection.close()
    deadline = time.monotonic() + 30
    while True:
        try:
            assert Client(server).get("/livez", timeout=5).status_code == 200
            break
        except OSError:
            assert time.monotonic() < deadline


def test_request_ids_traces_and_security_fields(server):
    answer = Client(server).get("/nothing", headers={"x-request-id": "abc-123", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
    document = problem(answer, 404)
    assert answer.headers["x-request-id"] == "abc-123" and document["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert answer.headers["x-content-type-options"] == "nosniff"
    other = Client(server).get("/livez", headers={"x-request-id": "bad id {}" * 20})
    assert other.headers["x-request-id"] and "{" not in other.headers["x-request-id"]


def test_health(server):
    client = Client(server)
    for path in ("/health", "/livez", "/readyz"):
        assert client.get(path).status_code == 200, path
    assert client.get("/health").json()["status"] == "ok"


def test_cors_is_off_until_configured(serve):
    closed = serve(DEFINITION)
    preflight = {"origin": "https://app.example", "access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    assert "access-control-allow-origin" not in Client(closed).options("/api/v1/things", headers=preflight).headers
    server = serve(dict(DEFINITION, server={"store": "sqlite:test.db", "cors": {"origins": ["https://app.example"]}}))
    allowed = Client(server).options("/api/v1/things", headers=preflight)
    assert allowed.status_code == 204 and allowed.headers["access-control-allow-origin"] == "https://app.example"
    assert "POST" in allowed.headers["access-control-allow-methods"]
    assert "access-control-allow-origin" not in Client(server).get("/api/v1/things", headers={"origin": "https://evil.example"}).headers
    assert Client(server).get("/nothing", headers={"origin": "https://app.example"}).headers["access-control-allow-origin"] == "https://app.example"


def test_request_logs_are_json_without_secrets(server):
    Client(server).get("/api/v1/things?token=hunter2hunter2", headers={"authorization": "Bearer hunter2hunter2", "x-request-id": "find-me"})
    record = server.wait_event(lambda r: r.get("request_id") == "find-me")
    assert record["event"] == "request" and record["method"] == "GET" and record["status"] >= 400 and "duration_us" in record and len(record["trace_id"]) == 32
    assert "hunter2" not in server.log_path.read_text()
