"""HTTP/2 in the clear by prior knowledge, with clients that others wrote: httpx, curl, and python3-h2 for what a client should not do."""
import json
import socket
import subprocess

import h2.config
import h2.connection
import h2.errors
import h2.events
import httpx
import pytest

DEFINITION = {
    "server": {"store": "sqlite:test.db", "limits": {"body": "1MiB"}},
    "models": {"Thing": {"type": "object", "properties": {"text": {"type": "string"}}}},
    "resources": {"things": {"model": "Thing", "access": {"default": "public"}}},
}


@pytest.fixture
def server(serve):
    return serve(DEFINITION)


@pytest.fixture
def client(server):
    with httpx.Client(base_url=server.url, http1=False, http2=True, timeout=60, trust_env=False) as client:
        yield client


class Wire:
    """An h2 connection on a blocking socket."""

    def __init__(self, server):
        self.socket = socket.create_connection((server.host, server.port), timeout=60)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.send()
        self.events = []

    def send(self):
        self.socket.sendall(self.h2.data_to_send())

    def get(self, path, end_stream=True, method="GET", headers=()):
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, [(":method", method), (":path", path), (":scheme", "http"), (":authority", "x"), *headers], end_stream=end_stream)
        self.send()
        return stream

    def wait(self, kind, condition=lambda event: True):
        """The next event of this kind."""
        while True:
            for at, event in enumerate(self.events):
                if isinstance(event, kind) and condition(event):
                    return self.events.pop(at)
            data = self.socket.recv(65536)
            assert data, f"the connection ended before a {kind.__name__}"
            self.events += self.h2.receive_data(data)
            self.send()


@pytest.fixture
def wire(server):
    wire = Wire(server)
    yield wire
    wire.socket.close()


def test_resources_are_served_over_http2(client):
    made = client.post("/api/v1/things", json={"text": "one"})
    assert made.status_code == 201 and made.http_version == "HTTP/2"
    got = client.get(f"/api/v1/things/{made.json()['id']}")
    assert got.json()["text"] == "one"
    assert client.head(f"/api/v1/things/{made.json()['id']}").content == b""
    missing = client.get("/api/v1/things/999999")
    assert missing.status_code == 404 and missing.json()["status"] == 404


def test_a_large_body_comes_and_goes_whole(client):
    text = "x" * 500_000
    made = client.post("/api/v1/things", json={"text": text})
    assert made.status_code == 201
    assert client.get(f"/api/v1/things/{made.json()['id']}").json()["text"] == text
    assert client.post("/api/v1/things", json={"text": "x" * (1 << 20)}).status_code == 413


def test_both_protocols_are_spoken_at_one_port(server):
    for option, version in (("--http1.1", "1.1"), ("--http2-prior-knowledge", "2")):
        done = subprocess.run(["curl", "-s", option, "-w", "%{http_version}", "-o", "/dev/null", f"{server.url}/livez"], capture_output=True, text=True, timeout=60, check=True)
        assert done.stdout == version


def test_streams_are_answered_side_by_side(wire):
    streams = [wire.get("/livez") for _ in range(100)]
    for stream in streams:
        headers = dict(wire.wait(h2.events.ResponseReceived, lambda e, s=stream: e.stream_id == s).headers)
        assert headers[":status"] == "200"
        assert "connection" not in headers


def test_more_streams_than_announced_are_not_served(wire):
    wire.wait(h2.events.RemoteSettingsChanged)
    wire.wait(h2.events.SettingsAcknowledged)
    assert wire.h2.remote_settings.max_concurrent_streams == 128
    wire.h2.remote_settings[h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS] = 1000
    wire.h2.remote_settings.acknowledge()
    for _ in range(129):
        wire.get("/api/v1/things", end_stream=False, method="POST", headers=[("content-type", "application/json")])
    ended = wire.wait((h2.events.ConnectionTerminated, h2.events.StreamReset))
    assert ended.error_code in (h2.errors.ErrorCodes.PROTOCOL_ERROR, h2.errors.ErrorCodes.REFUSED_STREAM)


def test_rapid_resets_end_the_connection_and_nobody_elses(server, wire, client):
    wire.wait(h2.events.RemoteSettingsChanged)
    try:
        for _ in range(1000):
            stream = wire.get("/api/v1/things", end_stream=False, method="POST", headers=[("content-type", "application/json")])
            wire.h2.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
            wire.send()
    except (BrokenPipeError, ConnectionResetError):
        pass
    ended = wire.wait(h2.events.ConnectionTerminated)
    assert ended.error_code == h2.errors.ErrorCodes.ENHANCE_YOUR_CALM
    assert client.get("/livez").status_code == 200


def test_a_stop_says_goodbye_and_finishes_what_is_under_way(server, wire):
    body = json.dumps({"text": "late"}).encode()
    stream = wire.get("/api/v1/things", end_stream=False, method="POST", headers=[("content-type", "application/json"), ("content-length", str(len(body)))])
    wire.wait(h2.events.SettingsAcknowledged)
    wire.h2.ping(b"12345678")
    wire.send()
    wire.wait(h2.events.PingAckReceived)  # the head has been read
    server.process.terminate()
    data = b""
    while b"\x07\x00\x00\x00\x00\x00" not in data:  # a GOAWAY frame, which h2 would take for the end of everything
        data += wire.socket.recv(65536)
    wire.h2.send_data(stream, body, end_stream=True)
    wire.send()
    while piece := wire.socket.recv(65536):
        data += piece
    assert b"late" in data
    assert server.process.wait(60) == 0


def test_garbage_behind_the_preface_is_answered_with_goaway(server):
    with socket.create_connection((server.host, server.port), timeout=60) as raw:
        raw.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 100)
        data = b""
        while piece := raw.recv(65536):
            data += piece
    assert b"\x07\x00\x00\x00\x00\x00" in data
