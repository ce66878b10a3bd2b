"""Calls measured from the caller's side: libduplex beside bare libcurl in the same small program (bench/client.c), Python's requests and httpx, and Node's undici.
The server (nginx) has the other core. What is counted is user and system time of the calling process."""
import json
import os
import pathlib
import statistics
import subprocess
import sys

import load

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "build" / "bench_client"
CACHE = ROOT / "build" / "bench_cache"
BODY = '{"login":"octocat","id":583231,"name":null,"public_repos":8}'
TOKEN = "0123456789abcdef0123456789abcdef"
COUNT = 30_000
ROUNDS = 5

NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.err;
events {{ worker_connections 8192; }}
http {{
    access_log off; keepalive_requests 100000000;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
    ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem; ssl_protocols TLSv1.2 TLSv1.3;
    server {{
        listen 127.0.0.1:{plain}; listen 127.0.0.1:{tls} ssl;
        location /close/ {{ keepalive_timeout 0; default_type application/json; return 200 '{body}'; }}
        location / {{ default_type application/json; return 200 '{body}'; }}
    }}
}}
"""

REQUESTS = """
import resource, sys, requests
session, url, count = requests.Session(), sys.argv[1], int(sys.argv[2])
def used():
    use = resource.getrusage(resource.RUSAGE_SELF); return (use.ru_utime + use.ru_stime) * 1e6
headers = {"authorization": "Bearer %s"}
start = used()
for _ in range(count): session.get(url, headers=headers).json()
print((used() - start) / count)
""" % TOKEN

HTTPX = REQUESTS.replace("sys, requests", "sys, httpx").replace("requests.Session()", "httpx.Client()")

UNDICI = """
const {Pool} = require('undici');
const [url, count] = [new URL(process.argv[2]), Number(process.argv[3])];
const pool = new Pool(url.origin, {connections: 64});
const headers = {authorization: 'Bearer %s'};
async function worker(n) { for (let i = 0; i < n; i++) { const r = await pool.request({path: url.pathname, method: 'GET', headers}); await r.body.json(); } }
(async () => {
  await worker(64);
  const before = process.cpuUsage();
  await Promise.all(Array.from({length: 64}, () => worker(Math.floor(count / 64))));
  const used = process.cpuUsage(before);
  console.log((used.user + used.system) / (Math.floor(count / 64) * 64));
  await pool.close();
})();
""" % TOKEN

MODEL = {"type": "object", "required": ["login", "id"], "properties": {
    "login": {"type": "string"}, "id": {"type": "integer"}, "name": {"type": ["string", "null"]}, "public_repos": {"type": "integer"}}}


def definition(base_url, model=True, **settings):
    endpoint = {"path": "/users/{id}", "params": {"id": {"type": "int", "required": True}}}
    if model:
        endpoint["response_model"] = "User"
    api = {"base_url": base_url, "auth": {"type": "bearer", "token": TOKEN}, "endpoints": {"v1": {"get": endpoint}}, **settings}
    return {"apis": {"bench": api}, "models": {"User": MODEL}}


# Everything on: validation of parameter and answer, auth, limiter, breaker, retries with their budget, metrics.
ALL = {"rate_limit": {"max_requests": 100_000_000, "time_window": 1}, "breaker": {"enabled": True}}


class Bench:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.plain, self.tls = load.free_port(), load.free_port()
        subprocess.run([str(ROOT / "build" / "duplex"), "cert", "self-signed", "127.0.0.1", "localhost", "--out", folder], check=True, capture_output=True)
        (self.folder / "certificate.pem").rename(self.folder / "cert.pem")
        (self.folder / "nginx.conf").write_text(NGINX.format(folder=folder, plain=self.plain, tls=self.tls, body=BODY))
        self.nginx = load.Process(["nginx", "-c", f"{folder}/nginx.conf"], cores="1", folder=folder, ready=self.plain)

    def run(self, *command, **environment):
        done = subprocess.run(["taskset", "-c", "0", *map(str, command)], capture_output=True, text=True, env=dict(os.environ, **environment))
        if done.returncode:
            raise RuntimeError(f"{command}: {done.stderr}")
        return float(done.stdout.split()[0])

    def ours(self, mode, document, count=COUNT, *more):
        path = self.folder / f"{mode}.json"
        path.write_text(json.dumps(document))
        return self.run(PROGRAM, mode, "-", count, path, *more)

    def bare(self, mode, path="/users/7", count=COUNT):
        return self.run(PROGRAM, mode, f"http://127.0.0.1:{self.plain}{path}", count)


def paired(first, second):
    pairs = [(first(), second()) for _ in range(ROUNDS)]
    return min(a for a, _ in pairs), min(b for _, b in pairs), statistics.median(a / b for a, b in pairs), statistics.median(a - b for a, b in pairs)


def row_client(folder, table, _):
    bench = Bench(folder)
    with bench.nginx:
        base = f"http://127.0.0.1:{bench.plain}"
        ours, bare, ratio, _ = paired(lambda: bench.ours("async", definition(base, **ALL)), lambda: bench.bare("multi"))
        at_once = ours
        table.add("call, 64 in flight, everything on, CPU each", f"{ours:.2f} µs", f"bare libcurl multi {bare:.2f} µs", ratio, "≤ 1.2", ratio <= 1.2)
        ours, bare, ratio, more = paired(lambda: bench.ours("sync", definition(base, **ALL)), lambda: bench.bare("easy"))
        table.add("synchronous call, CPU each", f"{ours:.2f} µs", f"bare curl_easy {bare:.2f} µs, {more:+.2f} µs", ratio, "≤ + 3 µs", more <= 3)
        url = f"{base}/users/7"
        peers = [("Python requests", [sys.executable, "-c", REQUESTS, url, 3000]), ("Python httpx", [sys.executable, "-c", HTTPX, url, 3000])]
        modules = ROOT / "build" / "bench_node" / "node_modules"
        if modules.is_dir():
            peers.append(("Node undici, 64 in flight", ["node", "-e", UNDICI.replace("process.argv[2]", "process.argv[1]").replace("process.argv[3]", "process.argv[2]"), url, COUNT]))
        for name, command in peers:
            theirs = min(bench.run(*command, NODE_PATH=str(modules)) for _ in range(3))
            mine = at_once if "64" in name else ours
            table.add(f"the same beside {name}", f"{mine:.2f} µs", f"{theirs:.1f} µs", theirs / mine, "≥ 1", theirs >= mine)


def row_client_queue(folder, table, _):
    bench = Bench(folder)
    with bench.nginx:
        document = definition(f"http://127.0.0.1:{bench.plain}", pool={"max_connections": 10}, **ALL)
        many, few, ratio, _ = paired(lambda: bench.ours("queue", document, 4000), lambda: bench.ours("async", document, 4000, 10))
    table.add("4,000 calls queued behind 10 connections, CPU each", f"{many:.2f} µs", f"10 at a time {few:.2f} µs", ratio, "≤ 1.1", ratio <= 1.1)


def row_client_cache(folder, table, _):
    bench = Bench(folder)
    with bench.nginx:
        document = definition(f"http://127.0.0.1:{bench.plain}", model=False, cache={"ttl": 3600})
        call = min(bench.ours("sync", document, 300_000) for _ in range(ROUNDS))
    table.add("cache hit in memory: the whole call, CPU each", f"{call:.3f} µs", "", None, "≤ 0.5 µs", call <= 0.5)


def row_client_redis(folder, table, _):
    socket = pathlib.Path(folder) / "redis.sock"
    words = ["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", folder]

    def spent(mode, depth):
        done = subprocess.run(["taskset", "-c", "0", str(CACHE), mode, str(socket), "100000", str(depth)], capture_output=True, text=True, check=True)
        return float(done.stdout) / 1000

    with load.Process(words, cores="1", folder=folder) as redis:
        while b"accept connections at" not in (line := redis.popen.stdout.readline()):
            if not line:
                raise RuntimeError("Redis did not start")
        for depth in (1, 16):
            ours, bare, ratio, _ = paired(lambda: spent("redis", depth), lambda: spent("hiredis", depth))
            table.add(f"cache hit in Redis, {depth} at once, CPU each", f"{ours:.2f} µs", f"bare hiredis GET {bare:.2f} µs", ratio, "≤ 1.3", ratio <= 1.3)


def row_client_memory(folder, table, _):
    endpoints = {f"op{e}": {"path": f"/things{e}/{{id}}", "params": {"id": {"type": "int", "required": True}, "page": {"in": "query", "type": "int", "default": 1}},
                            "response_model": "User"} for e in range(100)}
    apis = {f"api{a}": {"base_url": f"https://api{a}.example.com", "auth": {"type": "bearer", "token": TOKEN}, "rate_limit": {"max_requests": 100},
                        "endpoints": {"v1": endpoints}} for a in range(100)}
    path = pathlib.Path(folder) / "many.json"
    path.write_text(json.dumps({"apis": apis, "models": {"User": MODEL}}))
    done = subprocess.run([str(PROGRAM), "memory", "-", "1", str(path)], capture_output=True, text=True, check=True)
    mib = float(done.stdout.split()[0]) / 1024
    table.add("100 APIs of 100 endpoints: memory in use, more than none", f"{mib:.1f} MiB", "", None, "≤ 8 MiB", mib <= 8)


def row_client_tls(folder, table, _):
    bench = Bench(folder)
    with bench.nginx:
        system = pathlib.Path("/etc/ssl/certs/ca-certificates.crt").read_text()
        bundle = pathlib.Path(folder) / "bundle.pem"
        bundle.write_text(system + (pathlib.Path(folder) / "cert.pem").read_text())
        document = definition(f"https://127.0.0.1:{bench.tls}/close", ca_file=str(bundle))
        ours = min(bench.ours("sync", document, 500) for _ in range(3))
    table.add("new HTTPS connection for each call, the system's CA bundle, CPU each", f"{ours / 1000:.2f} ms", "", None, "≤ 1 ms", ours <= 1000)


ROWS = {"client": row_client, "client_queue": row_client_queue, "client_cache": row_client_cache, "client_redis": row_client_redis, "client_memory": row_client_memory, "client_tls": row_client_tls}
