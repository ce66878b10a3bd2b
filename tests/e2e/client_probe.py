"""A client of libduplex under test: the program tests/tools/client_probe, driven line by line."""
import json
import os
import pathlib
import subprocess

from servers import BINARY

PROBE = os.environ.get("CLIENT_PROBE", str(pathlib.Path(BINARY).parent / "tests" / "tools" / "client_probe"))
SANITIZED = any(mark in pathlib.Path(PROBE).read_bytes() for mark in (b"__asan_init", b"__tsan_init"))
ONCE = {"retry": {"attempts": 1}}


class Result(dict):
    """What became of a call; the body as bytes."""

    @property
    def body(self):
        return bytes.fromhex(self["body"])

    @property
    def json(self):
        return json.loads(self.body)

    def header(self, name):
        return [value for n, value in self["headers"] if n.lower() == name.lower()]


class Probe:
    def __init__(self, definition, threads=1, env=None):
        self.process = subprocess.Popen([PROBE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **(env or {})})
        self.opened = self.ask({"do": "open", "definition": definition, "threads": threads})
        assert self.opened["code"] == "ok", self.opened

    def ask(self, command):
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the probe ended: {self.process.wait(60)}"
        return Result(json.loads(line))

    def call(self, name, **how):
        return self.ask({"do": "call", "name": name, **how})

    def get(self, path, api="a", method="GET", **how):
        return self.ask({"do": "call", "api": api, "method": method, "path": path, **how})

    def start(self, path, api="a", method="GET", id=1, **how):
        result = self.ask({"do": "start", "id": id, "api": api, "method": method, "path": path, **how})
        assert result["code"] == "ok", result

    def cancel(self, id=1):
        self.ask({"do": "cancel", "id": id})

    def wait(self, id=1):
        return self.ask({"do": "wait", "id": id})

    def burst(self, count, path="/", api="a", method="GET", **how):
        return self.ask({"do": "burst", "count": count, "api": api, "method": method, "path": path, **how})

    def close(self):
        return self.ask({"do": "close"})

    def peak_kib(self):
        return self.ask({"do": "memory"})["peak_kib"]

    def end(self):
        """Ends the program, whose exit status tells of leaks and races too."""
        self.process.stdin.close()
        status = self.process.wait(120)
        self.process.stdout.close()
        return status

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        if kind:
            self.process.kill()
        status = self.end()
        assert kind or status == 0, f"the probe ended with {status}"
