"""What the tests of conformance and of abuse share: a server with a port in the clear and one over TLS, and clients of bare bytes."""
import collections
import json
import os
import pathlib
import select
import socket
import ssl
import struct
import subprocess
import time

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from servers import BINARY, START_TIMEOUT, Server

WAIT = 60  # for what must come; nothing waits this long unless it is broken
Answer = collections.namedtuple("Answer", "status fields body")
SANITIZED = any(mark in pathlib.Path(BINARY).read_bytes() for mark in (b"__asan_init", b"__tsan_init"))
THINGS = {"models": {"Thing": {"type": "object", "properties": {"text": {"type": "string"}}}},
          "resources": {"things": {"model": "Thing", "access": {"default": "public"}, "changes": True}}}


class Target(Server):
    """A server at `port` in the clear and at `tls_port` over TLS, that says what it has open."""

    def __init__(self, folder, definition=None, preexec=None, **server):
        self.preexec = preexec
        subprocess.run([BINARY, "cert", "self-signed", "--out", str(folder)], check=True, capture_output=True, timeout=WAIT)
        settings = {"listen": ["127.0.0.1:0", {"address": "127.0.0.1:0", "tls": True}], "store": "sqlite:t.db", "workers": 2,
                    "tls": {"certificates": [{"certificate": "certificate.pem", "key": "key.pem"}]}, **server}
        super().__init__(folder, {**THINGS, **(definition or {}), "server": settings})

    def start(self):
        self.log = open(self.log_path, "ab")
        self.process = subprocess.Popen([BINARY, "serve", str(self.path)], stdout=subprocess.PIPE, stderr=self.log, cwd=self.folder, env=self.env,
                                        preexec_fn=self.preexec, bufsize=0)
        said = b""
        while said.count(b"\n") < 2:
            ready, _, _ = select.select([self.process.stdout], [], [], START_TIMEOUT)
            got = os.read(self.process.stdout.fileno(), 4096) if ready else b""
            if not got:
                self.kill()
                raise RuntimeError(f"the server did not start: {said!r}\n{self.log_path.read_text()}")
            said += got
        self.host = "127.0.0.1"
        self.port, self.tls_port = (int(line.rsplit(b":", 1)[1]) for line in said.splitlines())
        self.url = f"http://127.0.0.1:{self.port}"

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def sockets(self):
        """Descriptors that are sockets; the server opens others (readers of the store) as it needs them."""
        count = 0
        for name in os.listdir(f"/proc/{self.process.pid}/fd"):
            try:
                count += os.readlink(f"/proc/{self.process.pid}/fd/{name}").startswith("socket:")
            except FileNotFoundError:
                pass
        return count

    def spools(self):
        """Files that are open and have no name any more: temporary ones."""
        links = []
        for name in os.listdir(f"/proc/{self.process.pid}/fd"):
            try:
                links.append(os.readlink(f"/proc/{self.process.pid}/fd/{name}"))
            except FileNotFoundError:
                pass
        return [link for link in links if link.endswith("(deleted)") and not link.startswith("/memfd:")]

    def cpu_ticks(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    def finish(self):
        """Stops it, which must go as it should, and looks whether a sanitizer had something to say."""
        status = self.stop() if self.process.poll() is None else self.process.returncode
        log = self.log_path.read_text()
        assert status == 0 and "Sanitizer" not in log and "runtime error" not in log, log[-6000:]


def tls_context(*alpn):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


class Raw:
    """A connection on which whatever bytes are sent, and answers of HTTP/1.1 read."""

    def __init__(self, server, tls=False, alpn=(), receive_buffer=0):
        self.socket = socket.socket()
        self.socket.settimeout(WAIT)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(("127.0.0.1", server.tls_port if tls else server.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = tls_context(*alpn).wrap_socket(self.socket, server_hostname="localhost")
        self.data, self.tls = b"", tls

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        """False when the server has closed already: what it said may still be read."""
        try:
            self.socket.sendall(data)
            return True
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            return False

    def receive(self):
        """More bytes; False at the end, however it comes."""
        try:
            got = self.socket.recv(65536)
        except (ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return False
        self.data += got
        return bool(got)

    def take(self, size):
        while len(self.data) < size:
            if not self.receive():
                return None
        got, self.data = self.data[:size], self.data[size:]
        return got

    def take_until(self, mark):
        while mark not in self.data:
            if not self.receive():
                return None
        got, self.data = self.data.split(mark, 1)
        return got

    def answer(self, method=b"GET"):
        """The next one, past those in between (100); None at the end of the connection."""
        head = self.take_until(b"\r\n\r\n")
        if head is None:
            assert not self.data, f"half an answer: {self.data!r}"
            return None
        line, *lines = head.split(b"\r\n")
        assert line.startswith((b"HTTP/1.1 ", b"HTTP/1.0 ")), line
        fields = {name.lower(): value.strip() for name, value in (text.split(b":", 1) for text in lines)}
        status = int(line.split(b" ")[1])
        if status == 100:
            return self.answer(method)
        if method == b"HEAD" or status in (204, 304):
            return Answer(status, fields, b"")
        if fields.get(b"transfer-encoding") != b"chunked":
            return Answer(status, fields, self.take(int(fields[b"content-length"])))
        body = b""
        while size := int(self.take_until(b"\r\n"), 16):
            body += self.take(size)
            assert self.take(2) == b"\r\n"
        assert self.take(2) == b"\r\n"
        return Answer(status, fields, body)

    def ended(self):
        """Whether the server ends the connection without another byte."""
        while self.receive():
            pass
        return not self.data

    def frames(self):
        """Of HTTP/2, as they come: (type, flags, stream, payload)."""
        while head := self.take(9):
            payload = self.take(int.from_bytes(head[:3], "big"))
            if payload is None:
                return
            yield head[3], head[4], int.from_bytes(head[5:], "big") & 0x7FFFFFFF, payload

    def farewell(self):
        """The error of the GOAWAY with which the server ends the connection; None: it ended without a word."""
        error = None
        for kind, _, _, payload in self.frames():
            if kind == GOAWAY:
                error = h2.errors.ErrorCodes(int.from_bytes(payload[4:8], "big")).name
        return error

    def reset(self):
        """Goes without a word: RST instead of FIN, and no close_notify."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.vanish()

    def vanish(self):
        if self.tls:
            descriptor = self.socket.detach()
            os.close(descriptor)
        else:
            self.socket.close()


LIVEZ = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"


def serves(server):
    """Somebody else is answered."""
    with Raw(server) as other:
        other.send(LIVEZ)
        answer = other.answer()
        return answer is not None and answer.status == 200


def settles(condition, what, timeout=WAIT):
    """Waits, by asking again, for what the server does when it hears of something and shows only from outside."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, what() if callable(what) else what
        select.select([], [], [], 0.01)


def document(text="a"):
    return json.dumps({"text": text}, separators=(",", ":")).encode()


class Two(Raw):
    """A connection of HTTP/2, by python3-h2 for what is proper and with bare frames for what is not."""

    def __init__(self, server, tls=False, receive_buffer=0, settings=None):
        super().__init__(server, tls, ("h2",), receive_buffer)
        config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8", validate_outbound_headers=False, normalize_outbound_headers=False)
        self.h2, self.events = h2.connection.H2Connection(config), []
        if settings:
            self.h2.local_settings = h2.settings.Settings(client=True, initial_values=settings)
        self.h2.initiate_connection()
        self.flush()

    def flush(self):
        return self.send(self.h2.data_to_send())

    def ask(self, path=b"/livez", *fields, method=b"GET", end=True):
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, [(b":method", method), (b":path", path), (b":scheme", b"http"), (b":authority", b"x"), *fields], end_stream=end)
        self.flush()
        return stream

    def post(self, body, *fields, path=b"/api/v1/things"):
        stream = self.ask(path, (b"content-type", b"application/json"), *fields, method=b"POST", end=False)
        at = 0
        try:
            while at < len(body):
                size = min(16384, len(body) - at, self.h2.local_flow_control_window(stream))
                if size:
                    self.h2.send_data(stream, body[at:at + size], end_stream=at + size == len(body))
                    at += size
                if not (self.flush() if size else self.hear()):
                    break
        except h2.exceptions.StreamClosedError:
            pass  # the server has heard enough
        return stream

    def hear(self):
        """What comes next, as events; False at the end."""
        if not self.receive():
            return False
        data, self.data = self.data, b""
        self.events += self.h2.receive_data(data)
        self.flush()
        return True

    def wait(self, kind, condition=lambda event: True):
        """The next event of this kind; None when the connection ends before."""
        while True:
            for at, event in enumerate(self.events):
                if isinstance(event, kind) and condition(event):
                    return self.events.pop(at)
            if not self.hear():
                return None

    def status(self, stream):
        """That of the answer; an int. A reset instead: its name."""
        event = self.wait((h2.events.ResponseReceived, h2.events.StreamReset, h2.events.ConnectionTerminated),
                          lambda e: getattr(e, "stream_id", stream) == stream)
        if isinstance(event, h2.events.ResponseReceived):
            return int(dict(event.headers)[":status"])
        return None if event is None else h2.errors.ErrorCodes(event.error_code).name


DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)


def frame(kind, stream=0, payload=b"", flags=0, length=None):
    return struct.pack(">I", len(payload) if length is None else length)[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload
