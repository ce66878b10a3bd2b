"""A constant, bounded load from outside: connections that are kept, and connections that are made for one request, reading and writing. Every
answer is counted, and anything but the expected one is kept as a failure: a refused or broken connection, another status, a short body."""
import json
import socket
import threading

PAUSE = 0.002  # between two requests of one client


class Broken(Exception):
    pass


class Connection:
    """HTTP/1.1 by hand, so that nothing is tried again behind our back."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data = b""

    def receive(self):
        got = self.socket.recv(65536)
        if not got:
            raise Broken("the connection ended")
        self.data += got

    def ask(self, method, path, body=None, close=False):
        """(status, body, whether the connection goes on)"""
        text = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: load\r\n"
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n"
        self.socket.sendall((head + ("Connection: close\r\n" if close else "") + "\r\n").encode() + text)
        while b"\r\n\r\n" not in self.data:
            self.receive()
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        fields = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines[1:])}
        length = int(fields["content-length"])
        while len(self.data) < length:
            self.receive()
        answer, self.data = self.data[:length], self.data[length:]
        return int(lines[0].split()[1]), answer, fields.get("connection", "").lower() != "close"


class Load:
    """Clients that ask until they are stopped. `with Load(port) as load: …`"""

    def __init__(self, port, path="/api/v1/items", keepers=4, fresh=2):
        self.port, self.path = port, path
        self.over = threading.Event()
        self.lock = threading.Lock()
        self.failures, self.ids, self.read, self.closed = [], [], 0, 0
        self.threads = [threading.Thread(target=self.run, args=(n, n < keepers)) for n in range(keepers + fresh)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(60)

    def ask_one(self, connection, number, write, close):
        if write:
            status, body, goes_on = connection.ask("POST", self.path, {"name": f"item {number}"}, close)
        else:
            status, body, goes_on = connection.ask("GET", self.path + "?page_size=1", None, close)
        if status != (201 if write else 200):
            raise Broken(f"{status}: {body[:300]!r}")
        value = json.loads(body)
        with self.lock:
            if write:
                self.ids.append(value["id"])
            else:
                self.read += 1
        return goes_on

    def run(self, number, keeps):
        connection, turn = None, 0
        while not self.over.is_set():
            turn += 1
            try:
                connection = connection or Connection(self.port)
                goes_on = self.ask_one(connection, number, (turn + number) % 2 == 0, not keeps)
                if not goes_on:
                    connection.socket.close()
                    connection = None
                    self.closed += keeps
            except (OSError, Broken, ValueError) as problem:
                with self.lock:
                    self.failures.append(f"client {number}, request {turn}: {type(problem).__name__}: {problem}")
                if connection:
                    connection.socket.close()
                connection = None
            self.over.wait(PAUSE)

    def check(self, least):
        assert self.failures == [], f"{len(self.failures)} of {len(self.ids) + self.read}: {self.failures[:5]}"
        assert len(self.ids) + self.read >= least
        assert len(set(self.ids)) == len(self.ids)
