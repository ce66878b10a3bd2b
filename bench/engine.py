"""Rows about the HTTP engine itself, beside nginx and h2o doing the same: a fixed answer over each protocol, new TLS connections, large bodies, workers,
latency at half load, and what an overloaded server does."""
import pathlib
import re
import socket
import ssl
import statistics
import subprocess
import time
import urllib.parse

import load
import overload
import peers

FIXED = '{"status":"ok"}'
MIB, GIB = 1 << 20, 1 << 30


class Stage:
    """Folder, certificate, files and the three servers, each on core 0, with a URL for each protocol."""

    def __init__(self, folder, duplex):
        self.folder = pathlib.Path(folder)
        self.duplex_class = duplex
        self.running = []

    def __enter__(self):
        folder = self.folder
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"], check=True, capture_output=True)
        (folder / "files").mkdir()
        (folder / "files" / "fixed.json").write_text(FIXED)
        return self

    def __exit__(self, *_):
        for process in self.running:
            process.stop()

    def start(self, process):
        self.running.append(process)
        return process

    def duplex(self, workers=1, cores="0", **server):
        ports = {name: load.free_port() for name in ("clear", "tls")}
        (self.folder / "own").mkdir(exist_ok=True)
        document = {
            "server": {"mode": "production", "log": {"requests": False}, "docs": False, 
                       "listen": [f"127.0.0.1:{ports['clear']}", {"address": f"127.0.0.1:{ports['tls']}", "tls": True}],
                       "tls": {"certificates": [{"certificate": str(self.folder / "cert.pem"), "key": str(self.folder / "key.pem")}]}, **server},
            "files": {"/files": {"folder": str(self.folder / "files"), "access": "public", "upload": {"access": "public", "cap": "2GiB"}}},
        }
        process = self.start(self.duplex_class(str(self.folder / "own"), document, workers=workers, cores=cores, listen=None))
        load.wait_port(ports["tls"])
        return process, urls(ports["clear"], ports["tls"], ports["clear"], ports["tls"], "/livez")

    def nginx(self):
        ports = [load.free_port() for _ in range(4)]
        process = self.start(load.Process(peers.write_nginx_engine(self.folder, ports, FIXED), folder=self.folder, ready=ports[3]))
        return process, urls(*ports, "/fixed")

    def h2o(self):
        ports = [load.free_port() for _ in range(2)]
        process = self.start(load.Process(peers.write_h2o(self.folder, ports), folder=self.folder, ready=ports[1]))
        return process, urls(ports[0], ports[1], ports[0], ports[1], "/files/fixed.json")


def urls(clear, tls, h2, h2_tls, fixed):
    base = {"clear": f"http://127.0.0.1:{clear}", "tls": f"https://127.0.0.1:{tls}", "h2": f"http://127.0.0.1:{h2}", "h2_tls": f"https://127.0.0.1:{h2_tls}"}
    return {**base, "fixed": fixed}


def h2load(url, seconds=3, clients=4, streams=100, core="1", more=()):
    """Requests answered with 200, in a run of bounded time; anything else is an error."""
    command = ["taskset", "-c", core, "h2load", "-t1", f"-c{clients}", f"-m{streams}", f"-D{seconds}", "--warm-up-time=0", *more, url]
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60).stdout
    total, failed, errored = (int(re.search(rf"(\d+) {word}", text).group(1)) for word in ("succeeded", "failed", "errored"))
    other = sum(map(int, re.findall(r"(\d+) [345]xx", text)))
    if failed or errored or other:
        raise RuntimeError(f"{url}: {failed} failed, {errored} errored, {other} were not 2xx\n{text}")
    return total


def cpu_a_request(process, run):
    before = process.cpu()
    count = run()
    return (process.cpu() - before) * 1e6 / count


def amount(micros):
    return f"{micros / 1000:,.0f} ms" if micros >= 10_000 else f"{micros:.0f} µs" if micros >= 100 else f"{micros:.2f} µs"


def best_of(column):
    """The least CPU of some runs and, where it is measured, the best throughput."""
    rates = [rate for _, rate in column if rate]
    return amount(min(cpu for cpu, _ in column)) + (f" ({max(rates):,.0f} MiB/s)" if rates else "")


def beside(table, what, ours, theirs, rounds, target=1.0):
    """Measures all in turn; the ratio to the better peer is the median over the rounds. A measure gives microseconds of CPU, or these and MiB a second."""
    runs = [[found if isinstance(found, tuple) else (found, None) for found in (measure() for measure in (ours, *theirs.values()))] for _ in range(rounds)]
    ratio = statistics.median(row[0][0] / min(cpu for cpu, _ in row[1:]) for row in runs)
    best = [best_of(column) for column in zip(*runs)]
    table.add(what, best[0], ", ".join(f"{name} {text}" for name, text in zip(theirs, best[1:])), ratio, f"≤ {target}", ratio <= target)


def row_protocols(folder, table, duplex, rounds=5):
    with Stage(folder, duplex) as stage:
        servers = {"duplex": stage.duplex(), "nginx": stage.nginx(), "h2o": stage.h2o()}

        def one(kind):
            def measure(name):
                process, url = servers[name]
                target = url[kind] + url["fixed"]
                if kind in ("clear", "tls"):
                    return lambda: load.cpu_micros(process, target, seconds=3)[0]
                return lambda: cpu_a_request(process, lambda: h2load(target))
            return measure("duplex"), {name: measure(name) for name in ("nginx", "h2o")}

        for kind, what in (("clear", "HTTP/1.1"), ("tls", "HTTP/1.1 over TLS"), ("h2", "HTTP/2, 4 connections of 100 streams"), ("h2_tls", "HTTP/2 over TLS, 4 of 100")):
            ours, theirs = one(kind)
            beside(table, f"fixed answer over {what}, CPU a request", ours, theirs, rounds)


def handshakes(url, seconds, resumed):
    """New TLS connections with one request each, one after another; how many."""
    where = urllib.parse.urlsplit(url)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    session, count, end = None, 0, time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.create_connection((where.hostname, where.port)) as plain, context.wrap_socket(plain, server_hostname="localhost", session=session) as connection:
            connection.sendall(f"GET {where.path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            while connection.recv(65536):
                pass
            if resumed and session is not None and not connection.session_reused:
                raise RuntimeError(f"{url}: the session was not resumed")
            if resumed:
                session = connection.session
        count += 1
    return count


def row_handshakes(folder, table, duplex, rounds=3):
    with Stage(folder, duplex) as stage:
        servers = {"duplex": stage.duplex(), "nginx": stage.nginx(), "h2o": stage.h2o()}
        for resumed in (False, True):
            def measure(name, resumed=resumed):
                process, url = servers[name]
                return lambda: cpu_a_request(process, lambda: handshakes(url["tls"] + url["fixed"], 3, resumed))
            beside(table, f"new TLS connection, {'resumed' if resumed else 'full'} (TLS 1.3, ECDSA P-256), CPU each", measure("duplex"),
                   {name: measure(name) for name in ("nginx", "h2o")}, rounds)


# Protocols, as rows name them.
TRANSFERS = {"clear": "", "tls": " over TLS", "h2": " over HTTP/2", "h2_tls": " over HTTP/2 and TLS"}


def curl(url, times, source):
    """The seconds of transfers on one connection, one after another."""
    words = []
    for at in range(times):
        words += ["--next"] if at else []
        words += ["-sSfk", "--http1.1", "-o", "/dev/null", "-w", "%{time_total}\\n", *(["-T", source] if source else []), url]
    text = subprocess.run(["taskset", "-c", "1", "curl", *words], capture_output=True, text=True, check=True, timeout=300).stdout
    return sum(map(float, text.split()))


def h2_transfers(url, times, source):
    """The same over HTTP/2: curl 7.88 can't use a connection in the clear twice."""
    words = ["-t1", "-c1", "-m1", f"-n{times}", "-w24", "-W24", *(["-d", source, "-H", ":method: PUT"] if source else []), url]
    text = subprocess.run(["taskset", "-c", "1", "h2load", *words], capture_output=True, text=True, check=True, timeout=300).stdout
    if not re.search(rf"\b{times} 2xx", text):
        raise RuntimeError(f"{url}: {text}")
    number, unit = re.search(r"finished in ([\d.]+)(us|ms|s|m)\b", text).groups()
    return float(number) * {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60}[unit]


def transfer(server, kind, times, size, path, source=None):
    """A measure: CPU of the server for each transfer, and MiB a second as the client sees them. `source` is a file to send."""
    process, url = server

    def measure():
        before = process.cpu()
        seconds = (h2_transfers if kind.startswith("h2") else curl)(url[kind] + path, times, source)
        return (process.cpu() - before) * 1e6 / times, times * size / MIB / seconds
    return measure


def row_bodies(folder, table, duplex, rounds=3):
    with Stage(folder, duplex) as stage:
        files = {"1 MiB": (MIB, 60), "1 GiB": (GIB, 1)}
        for name, (size, _) in files.items():
            with open(stage.folder / "files" / name.replace(" ", ""), "wb") as file:
                file.truncate(size)
                for at in range(0, size, 64 * MIB):  # real pages, so that every server reads the same
                    file.seek(at)
                    file.write(b"duplex" * (min(64 * MIB, size - at) // 6))
        servers = {"duplex": stage.duplex(), "nginx": stage.nginx(), "h2o": stage.h2o()}

        def down(name, kind, file, times, size):
            return transfer(servers[name], kind, times, size, f"/files/{file}")

        def up(name, kind, file, times, size):
            return transfer(servers[name], kind, times, size, f"/files/up-{name}", str(stage.folder / "files" / file))

        for kind, how in TRANSFERS.items():
            for what, (size, times) in files.items():
                row = (kind, what.replace(" ", ""), times, size)
                beside(table, f"{what} file down{how}, CPU each", down("duplex", *row), {n: down(n, *row) for n in ("nginx", "h2o")}, rounds)
                beside(table, f"{what} upload to a file{how}, CPU each", up("duplex", *row), {"nginx": up("nginx", *row)}, rounds)
        peak = servers["duplex"][0].peak_kib() / 1024
        table.add("peak memory after 1 GiB down and up", f"{peak:.1f} MiB", "", None, "≤ 24 MiB", peak <= 24)


def row_workers(folder, table, duplex, rounds=3):
    """With the load on the same two cores, two workers can't give twice the answers; what they can be held to is the CPU of each answer."""
    with Stage(folder, duplex) as stage:
        one, two = stage.duplex(workers=1, cores=None), stage.duplex(workers=2, cores=None)
        def measure(server):
            return lambda: load.cpu_micros(server[0], server[1]["clear"] + "/livez", seconds=3, core=None)
        runs = [(measure(one)(), measure(two)()) for _ in range(rounds)]
        ratio = statistics.median(b[0] / a[0] for a, b in runs)
        rate = [max(row[i][1] for row in runs) for i in (0, 1)]
        table.add("fixed answer, 2 workers beside 1, CPU a request", f"{min(b[0] for _, b in runs):.2f} µs ({rate[1]:,.0f}/s)", f"1 worker {min(a[0] for a, _ in runs):.2f} µs ({rate[0]:,.0f}/s)",
                  ratio, "≤ 1.05 (the load shares the cores)", ratio <= 1.05)


def quantiles(folder, url, rate, seconds=4, clients=64):
    """Latencies in microseconds at a constant rate, as (p50, p99, answers that were not 200)."""
    log = pathlib.Path(folder) / "latency.log"
    log.unlink(missing_ok=True)
    command = ["taskset", "-c", "1", "h2load", "--h1", "-t1", f"-c{clients}", "-m1", f"--rps={max(1, rate // clients)}", f"-D{seconds}", f"--log-file={log}", url]
    subprocess.run(command, capture_output=True, check=True, timeout=seconds + 60)
    rows = [line.split("\t")[1:3] for line in log.read_text().splitlines()]
    times = sorted(int(micros) for status, micros in rows if status == "200")
    return times[len(times) // 2], times[len(times) * 99 // 100], len(rows) - len(times)


def row_latency(folder, table, duplex, rounds=5):
    with Stage(folder, duplex) as stage:
        servers = {"duplex": stage.duplex(), "nginx": stage.nginx()}
        half = {name: int(load.wrk(url["clear"] + url["fixed"], 2)[0] / 2) for name, (_, url) in servers.items()}
        rate = min(half.values())
        runs = [{name: quantiles(folder, url["clear"] + url["fixed"], rate) for name, (_, url) in servers.items()} for _ in range(rounds)]
        ratio = statistics.median(run["duplex"][1] / run["nginx"][1] for run in runs)
        p99 = {name: min(run[name][1] for run in runs) for name in servers}
        table.add(f"p99 at half of saturation ({rate:,}/s)", f"{p99['duplex']} µs", f"nginx {p99['nginx']} µs", ratio, "≤ 1.5", ratio <= 1.5)


ROWS = {"protocols": row_protocols, "handshakes": row_handshakes, "bodies": row_bodies, "workers": row_workers, "latency": row_latency, "overload": overload.row_overload}
