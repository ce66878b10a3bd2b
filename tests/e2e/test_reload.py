"""A running server takes a new definition: nothing is lost, a wrong one changes nothing, and what is old goes."""
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys

import pytest
import requests

from load import Connection, Load
from servers import BINARY, serve  # noqa: F401

ITEMS = {
    "server": {"workers": 2, "title": "one", "log": {"requests": False}, "drain": "1s"},
    "models": {"Item": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}},
    "resources": {"items": {"model": "Item", "access": {"read": "public", "write": "public"}}},
}
OTHER = {
    **ITEMS,
    "server": {**ITEMS["server"], "title": "two", "docs": False, "limits": {"head": "8KiB"}},
    "models": {"Item": {"type": "object", "properties": {"name": {"type": "string"}, "colour": {"type": "string"}}, "required": ["name"]}},
}


def command(*words):
    return subprocess.run([BINARY, *map(str, words)], capture_output=True, text=True, timeout=60)


def put(server, definition):
    """In place of the old one, whole: a server that looks at it meanwhile sees either."""
    beside = server.path.with_suffix(".new")
    beside.write_text(definition if isinstance(definition, str) else json.dumps(definition))
    beside.rename(server.path)


def reload(server, definition):
    put(server, definition)
    return command("reload", server.path)


def title(server):
    return requests.get(server.url + "/openapi.json", timeout=20).json()["info"]["title"]


def resident(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def test_two_hundred_reloads_under_load_lose_nothing_and_keep_no_memory(serve):
    # (A sanitizer would keep what is freed: it shall let it go.)
    server = serve(ITEMS, env={"ASAN_OPTIONS": "quarantine_size_mb=1:thread_local_quarantine_size_kb=64:malloc_context_size=4"})
    early = 0
    with Load(server.port) as load:
        for n in range(200):
            done = reload(server, OTHER if n % 2 == 0 else ITEMS)
            assert done.returncode == 0, done.stderr
            if n == 19:
                early = resident(server.process.pid)
    load.check(least=500)
    assert len(server.events("reloaded")) == 200
    assert load.closed == 0  # a reload ends no connection
    assert resident(server.process.pid) < early + 12 * 1024  # KiB
    assert server.stop() == 0


def test_a_new_definition_answers_from_then_on(serve):
    server = serve(ITEMS)
    kept = Connection(server.port)
    assert kept.ask("POST", "/api/v1/items", {"name": "a", "colour": "red"})[0] == 422
    done = reload(server, OTHER)
    assert (done.returncode, done.stdout) == (0, f"reloaded (process {server.process.pid})\n")
    status, body, goes_on = kept.ask("POST", "/api/v1/items", {"name": "a", "colour": "red"})
    assert status == 201 and goes_on and json.loads(body)["colour"] == "red"
    assert requests.get(server.url + "/docs", timeout=20).status_code == 404


def test_sighup_reloads(serve):
    server = serve(ITEMS)
    put(server, {**ITEMS, "server": {**ITEMS["server"], "title": "by signal"}})
    server.process.send_signal(signal.SIGHUP)
    server.wait_event(lambda record: record["event"] == "reloaded")
    assert title(server) == "by signal"


def test_a_wrong_definition_changes_nothing_and_is_told_as_check_tells_it(serve):
    server = serve(ITEMS)
    wrong = json.dumps({**ITEMS, "server": {**ITEMS["server"], "colour": 1}, "resources": {"items": {"model": "Itme"}}}, indent=2)
    done = reload(server, wrong)
    check = command("check", server.path)
    assert done.returncode == 3 and check.returncode == 3
    assert done.stderr.splitlines()[:-1] == check.stderr.splitlines()[:-1]
    assert done.stderr.endswith("duplex: not reloaded: the server goes on as it was\n")
    assert title(server) == "one"
    assert len(server.events("finding")) == len(done.stderr.splitlines()) - 1
    assert reload(server, ITEMS).returncode == 0


def test_what_a_running_process_cannot_change_is_refused_with_the_way_out(serve):
    server = serve(ITEMS)
    for change, pointer in (({"workers": 3}, "/server/workers"), ({"store": "sqlite:other.db"}, "/server/store"),
                            ({"timeouts": {"statement": "3s"}}, "/server/timeouts/statement")):
        done = reload(server, {**ITEMS, "server": {**ITEMS["server"], **change}})
        assert done.returncode == 3, change
        assert pointer in done.stderr and "duplex upgrade" in done.stderr
    assert title(server) == "one"


def test_a_change_that_would_lose_rows_is_refused_and_the_server_goes_on(serve):
    server = serve(OTHER)
    requests.post(server.url + "/api/v1/items", json={"name": "a", "colour": "red"}, timeout=20)
    changed = json.loads(json.dumps(OTHER))
    changed["models"]["Item"]["properties"]["colour"] = {"type": "integer"}
    done = reload(server, changed)
    assert done.returncode == 3 and "colour" in done.stderr
    assert requests.get(server.url + "/api/v1/items", timeout=20).json()


def test_a_request_under_way_ends_under_the_definition_that_it_began_with(serve):
    server = serve(ITEMS)
    slow = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    body = json.dumps({"name": "slow"}).encode()
    slow.sendall(b"POST /api/v1/items HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
                 + body[:4])
    closed = {**ITEMS, "resources": {"items": {"model": "Item", "access": {"read": "public", "write": "nobody"}}}}
    del closed["resources"]["items"]["access"]["write"]
    assert reload(server, {**closed, "resources": {}}).returncode == 0
    assert requests.get(server.url + "/api/v1/items", timeout=20).status_code == 404
    slow.sendall(body[4:])
    assert slow.recv(65536).startswith(b"HTTP/1.1 201 ")
    slow.close()


def ask_unix(path):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(path))
        client.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return client.recv(65536).split(b"\r\n")[0]


def test_addresses_come_and_go(serve, tmp_path):
    own = tmp_path / "own.json"
    definition = {**ITEMS, "server": {**ITEMS["server"], "listen": [f"unix:{tmp_path}/one.sock"]}}
    own.write_text(json.dumps(definition))
    server = serve(own, program=("serve", str(own)))
    kept = socket.socket(socket.AF_UNIX)
    kept.settimeout(20)
    kept.connect(str(tmp_path / "one.sock"))
    definition["server"]["listen"] = [f"unix:{tmp_path}/two.sock"]
    assert reload(server, definition).returncode == 0
    assert ask_unix(tmp_path / "two.sock") == b"HTTP/1.1 200 OK"
    assert not (tmp_path / "one.sock").exists()
    kept.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")  # who came by it goes on
    assert kept.recv(65536).startswith(b"HTTP/1.1 200 OK")
    kept.close()
    definition["server"]["listen"] = [f"unix:{tmp_path}/two.sock", f"unix:{tmp_path}/missing/three.sock"]
    refused = reload(server, definition)
    assert refused.returncode == 3 and "/server/listen/1" in refused.stderr
    assert ask_unix(tmp_path / "two.sock") == b"HTTP/1.1 200 OK"


def test_the_mode_of_a_unix_socket_is_changed(serve, tmp_path):
    own = tmp_path / "own.json"
    listen = {"address": f"unix:{tmp_path}/one.sock"}
    definition = {**ITEMS, "server": {**ITEMS["server"], "listen": [listen]}}
    own.write_text(json.dumps(definition))
    server = serve(own, program=("serve", str(own)))
    for mode, becomes in (("0600", 0o600), ("0666", 0o666), (None, 0o660)):
        listen.pop("mode", None)
        if mode:
            listen["mode"] = mode
        assert reload(server, definition).returncode == 0
        assert (tmp_path / "one.sock").stat().st_mode & 0o777 == becomes
        assert ask_unix(tmp_path / "one.sock") == b"HTTP/1.1 200 OK"


def test_a_lockout_is_not_reset(serve):
    accounts = {**ITEMS, "identity": {"secret": "a secret of these tests, 32 bytes and more", "lockout": {"after": 3, "base_delay": "60s"}}}
    server = serve(accounts)
    wrong = {"username": "nobody", "password": "not this one"}
    while (status := requests.post(server.url + "/auth/login", data=wrong, timeout=20).status_code) == 401:
        pass
    assert status == 429
    assert reload(server, {**accounts, "server": {**accounts["server"], "title": "two"}}).returncode == 0
    assert title(server) == "two"
    assert requests.post(server.url + "/auth/login", data=wrong, timeout=20).status_code == 429


def test_only_the_right_server_is_asked(serve, tmp_path):
    one, two = serve(ITEMS), serve(ITEMS)
    second = subprocess.Popen([BINARY, "serve", str(one.path), "--listen", "127.0.0.1:0"], cwd=one.folder, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL)
    try:
        assert second.stdout.readline()
        several = command("reload", one.path)
        assert several.returncode == 1 and f"--pid {second.pid}" in several.stderr and str(two.process.pid) not in several.stderr
        assert command("reload", one.path, "--pid", second.pid).returncode == 0
        assert command("reload", "--pid", two.process.pid).returncode == 0
        assert len(two.events("reloaded")) == 1 and not one.events("reloaded")
        assert command("reload", "--pid", "1").returncode == 1
        assert command("reload", two.path, "--pid", one.process.pid).returncode == 1
    finally:
        second.kill()
        second.wait()
        second.stdout.close()
    nobody = tmp_path / "nobody.json"
    nobody.write_text("{}")
    none = command("reload", nobody)
    assert none.returncode == 1 and "no server of yours serves" in none.stderr


def self_signed(folder, name):
    done = command("cert", "self-signed", "--out", folder, "--force", name, "localhost", "127.0.0.1")
    assert done.returncode == 0, done.stderr


def served_names(port):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=20) as plain, context.wrap_socket(plain) as client:
        return ssl.DER_cert_to_PEM_cert(client.getpeercert(True))


def test_a_new_certificate_is_served_after_a_reload_and_a_bad_one_is_not(serve, tmp_path):
    self_signed(tmp_path, "one.localhost")
    tls = {"certificates": [{"certificate": str(tmp_path / "certificate.pem"), "key": str(tmp_path / "key.pem")}]}
    own = tmp_path / "own.json"
    own.write_text(json.dumps({**ITEMS, "server": {**ITEMS["server"], "listen": [{"address": "127.0.0.1:0", "tls": True}], "tls": tls}}))
    server = serve(own, program=("serve", str(own)))
    first = served_names(server.port)
    assert served_names(server.port) == first
    self_signed(tmp_path, "two.localhost")
    assert command("reload", own).returncode == 0
    second = served_names(server.port)
    assert second != first
    key = tmp_path / "key.pem"
    key.write_text("no key")
    refused = command("reload", own)
    assert refused.returncode == 3 and "key" in refused.stderr
    assert served_names(server.port) == second


@pytest.mark.skipif(not shutil.which("h2load"), reason="needs h2load")
def test_http2_streams_go_on_over_reloads(serve):
    server = serve(ITEMS)
    load = subprocess.Popen(["h2load", "-n", "20000", "-c", "4", "-m", "8", f"{server.url}/livez"], stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, text=True)
    reloads = 0
    while load.poll() is None and reloads < 100:
        assert reload(server, OTHER if reloads % 2 == 0 else ITEMS).returncode == 0
        reloads += 1
    out = load.communicate(timeout=60)[0]
    assert "20000 succeeded, 0 failed, 0 errored, 0 timeout" in out, out


def test_reloads_that_come_together_are_done_one_after_another(serve):
    server = serve(ITEMS)
    askers = [subprocess.Popen([BINARY, "reload", server.path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for _ in range(8)]
    assert [asker.communicate(timeout=60)[0] for asker in askers] == [f"reloaded (process {server.process.pid})\n".encode()] * 8
    assert len(server.events("reloaded")) == 8


def control_of(server):
    for line in pathlib.Path("/proc/net/unix").read_text().splitlines():
        name = line.split()[-1]
        if name.startswith("@duplex/") and name.endswith(f"/{server.process.pid}"):
            return "\0" + name[1:]
    raise AssertionError("the server has no control socket")


SQUATTER = """
import os, socket, sys
os.setgid(65534)
os.setuid(65534)
held = []
for name in sys.argv[1:]:
    held.append(socket.socket(socket.AF_UNIX))
    held[-1].bind("\\0" + name)
    held[-1].listen(1)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_names_that_others_took_hide_no_server(serve):
    server = serve(ITEMS)
    room, user, definition, pid = control_of(server)[1:].split("/")
    taken = [f"{room}/{user}/{definition}/{n}" for n in range(1, 80)]
    taken += [f"{room}/{user}/{'f' * 16}/{pid}", f"{room}/65534/{definition}/{pid}"]
    squatter = subprocess.Popen([sys.executable, "-c", SQUATTER, *taken], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert squatter.stdout.readline() == b"ready\n"
        for words in ((server.path,), ("--pid", pid), (server.path, "--pid", pid)):
            done = command("reload", *words)
            assert done.returncode == 0, done.stderr
    finally:
        squatter.kill()
        squatter.wait()
        squatter.stdin.close()
        squatter.stdout.close()


def processor_ticks(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_a_question_waits_while_there_is_no_descriptor(serve):
    server = serve(ITEMS)
    pid = server.process.pid
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (8, limits[1]))
    asker = subprocess.Popen([BINARY, "reload", server.path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    before = processor_ticks(pid)
    with pytest.raises(subprocess.TimeoutExpired):
        asker.wait(1)
    assert processor_ticks(pid) - before < 10  # of a hundred
    resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
    assert asker.communicate(timeout=20)[0].startswith(b"reloaded")


def test_every_worker_has_its_socket_or_the_reload_is_refused(serve, tmp_path):
    own = tmp_path / "own.json"
    one = {**ITEMS, "server": {**ITEMS["server"], "workers": 4, "listen": ["127.0.0.1:0"]}}
    two = {**one, "server": {**one["server"], "listen": ["127.0.0.1:0", "127.0.0.1:0"]}}
    own.write_text(json.dumps(one))
    server = serve(own, program=("serve", str(own)))
    pid = server.process.pid
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    results = []
    for spare in range(3, 20):
        used = len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir()))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + spare, limits[1]))
        results.append(reload(server, two).returncode)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        assert reload(server, one).returncode == 0
    assert set(results) == {0, 3}
    assert not [record for record in server.events("listening") if record["level"] == "error"]


def test_the_control_socket_bears_with_nonsense(serve):
    server = serve(ITEMS)
    name = control_of(server)
    for words in (b"nonsense\n", b"{}\n", b'{"do":"dance"}\n', b"[1]\n", b"x" * 5000, b""):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(30)
            client.connect(name)
            client.sendall(words)
            client.shutdown(socket.SHUT_WR)
            try:
                answer = client.recv(65536)
            except ConnectionResetError:  # more was sent than is read
                continue
            assert json.loads(answer)["ok"] is False
    assert command("reload", server.path).returncode == 0
