"""A WebSocket client of bare frames, which may break every rule, and the server that answers it."""
import base64
import os
import pathlib
import secrets
import select
import socket
import struct
import zlib

import servers

ECHO = pathlib.Path(servers.BINARY).resolve().parent / "tests" / "tools" / "ws_echo"
TIMEOUT = 20
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def start(folder):
    """A running ws_echo."""
    class Echo(servers.Server):
        def start(self):
            binary, servers.BINARY = servers.BINARY, str(ECHO)
            try:
                super().start()
            finally:
                servers.BINARY = binary
    return Echo(folder, {"server": {"store": "sqlite::memory:", "secret": secrets.token_hex(32)}})


def frame(opcode, payload=b"", fin=True, rsv=0, mask=b"\x37\xfa\x21\x3d", length=None):
    """The bytes of a frame. `length` overrides how the length is written: (marker, bytes)."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    size = len(payload)
    if length is None:
        marker, extra = (size, b"") if size < 126 else (126, struct.pack(">H", size)) if size < 65536 else (127, struct.pack(">Q", size))
    else:
        marker, extra = length
    head = bytes([first, marker | (0x80 if mask is not None else 0)]) + extra
    if mask is None:
        return head + payload
    key = (mask * (size // 4 + 1))[:size]
    return head + mask + (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


def close(code=None, reason=b""):
    return frame(CLOSE, b"" if code is None else struct.pack(">H", code) + reason)


class Peer:
    """A connection after its handshake."""

    def __init__(self, server, path="/echo", extensions=None, head=(), expect=101):
        self.socket = socket.create_connection((server.host, server.port), TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", f"Host: {server.host}:{server.port}", "Upgrade: websocket", "Connection: Upgrade",
                 f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", *head]
        if extensions:
            lines.append(f"Sec-WebSocket-Extensions: {extensions}")
        self.send("\r\n".join([*lines, "", ""]).encode())
        while b"\r\n\r\n" not in self.buffer:
            assert self.fill(), self.buffer
        answer, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        status, *fields = answer.decode().split("\r\n")
        self.status = int(status.split()[1])
        self.fields = {name.lower(): value.strip() for name, value in (field.split(":", 1) for field in fields)}
        assert self.status == expect, answer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *pieces):
        try:
            for piece in pieces:
                self.socket.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused meanwhile: what it said about that can be read still

    def chop(self, data, size=1):
        for at in range(0, len(data), size):
            self.send(data[at:at + size])

    def fill(self):
        try:
            piece = self.socket.recv(1 << 16)
        except ConnectionResetError:
            piece = b""
        self.buffer += piece
        return bool(piece)

    def need(self, size):
        while len(self.buffer) < size:
            if not self.fill():
                return False
        return True

    def receive(self):
        """The next frame as (opcode, fin, rsv, payload); None at the end of the connection."""
        if not self.need(2):
            assert not self.buffer, "the connection ended within a frame"
            return None
        first, second = self.buffer[:2]
        assert not second & 0x80, "a server's frame is not masked"
        marker, head = second & 0x7F, 2
        extended = {126: 2, 127: 8}.get(marker, 0)
        assert self.need(2 + extended)
        size = int.from_bytes(self.buffer[2:2 + extended], "big") if extended else marker
        assert size > (125 if extended == 2 else 65535 if extended == 8 else -1), "the shortest form of a length"
        head += extended
        assert self.need(head + size)
        payload, self.buffer = self.buffer[head:head + size], self.buffer[head + size:]
        return first & 15, bool(first & 0x80), first >> 4 & 7, payload

    def message(self):
        """The next frame, inflated where it is compressed, as (opcode, payload); a close as (8, code)."""
        got = self.receive()
        if got is None:
            return None
        opcode, fin, rsv, payload = got
        assert fin and rsv in (0, 4)
        if rsv:
            payload = zlib.decompressobj(-15).decompress(payload + b"\x00\x00\xff\xff")
        if opcode == CLOSE:
            return CLOSE, struct.unpack(">H", payload[:2])[0] if payload else 1005
        return opcode, payload

    def everything(self):
        """All frames up to the end of the connection."""
        frames = []
        while (got := self.message()) is not None:
            frames.append(got)
        return frames

    def nothing_yet(self):
        return not self.buffer and not select.select([self.socket], [], [], 0)[0]


def deflate(data, bits=15, takeover=None):
    compressor = takeover or zlib.compressobj(wbits=-bits)
    packed = compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return packed[:-4]
