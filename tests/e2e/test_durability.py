"""What was acknowledged stays: killed during a load of writes, stopped during requests, disk full."""
import concurrent.futures
import http.client
import json
import sqlite3
import subprocess
import threading

import pytest
from servers import BINARY, Client, problem

DEFINITION = {
    "server": {"store": "sqlite:test.db"},
    "models": {"Thing": {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}, "text": {"type": "string"}}}},
    "resources": {"things": {"model": "Thing", "access": {"default": "public"}}},
}


def write_until_gone(server, writer, acknowledged):
    """Creates rows over one connection until the server is gone; notes each acknowledged one."""
    connection, number = http.client.HTTPConnection(server.host, server.port, timeout=60), 0
    while True:
        number += 1
        try:
            connection.request("POST", "/api/v1/things", json.dumps({"n": writer * 1_000_000 + number}), {"content-type": "application/json"})
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            return
        assert answer.status == 201
        acknowledged.append(json.loads(body)["n"])


def test_kill_9_during_writes_loses_nothing_acknowledged(serve):
    server = serve(DEFINITION)
    everything = []
    for round_number in range(3):
        acknowledged, enough = [], threading.Event()

        class Counting(list):
            def append(self, item):
                super().append(item)
                if len(self) >= 300:
                    enough.set()

        acknowledged = Counting()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            writers = [pool.submit(write_until_gone, server, 10 * round_number + i, acknowledged) for i in range(8)]
            assert enough.wait(60)
            server.kill()
            for writer in writers:
                writer.result(60)
        everything += acknowledged
        database = sqlite3.connect(server.folder / "test.db")
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        database.close()
        server.start()
        client, stored, link = Client(server), set(), "/api/v1/things?cursor=&page_size=100&fields=n"
        while link:
            page = client.get(link).json()
            stored |= {row["n"] for row in page["results"]}
            link = page["next"]
        assert set(everything) <= stored, f"{len(set(everything) - stored)} acknowledged rows are missing"


def test_requests_being_answered_at_shutdown_are_finished(serve):
    server = serve(DEFINITION, "--workers", "1")
    connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
    body = json.dumps({"n": 1})
    connection.putrequest("POST", "/api/v1/things")
    connection.putheader("content-type", "application/json")
    connection.putheader("content-length", str(len(body)))
    connection.endheaders(body[:3].encode())
    assert Client(server).get("/livez").status_code == 200  # the server has read what came before
    server.process.terminate()
    server.wait_event(lambda r: r["event"] == "draining")
    connection.send(body[3:].encode())
    answer = connection.getresponse()
    assert answer.status == 201 and answer.getheader("connection") == "close"
    assert server.process.wait(60) == 0


def test_a_full_disk_fails_requests_and_not_the_server(serve, tmp_path):
    if subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system")
    disk = tmp_path / "disk"
    disk.mkdir()
    definition = dict(DEFINITION, server={"store": f"sqlite:{disk}/test.db"})
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], check=False, capture_output=True)
    if mount.returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        server = serve(definition)
        client, acknowledged, status = Client(server), 0, 201
        for number in range(2000):
            answer = client.post("/api/v1/things", json={"n": number, "text": "x" * 10000})
            status = answer.status_code
            if status != 201:
                break
            acknowledged += 1
        assert status in (503, 507) and acknowledged > 0
        problem(answer, status)
        assert client.get("/api/v1/things?page_size=1").json()["count"] == acknowledged
        assert client.get("/livez").status_code == 200
        assert server.stop() == 0
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


def test_changed_definitions_migrate_and_lossy_ones_are_refused(serve):
    server = serve(DEFINITION)
    Client(server).post("/api/v1/things", json={"n": 1, "text": "kept"})
    assert server.stop() == 0
    changed = json.loads(json.dumps(DEFINITION))
    changed["models"]["Thing"]["properties"]["colour"] = {"type": "string"}
    changed["resources"]["things"]["index"] = ["n"]
    server.path.write_text(json.dumps(changed))
    server.start()
    assert Client(server).get("/api/v1/things").json()["results"][0]["colour"] is None
    assert server.stop() == 0
    del changed["models"]["Thing"]["properties"]["text"]
    server.path.write_text(json.dumps(changed))
    refused = subprocess.run([BINARY, "serve", str(server.path), "--listen", "127.0.0.1:0"], cwd=server.folder, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 3, refused
    assert "text" in refused.stderr and "dropped" in refused.stderr
    changed["resources"]["things"]["dropped"] = ["text"]
    server.path.write_text(json.dumps(changed))
    server.start()
    assert "text" not in Client(server).get("/api/v1/things").json()["results"][0]


def test_a_write_that_waits_too_long_for_another_process_is_given_up_with_a_503(serve):
    definition = dict(DEFINITION, server={"store": "sqlite:test.db", "timeouts": {"request": "100ms"}})
    server = serve(definition)
    client = Client(server)
    other = sqlite3.connect(server.folder / "test.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    refused = client.post("/api/v1/things", json={"n": 1})
    problem(refused, 503, "store_timeout")
    assert int(refused.headers["retry-after"]) >= 1
    assert client.get("/api/v1/things").json()["count"] == 0
    other.execute("ROLLBACK")
    other.close()
    assert client.post("/api/v1/things", json={"n": 1}).status_code == 201
