"""Servers for the end-to-end tests: the real binary, on a port the system picks, in a temporary directory, ended by its process id."""
import json
import os
import pathlib
import re
import select
import signal
import subprocess
import time

import pytest
import requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("DUPLEX", str(ROOT / "build" / "duplex"))
PASSWORD = "correct horse battery"
START_TIMEOUT = 60


class Server:
    """A running `duplex serve`."""

    def __init__(self, folder, definition, *options, env=None, program=None):
        self.folder = pathlib.Path(folder)
        self.path = self.folder / "definition.json"
        if not isinstance(definition, (str, pathlib.Path)):
            self.path.write_text(json.dumps(definition))
        else:
            self.path = pathlib.Path(definition)
        self.log_path = self.folder / "log"
        self.options = options
        self.env = dict(os.environ, **(env or {}))
        self.program = program  # other words behind the binary than those that serve on a port of the system's choice
        self.process = None
        self.start()

    def start(self):
        self.log = open(self.log_path, "ab")
        command = [BINARY, *(self.program or ("serve", str(self.path), "--listen", "127.0.0.1:0", *self.options))]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, cwd=self.folder, env=self.env)
        ready, _, _ = select.select([self.process.stdout], [], [], START_TIMEOUT)
        line = self.process.stdout.readline().decode() if ready else ""
        found = re.match(r"listening on ((?:https?://)?(\S+):(\S+))\n", line)
        if not found:
            self.kill()
            raise RuntimeError(f"the server did not start: {line!r}\n{self.log_path.read_text()}")
        self.url, self.host = found.group(1), found.group(2)
        self.port = int(found.group(3)) if found.group(3).isdigit() else 0  # of a unix socket: none

    def stop(self, timeout=60):
        """SIGTERM, and its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout)
        finally:
            self.close()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.close()

    def close(self):
        self.process.stdout.close()
        self.log.close()

    def restart(self):
        assert self.stop() == 0
        self.start()

    def events(self, name=None):
        """The structured log so far."""
        records = [json.loads(line) for line in self.log_path.read_text().splitlines() if line.startswith("{")]
        return [r for r in records if name is None or r["event"] == name]

    def wait_event(self, condition, timeout=30):
        """The first record of the log that satisfies `condition`, as soon as it is there."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for record in self.events():
                if condition(record):
                    return record
            select.select([], [], [], 0.02)
        raise AssertionError("the log never said so: " + self.log_path.read_text()[-2000:])

    def memory_kib(self):
        return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{self.process.pid}/status").read_text()).group(1))


class Client(requests.Session):
    """requests, with the server's address in front."""

    def __init__(self, server, token=None):
        super().__init__()
        self.server = server
        self.trust_env = False
        if token:
            self.headers["authorization"] = f"Bearer {token}"

    def request(self, method, url, *args, **more):
        more.setdefault("timeout", 60)
        return super().request(method, self.server.url + url if url.startswith("/") else url, *args, **more)


def register(server, name, password=PASSWORD):
    answer = Client(server).post("/auth/register", json={"username": name, "email": f"{name}@example.com", "password": password})
    assert answer.status_code == 201, answer.text
    return answer.json()


def login(server, name, password=PASSWORD):
    answer = Client(server).post("/auth/login", data={"username": name, "password": password})
    assert answer.status_code == 200, answer.text
    return answer.json()


def member(server, name):
    """A client logged in as a fresh account."""
    register(server, name)
    return Client(server, login(server, name)["access_token"])


def problem(answer, status, code=None):
    """Asserts that an answer is a proper problem document (RFC 9457) and returns it."""
    assert answer.status_code == status, f"{answer.status_code}: {answer.text}"
    assert answer.headers["content-type"].startswith("application/problem+json"), answer.headers
    document = answer.json()
    assert document["status"] == status
    for member_name in ("type", "title", "error_code", "timestamp", "path", "trace_id", "instance"):
        assert member_name in document, document
    if code:
        assert document["error_code"] == code, document
    return document


@pytest.fixture
def serve(tmp_path):
    """A function that starts servers; all are stopped at the end, and must stop cleanly."""
    servers = []

    def start(definition=None, *options, **more):
        folder = tmp_path / f"server-{len(servers)}"
        folder.mkdir()
        if definition is None:
            definition = ROOT / "examples" / "shop.json"
            options += ("--store", f"sqlite:{folder / 'shop.db'}")
        servers.append(Server(folder, definition, *options, **more))
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            assert server.stop() == 0, server.log_path.read_text()[-4000:]
        log = server.log_path.read_text()
        assert "Sanitizer" not in log and "runtime error" not in log, log[-6000:]


@pytest.fixture
def shop(serve):
    """The example, running."""
    return serve()
