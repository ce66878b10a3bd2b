"""Starting servers on a core, loading them from another, and reading what it cost them."""
import os
import pathlib
import re
import select
import socket
import subprocess
import time


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """A server under test, pinned to `cores`, with every child it starts."""

    def __init__(self, command, cores="0", env=None, folder=None, ready=None):
        self.started = time.monotonic()
        self.popen = subprocess.Popen(["taskset", "-c", cores, *command] if cores else command, env=dict(os.environ, **(env or {})), cwd=folder,
                                      stdout=subprocess.PIPE, stderr=open(pathlib.Path(folder or "/tmp") / "stderr", "ab"))
        self.line = self.popen.stdout.readline().decode() if ready == "line" else ""
        if isinstance(ready, int):
            wait_port(ready)

    @property
    def pids(self):
        children = pathlib.Path(f"/proc/{self.popen.pid}/task/{self.popen.pid}/children").read_text().split()
        return [self.popen.pid, *map(int, children)]

    def cpu(self):
        """CPU seconds used so far, by all threads and children: as the scheduler counts them, in nanoseconds."""
        total = 0
        for pid in self.pids:
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def memory_kib(self):
        return sum(int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1)) for pid in self.pids)

    def peak_kib(self):
        return sum(int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1)) for pid in self.pids)

    def stop(self):
        self.popen.terminate()
        try:
            self.popen.wait(30)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def wait_port(port, timeout=30):
    deadline = time.monotonic() + timeout
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            select.select([], [], [], 0.002)


def wrk(url, seconds, connections=64, core="1", script=None, headers=()):
    """Requests a second, how many requests, and how many went wrong."""
    command = ["taskset", "-c", core] if core else []
    command += ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s"]
    for header in headers:
        command += ["-H", header]
    if script:
        command += ["-s", script]
    text = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    count = int(re.search(r"(\d+) requests in", text).group(1))
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))
    wrong = sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", text)))
    wrong += sum(sum(map(int, re.findall(r"\d+", line))) for line in re.findall(r"Socket errors:.*", text))
    return rate, count, wrong


def cpu_micros(process, url, seconds=4, **more):
    """CPU microseconds of the server a request, and requests a second, of one run."""
    before = process.cpu()
    rate, count, wrong = wrk(url, seconds, **more)
    if wrong:
        raise RuntimeError(f"{wrong} of {count} requests to {url} went wrong")
    return (process.cpu() - before) * 1e6 / count, rate
