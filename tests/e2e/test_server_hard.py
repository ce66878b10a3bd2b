"""The server against clients that mean no good, and at the edges of its promises: raw sockets against the real binary."""
import json
import os
import pathlib
import re
import select
import signal
import socket
import struct
import subprocess
import threading

import pytest

from servers import BINARY, Client, problem

ITEM = {"type": "object", "required": ["title"], "properties": {"title": {"type": "string", "minLength": 1}}}
OPEN = {"read": "public", "write": "public"}
DEFINITION = {"models": {"Item": ITEM}, "resources": {"items": {"model": "Item", "access": OPEN}}}
HEAD = b"Host: x\r\n"
WAIT = 30


def definition(**server):
    return dict(DEFINITION, server=server)


def connect(server):
    sock = socket.create_connection((server.host, server.port))
    sock.settimeout(WAIT)
    return sock


def read_all(sock):
    received = b""
    while data := sock.recv(65536):
        received += data
    return received


def exchange(server, data):
    """Sends bytes as they are; what comes until the server closes."""
    with connect(server) as sock:
        sock.sendall(data)
        return read_all(sock)


def request(method, target, *fields, body=b""):
    lines = b"".join(field + b"\r\n" for field in (b"Host: x", b"Connection: close", *fields))
    return method + b" " + target + b" HTTP/1.1\r\n" + lines + b"\r\n" + body


def statuses(answer):
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+)", answer)]


def create(title=b"x"):
    body = b'{"title":"%s"}' % title
    head = b"POST /api/v1/items HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    return head + body


@pytest.fixture
def server(serve):
    return serve(DEFINITION)


CHUNKED = (b"Content-Type: application/json", b"Transfer-Encoding: chunked")
REFUSED = {
    "an empty Content-Length": (400, request(b"POST", b"/api/v1/items", b"Content-Length: ")),
    "a signed Content-Length": (400, request(b"POST", b"/api/v1/items", b"Content-Length: +2", body=b"{}")),
    "a list in Content-Length": (400, request(b"POST", b"/api/v1/items", b"Content-Length: 2, 2", body=b"{}")),
    "a Content-Length past 64 bits": (400, request(b"POST", b"/api/v1/items", b"Content-Length: 18446744073709551618", body=b"{}")),
    "a Content-Length past 63 bits": (413, request(b"POST", b"/api/v1/items", b"Content-Length: 9223372036854775808")),
    "a tab before chunked": (400, request(b"POST", b"/api/v1/items", b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n")),
    "a coding that only ends in chunked": (501, request(b"POST", b"/api/v1/items", b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n")),
    "an empty Transfer-Encoding": (501, request(b"POST", b"/api/v1/items", b"Transfer-Encoding: ", body=b"0\r\n\r\n")),
    "chunked twice": (501, request(b"POST", b"/api/v1/items", *CHUNKED, b"Transfer-Encoding: chunked", body=b"0\r\n\r\n")),
    "a chunk of hex with a prefix": (400, request(b"POST", b"/api/v1/items", *CHUNKED, body=b"0x2\r\n{}\r\n0\r\n\r\n")),
    "a chunk past 64 bits": (400, request(b"POST", b"/api/v1/items", *CHUNKED, body=b"10000000000000002\r\n{}\r\n0\r\n\r\n")),
    "a bare LF in a chunk extension": (400, request(b"POST", b"/api/v1/items", *CHUNKED, body=b"2;a=\nb\r\n{}\r\n0\r\n\r\n")),
    "a chunk longer than it says": (400, request(b"POST", b"/api/v1/items", *CHUNKED, body=b"2\r\n{}x\r\n0\r\n\r\n")),
    "a Content-Length in a trailer": (400, request(b"POST", b"/api/v1/items", *CHUNKED, body=b"2\r\n{}\r\n0\r\nContent-Length: 9\r\n\r\n")),
    "a folded trailer": (400, request(b"POST", b"/api/v1/items", *CHUNKED, body=b"2\r\n{}\r\n0\r\nX: 5\r\n y\r\n\r\n")),
    "a NUL in a field": (400, request(b"GET", b"/livez", b"X: a\0b")),
    "a line end of LF alone": (400, b"GET /livez HTTP/1.1\r\nHost: x\nX: y\r\n\r\n"),
    "an end of LF alone": (400, b"GET /livez HTTP/1.1\r\nHost: x\r\n\n"),
    "a user in Host": (400, b"GET /livez HTTP/1.1\r\nHost: a@b\r\n\r\n"),
    "a user in the target": (400, request(b"GET", b"http://u:p@x/livez")),
    "a fragment": (400, request(b"GET", b"/livez#x")),
    "a broken escape, though nothing is there": (400, request(b"GET", b"/nowhere/%zz")),
    "an escaped NUL": (400, request(b"GET", b"/api/v1/items/%00")),
    "an overlong slash": (400, request(b"GET", b"/api/v1/items/%c0%af")),
    "an escaped surrogate": (400, request(b"GET", b"/api/v1/items/%ed%a0%80")),
    "dots that leave a folder": (404, request(b"GET", b"/docs/../livez")),
    "escaped dots": (404, request(b"GET", b"/docs/%2e%2e/livez")),
    "an escaped slash": (404, request(b"GET", b"/api%2fv1/items")),
    "two slashes": (404, request(b"GET", b"//livez")),
    "a path parameter": (404, request(b"GET", b"/livez;a=b")),
    "TRACE": (405, request(b"TRACE", b"/livez")),
    "CONNECT": (501, b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a greeting of TLS": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 200),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_ambiguous_or_devious_is_refused_and_nothing_behind_it_is_read(server, name):
    status, data = REFUSED[name]
    assert statuses(exchange(server, data + request(b"GET", b"/livez"))) == [status]


def test_hanging_up_in_every_state_breaks_nothing_and_is_no_error_of_the_server(serve):
    """Storms of clients that send some of their requests, or all, and go in one of the ways there are, also while rows wait in the writer."""
    server = serve(definition(timeouts={"idle": "5s"}))

    def storm(seed):
        for i in range(60):
            kind = (seed * 7 + i) % 6
            data = create() * (1 + i % 12)
            try:
                sock = connect(server)
                sock.sendall(data[: len(data) - (i % 9) * 11] if kind < 3 else data)
                if kind in (0, 3):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                elif kind == 1:
                    sock.shutdown(socket.SHUT_WR)
                elif kind == 4:
                    sock.recv(10)
                elif kind == 5:
                    sock.send(b"!", socket.MSG_OOB)
                sock.close()
            except OSError:
                pass

    threads = [threading.Thread(target=storm, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answer = Client(server).post("/api/v1/items", json={"title": "last"})
    assert answer.status_code == 201
    assert server.stop() == 0
    failed = [r for r in server.events("request") if r["status"] >= 500]
    assert not failed, failed[:3]
    cancelled = [r for r in server.events("request") if r["status"] == 499]
    assert all(r["error"] == "cancelled" and r["peer"].startswith("127.0.0.1:") for r in cancelled)


def test_a_stop_while_clients_storm_and_passwords_are_hashed_is_clean(serve):
    server = serve(dict(DEFINITION, identity={}, server={}))
    answers = []

    def register(number):
        body = json.dumps({"username": f"u{number}", "email": f"u{number}@example.com", "password": "correct horse battery"}).encode()
        fields = b"Content-Type: application/json", b"Content-Length: %d" % len(body)
        answers.append(statuses(exchange(server, request(b"POST", b"/auth/register", *fields, body=body))))

    gone = connect(server)  # hangs up while its password is hashed
    body = b'{"username":"gone","email":"gone@example.com","password":"correct horse battery"}'
    gone.sendall(request(b"POST", b"/auth/register", b"Content-Type: application/json", b"Content-Length: %d" % len(body), body=body))
    threads = [threading.Thread(target=register, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    while not answers:  # some are done, some wait
        threads[0].join(0.01)
    gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    gone.close()
    assert server.stop() == 0
    for thread in threads:
        thread.join()
    assert all(answer in ([201], []) for answer in answers), answers


def stalled_log(folder, lines):
    """A server whose log nobody reads, with more lines waiting than a pipe holds."""
    (folder / "definition.json").write_text(json.dumps(DEFINITION))
    reader, writer = os.pipe()
    command = [BINARY, "serve", str(folder / "definition.json"), "--listen", "127.0.0.1:0", "--workers", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=writer, cwd=folder, env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"))
    os.close(writer)
    assert select.select([process.stdout], [], [], WAIT)[0]
    port = int(process.stdout.readline().decode().rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.settimeout(WAIT)
        for _ in range(lines // 50):
            sock.sendall(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
            seen = b""
            while seen.count(b"HTTP/1.1 404") < 50:
                seen += sock.recv(1 << 20)
    return process, reader


@pytest.mark.skipif(b"__tsan_init" in pathlib.Path(BINARY).read_bytes(), reason="ThreadSanitizer holds signals back while write(2) waits")
def test_a_second_signal_stops_at_once_though_nobody_reads_the_log(tmp_path):
    process, reader = stalled_log(tmp_path, 2000)
    try:
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)  # the log is to be written whole
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        os.close(reader)


def test_signals_that_come_together_are_one(serve):
    """As timeout(1) sends them, and whoever signals a process and its group."""
    server = serve(DEFINITION)
    with connect(server) as sock:
        sock.sendall(create().replace(b"Host", b"Expect: 100-continue\r\nHost").split(b"\r\n\r\n")[0] + b"\r\n\r\n")
        assert statuses(sock.recv(100)) == [100]  # it is under way
        for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGINT, signal.SIGCONT):  # both wait for it to go on
            server.process.send_signal(number)
        server.wait_event(lambda record: record["event"] == "draining")
        sock.sendall(b'{"title":"x"}')
        assert statuses(read_all(sock)) == [201]
    assert server.stop() == 0


def test_a_refused_request_is_logged_with_its_peer_and_no_made_up_method(server):
    assert statuses(exchange(server, b"GET /livez HTTP/1.1\r\n\r\n")) == [400]
    record = server.wait_event(lambda r: r["event"] == "request" and r["status"] == 400)
    assert record["method"] == "other" and record["peer"].startswith("127.0.0.1:")


def test_accept_may_come_in_several_fields(server):
    html, any_json = b"Accept: text/html", b"Accept: application/json;q=0.5"
    assert statuses(exchange(server, request(b"GET", b"/api/v1/items", html))) == [406]
    assert statuses(exchange(server, request(b"GET", b"/api/v1/items", html, any_json))) == [200]


def test_secrets_in_a_query_are_hidden_however_their_names_are_written(server):
    Client(server).get("/api/v1/items?user%5Bpassword%5D=hunter2&filter[token]=hunter2&p%61ssword=hunter2&title=seen&api%5Fkey=hunter2")
    record = server.wait_event(lambda r: r.get("query"))
    assert "hunter2" not in json.dumps(record) and "title=seen" in record["query"]


@pytest.mark.parametrize("operation", [["a", "d", "d"], {"a": 1, "b": 2, "c": 3}, [], 3, None])
def test_a_patch_whose_operation_is_no_word_is_refused(server, operation):
    """A list of three read as a word of three letters at no address, once."""
    assert Client(server).post("/api/v1/items", json={"title": "x"}).status_code == 201
    body = json.dumps([{"op": operation, "path": "/title", "value": "y"}])
    answer = Client(server).patch("/api/v1/items/1", data=body, headers={"content-type": "application/json-patch+json"})
    assert answer.status_code in (400, 422) and "op" in answer.text


def test_log_lines_cannot_be_forged(server):
    forged = b'x"},{"event":"forged'
    exchange(server, request(b"GET", b'/nowhere/"%0A{"event":"forged"}?a="}%0d%0a', b"User-Agent: " + forged, b"X-Request-Id: " + forged))
    record = server.wait_event(lambda r: r["event"] == "request" and r["status"] == 404)
    assert record["user_agent"] == forged.decode() and record["request_id"] != forged.decode()
    assert not server.events("forged")


def once(pairs):
    members = dict(pairs)
    assert len(members) == len(pairs), "a name stands twice: " + ", ".join(name for name, _ in pairs)
    return members


def test_models_may_be_named_as_the_server_names_its_own_schemas(serve):
    names = ("Account", "Token", "Problem")
    models = {name: {"type": "object", "properties": {name.lower(): {"type": "string"}}, "required": [name.lower()]} for name in names}
    resources = {f"{name.lower()}_rows": {"model": name, "access": OPEN} for name in names}
    server = serve({"identity": {}, "models": models, "resources": resources})
    text = Client(server).get("/openapi.json").text
    document = json.loads(text, object_pairs_hook=once)
    schemas = document["components"]["schemas"]
    assert "error_code" in schemas["Problem"]["properties"] and "access_token" in schemas["Token"]["properties"]
    for name in names:
        body = document["paths"][f"/api/v1/{name.lower()}_rows"]["post"]["requestBody"]["content"]["application/json"]["schema"]
        own = next(s["$ref"] for s in body.get("oneOf", body.get("anyOf", [body])) if "$ref" in s)
        assert name.lower() in json.dumps(schemas[own.rsplit("/", 1)[1]])


def test_pages_of_other_origins_may_read_what_the_api_says_in_headers(serve):
    server = serve(definition(cors={"origins": ["https://app.example.com"]}))
    answer = Client(server).get("/api/v1/items", headers={"origin": "https://app.example.com"})
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert {"etag", "location", "idempotency-replayed", "preference-applied", "accept-patch"} <= set(exposed)
    assert "access-control-allow-origin" not in Client(server).get("/api/v1/items", headers={"origin": "null"}).headers


def test_findings_do_not_print_what_came_from_variables(tmp_path):
    path = tmp_path / "definition.json"
    path.write_text(json.dumps(definition(listen="${LISTEN}", cors={"origins": ["${ORIGIN}"]})))
    secret = "hunter2-hunter2"
    result = subprocess.run([BINARY, "check", str(path)], capture_output=True, text=True, timeout=WAIT,
                            env=dict(os.environ, LISTEN=secret, ORIGIN=f"https://{secret}/path"))
    assert result.returncode != 0
    told = result.stdout + result.stderr
    assert "/server/listen" in told and "/server/cors/origins/0" in told and secret not in told


def test_a_costly_pattern_does_not_hold_the_server(serve):
    """Thousands of strings that each take a while to match, in one body: whoever comes next is answered soon."""
    model = {"type": "object", "properties": {"words": {"type": "array", "items": {"type": "string", "pattern": "(a+)+$"}}}}
    server = serve({"models": {"Text": model}, "resources": {"texts": {"model": "Text", "access": OPEN}}}, "--workers", "1")
    answer = Client(server).post("/api/v1/texts", json={"words": ["aaaaaaaaaaaaaaab a"] * 40000}, timeout=WAIT)
    assert "takes too long" in json.dumps(problem(answer, 422)["errors"])
    record = server.wait_event(lambda r: r["event"] == "request" and r["status"] == 422)
    assert record["duration_us"] < 5_000_000
