"""WebSocket and server-sent events through the real host: with a client that others wrote, over HTTP/2, when peers do not read, and at the end."""
import asyncio
import signal
import socket
import struct

import h2.config
import h2.connection
import h2.events
import pytest
import requests
import websockets

import ws_client
from ws_client import CLOSE, PING, TEXT, Peer, close, frame


@pytest.fixture
def server(tmp_path):
    running = ws_client.start(tmp_path)
    yield running
    if running.process.poll() is None:
        assert running.stop() == 0


def closes(server, count):
    """What the handler was told at the end of its sockets."""
    server.wait_event(lambda _: len(server.events("test.closed")) >= count)
    return [(e["code"], e["reason"]) for e in server.events("test.closed")]


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_a_client_that_others_wrote_talks_to_it(server, compression):
    async def talk():
        url = f"ws://{server.host}:{server.port}/echo"
        async with websockets.connect(url, compression=compression, subprotocols=["v1.echo", "v2.echo"], max_size=None) as client:
            assert client.subprotocol == "v2.echo"
            assert bool(client.extensions) == bool(compression)
            for message in ["", "Hello", "grüße " * 5000, b"", bytes(range(256)) * 4000]:
                await client.send(message)
                assert await client.recv() == message
            await client.send(["in ", "three ", "fragments"])
            assert await client.recv() == "in three fragments"
            await (await client.ping())
            await client.send("close 4001 as told")
            with pytest.raises(websockets.ConnectionClosed):
                await client.recv()
            assert (client.close_code, client.close_reason) == (4001, "as told")
    asyncio.run(talk())
    assert closes(server, 1) == [(4001, "as told")]


def test_a_message_over_the_cap_is_1009_and_a_bomb_too(server):
    with Peer(server, "/small", "permessage-deflate") as peer:
        peer.send(frame(TEXT, b"x" * 1000))
        assert peer.message() == (TEXT, b"x" * 1000)
        peer.send(frame(TEXT, ws_client.deflate(bytes(1001)), rsv=4))
        assert peer.message() == (CLOSE, 1009)
        assert peer.message() is None
    with Peer(server, "/small") as peer:
        peer.send(frame(TEXT, b"x" * 1001)[:12])
        assert peer.message() == (CLOSE, 1009)


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_foreign_pages_are_refused(server, origin):
    Peer(server, head=[f"Origin: {origin}"], expect=403).socket.close()


def test_a_plain_request_is_told_to_upgrade(server):
    answer = requests.get(server.url + "/echo", timeout=20)
    assert (answer.status_code, answer.headers["upgrade"], answer.headers["sec-websocket-version"]) == (426, "websocket", "13")
    assert "upgrade" in answer.headers["connection"].lower()


def test_a_peer_that_does_not_read_is_held_back(server):
    before = server.memory_kib()
    with Peer(server, "/plain") as peer:
        peer.socket.settimeout(1)
        message, sent = frame(TEXT, b"x" * 100000), 0
        with pytest.raises(TimeoutError):
            for _ in range(2000):
                peer.socket.sendall(message)
                sent += 1
        assert 0 < sent < 400
        assert server.memory_kib() - before < 16 << 10
        peer.socket.settimeout(ws_client.TIMEOUT)
        for _ in range(sent):
            assert peer.message() == (TEXT, b"x" * 100000)


def test_a_silent_peer_is_pinged_and_then_closed(server):
    with Peer(server, "/hasty") as peer:
        assert peer.message() == (PING, b"")
        assert peer.message() == (CLOSE, 1011)
        assert peer.message() is None
    assert closes(server, 1) == [(1011, "the ping has no answer")]


def test_a_peer_that_goes_is_1006(server):
    peer = Peer(server)
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.socket.close()
    Peer(server).socket.close()
    assert closes(server, 2) == [(1006, "")] * 2


def test_a_drain_says_going_away(server):
    with Peer(server) as peer:
        server.process.send_signal(signal.SIGTERM)
        assert peer.message() == (CLOSE, 1001)
        peer.send(close(1001))
        assert peer.message() is None
    assert server.process.wait(20) == 0
    assert closes(server, 1) == [(1001, "the server goes away")]
    server.close()


class Http2:
    """One stream of extended CONNECT (RFC 8441), in the clear."""

    def __init__(self, server, path):
        self.socket = socket.create_connection((server.host, server.port), ws_client.TIMEOUT)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.data, self.head, self.ended = b"", None, False
        self.flush()
        while not self.h2.remote_settings.enable_connect_protocol:
            self.turn()
        self.stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(self.stream, [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", path),
                                           (":authority", f"{server.host}:{server.port}"), ("sec-websocket-version", "13")])
        self.flush()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def turn(self):
        received = self.socket.recv(65536)
        assert received, "the connection ended"
        for event in self.h2.receive_data(received):
            if isinstance(event, h2.events.ResponseReceived):
                self.head = dict(event.headers)
            elif isinstance(event, h2.events.DataReceived):
                self.data += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                self.ended = True
        self.flush()

    def send(self, data):
        self.h2.send_data(self.stream, data)
        self.flush()

    def wait(self, condition):
        while not condition():
            self.turn()


def test_it_runs_over_http2(server):
    client = Http2(server, "/echo")
    client.wait(lambda: client.head)
    assert client.head[":status"] == "200" and "sec-websocket-accept" not in client.head
    client.send(frame(TEXT, b"over HTTP/2"))
    client.wait(lambda: len(client.data) >= 13)
    assert client.data == b"\x81\x0bover HTTP/2"
    client.send(close(1000))
    client.wait(lambda: client.ended)
    assert client.data[13:] == b"\x88\x02\x03\xe8"
    client.socket.close()
    assert closes(server, 1) == [(1000, "")]


# --- server-sent events

def events_of(lines):
    event = {}
    for line in lines:
        if not line:
            if event:
                yield event
            event = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = event[name] + "\n" + value if name in event else value


@pytest.mark.parametrize("coding", ["identity", "gzip", "br"])
def test_events_arrive_from_where_the_client_was(server, coding):
    with requests.get(server.url + "/events", headers={"last-event-id": "990", "accept-encoding": coding}, stream=True, timeout=20) as answer:
        assert answer.headers["content-type"] == "text/event-stream" and answer.headers["cache-control"] == "no-store"
        assert answer.headers.get("content-encoding", "identity") == coding
        events = list(events_of(answer.content.decode().split("\n")))
    assert 1500 <= int(events[0]["retry"]) <= 2500
    assert [e["id"] for e in events[1:-1]] == [str(n) for n in range(991, 1001)]
    assert all(e["data"] == "line one\nline two" and e["event"] == "number" for e in events[1:-1])
    assert events[-1] == {"event": "end", "data": '{"reason":"done"}'}


def test_silence_is_broken(server):
    with requests.get(server.url + "/silence", stream=True, timeout=20) as answer:
        lines = answer.iter_lines(chunk_size=1, decode_unicode=True)
        assert [line for line, _ in zip((line for line in lines if line.startswith(":")), range(3))] == [":"] * 3


def test_a_reader_that_stops_is_told_why_its_stream_ended(server):
    with socket.create_connection((server.host, server.port), 20) as slow:
        slow.sendall(b"GET /events?endless=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        with requests.get(server.url + "/silence", stream=True, timeout=20) as silence:
            beats = (line for line in silence.iter_lines(chunk_size=1, decode_unicode=True) if line.startswith(":"))
            for _ in range(20):  # longer than patience with the slow one lasts
                next(beats)
        data = b""
        while piece := slow.recv(65536):
            data = (data + piece)[-4096:]
    assert b'event: end\ndata: {"reason":"slow"}\n\n' in data
    record = server.wait_event(lambda r: r["event"] == "request" and r["path"] == "/events")
    assert record["error"] == "request_timeout"


def test_a_drain_ends_streams_with_an_event(server):
    with requests.get(server.url + "/silence", stream=True, timeout=20) as answer:
        lines = answer.iter_lines(chunk_size=1, decode_unicode=True)
        next(line for line in lines if line == ":")
        server.process.send_signal(signal.SIGTERM)
        assert [line for line in lines if line and line != ":"] == ["event: end", 'data: {"reason":"draining"}']
    assert server.process.wait(20) == 0
    server.close()
