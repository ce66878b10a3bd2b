"""An HTTP server that does what servers should not: a thread a connection, bytes written by hand. The first segment of the path says what
it does; query parameters say how. It keeps what it was asked in `requests`."""
import collections
import email.utils
import gzip
import json
import socket
import struct
import threading
import time
import urllib.parse
import zlib

Request = collections.namedtuple("Request", "method path query fields body connection")
BEHAVIOUR = {}


def behaves(function):
    BEHAVIOUR[function.__name__.replace("_", "-")] = function
    return function


class Gone(Exception):
    """The connection is to be closed."""


class Connection:
    def __init__(self, server, sock, number):
        self.server, self.sock, self.number, self.answered = server, sock, number, 0
        self.file = sock.makefile("rb")

    def send(self, data):
        try:
            self.sock.sendall(data)
        except OSError as error:
            raise Gone from error

    def reset(self):
        """RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Gone

    def until_gone(self, piece=b"", pause=0.01):
        """Goes on until the client leaves, or the server ends."""
        while not self.server.ended.wait(pause):
            self.send(piece)
            if not piece:
                self.sock.settimeout(0.01)
                try:
                    if not self.sock.recv(65536):
                        break
                except TimeoutError:
                    pass
                except OSError:
                    break
        raise Gone

    def answer(self, status=200, body=b"{}", fields=(), phrase="X"):
        head = "".join(f"{name}: {value}\r\n" for name, value in [("Content-Length", len(body)), *fields])
        self.send(f"HTTP/1.1 {status} {phrase}\r\n{head}\r\n".encode("latin-1") + body)

    def read_line(self):
        line = self.file.readline(65537)
        if not line:
            raise Gone
        return line.rstrip(b"\r\n").decode("latin-1")

    def read_body(self, fields):
        if "chunked" in fields.get("transfer-encoding", ""):
            body = b""
            while size := int(self.read_line(), 16):
                body += self.file.read(size)
                self.file.readline()
            self.file.readline()
            return body
        return self.file.read(int(fields.get("content-length", 0)))

    def serve(self):
        try:
            while True:
                method, target, _ = self.read_line().split(" ", 2)
                fields = {}
                while line := self.read_line():
                    name, value = line.split(":", 1)
                    fields[name.lower()] = value.strip()
                url = urllib.parse.urlsplit(target)
                query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
                name = url.path.strip("/").split("/")[0]
                unread = name.startswith("unread-")
                request = Request(method, url.path, query, fields, b"" if unread else self.read_body(fields), self.number)
                with self.server.lock:
                    self.server.requests.append(request)
                    self.server.asked.set()
                BEHAVIOUR.get(name, ok)(self, request)
                self.answered += 1
        except (Gone, OSError, ValueError):
            pass
        finally:
            self.file.close()
            self.sock.close()


class HostileApi:
    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.requests, self.lock, self.asked, self.ended, self.count = [], threading.Lock(), threading.Event(), threading.Event(), 0
        self.state = {}
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.count += 1
            threading.Thread(target=Connection(self, sock, self.count).serve, daemon=True).start()

    def wait_asked(self):
        """Until a request has come since the last `forget`."""
        assert self.asked.wait(60)

    def forget(self):
        with self.lock:
            self.requests.clear()
            self.asked.clear()
            self.state.clear()

    def paths(self):
        return [request.path for request in self.requests]

    def __enter__(self):
        return self

    def __exit__(self, *rest):
        self.ended.set()
        self.listener.close()


# --- good behaviour --------------------------------------------------------------------------------------------------------------------

@behaves
def ok(c, r):
    body = json.dumps({"method": r.method, "path": r.path, "query": r.query, "fields": r.fields, "body": r.body.decode("latin-1")[:1000],
                       "body_size": len(r.body), "connection": r.connection}).encode()
    c.answer(body=b"" if r.method == "HEAD" else body)


@behaves
def head(c, r):
    c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 123456\r\n\r\n")


@behaves
def empty(c, r):
    """204 and 304, with lengths that mean nothing."""
    c.send(f"HTTP/1.1 {r.query['status']} X\r\nContent-Length: 77\r\nETag: \"a\"\r\n\r\n".encode())


@behaves
def status(c, r):
    fields = [("Retry-After", r.query["after"])] if "after" in r.query else []
    c.answer(int(r.query["status"]), b'{"error": "as asked"}', fields)


@behaves
def flaky(c, r):
    """As many failures as asked for, then well."""
    with c.server.lock:
        c.server.state[r.path] = seen = c.server.state.get(r.path, 0) + 1
    if seen <= int(r.query.get("times", 1)):
        if r.query.get("how") == "reset":
            c.reset()
        fields = [("Retry-After", r.query["after"])] if "after" in r.query else []
        c.answer(int(r.query.get("status", 503)), b"", fields)
    else:
        ok(c, r)


@behaves
def later(c, r):
    time.sleep(float(r.query["seconds"]))
    ok(c, r)


# --- states in which it breaks ---------------------------------------------------------------------------------------------------------

@behaves
def hang(c, r):
    c.until_gone()


@behaves
def reset_at_once(c, r):
    c.reset()


@behaves
def close_at_once(c, r):
    raise Gone


@behaves
def unread_reset(c, r):
    c.reset()


@behaves
def reset_in_head(c, r):
    c.send(b"HTTP/1.1 200 OK\r\nContent-Le")
    c.reset()


@behaves
def close_in_head(c, r):
    c.send(b"HTTP/1.1 200 OK\r\nContent-Le")
    raise Gone


@behaves
def reset_after_head(c, r):
    c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
    c.reset()


@behaves
def close_in_body(c, r):
    c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half\": ")
    raise Gone


@behaves
def idle_close(c, r):
    """Answers the first request of a connection, and closes it when the second one comes."""
    if c.answered:
        raise Gone
    ok(c, r)


# --- slowness --------------------------------------------------------------------------------------------------------------------------

@behaves
def slow_head(c, r):
    c.send(b"HTTP/1.1 200 OK\r\nX: ")
    c.until_gone(b"x")


@behaves
def slow_body(c, r):
    c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    c.until_gone(b"x")


@behaves
def stalled_body(c, r):
    c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789")
    c.until_gone()


@behaves
def head_alone(c, r):
    """A head, and its body only when somebody asks for /go."""
    c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not c.server.state.get("go") and not c.server.ended.wait(0.005):
        pass
    c.send(b"2\r\nok\r\n0\r\n\r\n")


@behaves
def go(c, r):
    c.server.state["go"] = True
    ok(c, r)


@behaves
def bytewise(c, r):
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"whole\": 1} ":
        c.send(bytes([byte]))


# --- what is no HTTP -------------------------------------------------------------------------------------------------------------------

@behaves
def raw(c, r):
    c.send(RAW[r.query["what"]])
    raise Gone


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
RAW = {
    "garbage": b"\x00\x01\x02 what is this?\r\n\r\n",
    "version": b"HTTP/9.9 200 OK\r\nContent-Length: 0\r\n\r\n",
    "no-status": b"HTTP/1.1 abc\r\n\r\n",
    "nul-header": b"HTTP/1.1 200 OK\r\nX-Nul: a\x00b\r\nContent-Length: 2\r\n\r\nok",
    "bad-chunk": CHUNKED + b"zz\r\nabc\r\n0\r\n\r\n",
    "negative-chunk": CHUNKED + b"-5\r\nabc\r\n0\r\n\r\n",
    "huge-chunk": CHUNKED + b"fffffffffffffffff\r\nabc",
    "cut-chunk": CHUNKED + b"5\r\nab",
    "no-last-chunk": CHUNKED + b"2\r\nok\r\n",
    "two-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\nokokok",
    "bad-length": b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok",
    "negative-length": b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
    "too-long": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 500 Smuggled\r\n\r\n",
    "trailers": CHUNKED + b"2\r\nok\r\n0\r\nX-Trailer: late\r\nHTTP/1.1 500: x\r\nSet-Cookie: late=1\r\n\r\n",
    "http-in-head": b"HTTP/1.1 200 OK\r\nX-Before: 1\r\nHTTP/1.1 500 Evil\r\nContent-Length: 2\r\n\r\nok",
    "hints": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 5 + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "folded": b"HTTP/1.1 200 OK\r\nX-Folded: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
    "truncated-gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"x" * 100000)[:40],
    "broken-gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot gzip!",
    "many-codings": b"HTTP/1.1 200 OK\r\nContent-Encoding: " + b", ".join([b"gzip"] * 50) + b"\r\nContent-Length: 3\r\n\r\nabc",
    "cookie-flood": b"HTTP/1.1 200 OK\r\n" + b"Set-Cookie: a=b\r\n" * 400 + b"Content-Length: 2\r\n\r\nok",
    "upgrade": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\n\r\nwhatever",
}


@behaves
def endless_headers(c, r):
    c.send(b"HTTP/1.1 200 OK\r\n")
    c.until_gone(b"X-More: and more\r\n" * 100, 0)


@behaves
def long_header(c, r):
    c.send(b"HTTP/1.1 200 OK\r\nX-Long: ")
    c.until_gone(b"x" * 4096, 0)


@behaves
def storm(c, r):
    """1xx without end."""
    c.until_gone(b"HTTP/1.1 100 Continue\r\nX-Again: 1\r\n\r\n" * 100, 0)


# --- size ------------------------------------------------------------------------------------------------------------------------------

@behaves
def large(c, r):
    left = size = int(r.query["bytes"])
    c.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
    piece = b"x" * 65536
    while left:
        c.send(piece[:left])
        left -= min(left, len(piece))


@behaves
def endless(c, r):
    c.send(b"HTTP/1.1 200 OK\r\n\r\n")
    c.until_gone(b"x" * 65536, 0)


@behaves
def bomb(c, r):
    """Zeros in gzip: a thousand times what it looks like."""
    c.send(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n")
    packer, zeros = zlib.compressobj(9, wbits=31), b"\0" * (1 << 20)
    for _ in range(int(r.query["mib"])):
        c.send(packer.compress(zeros))
    c.send(packer.flush())
    raise Gone


# --- who may know what -----------------------------------------------------------------------------------------------------------------

@behaves
def redirect(c, r):
    c.answer(int(r.query.get("status", 302)), b"", [("Location", r.query["to"])])


@behaves
def loop(c, r):
    c.answer(302, b"", [("Location", "/loop")])


@behaves
def deny(c, r):
    c.answer(401, b"", [("WWW-Authenticate", "Bearer")])


def date_in(seconds):
    return email.utils.formatdate(time.time() + seconds, usegmt=True)
