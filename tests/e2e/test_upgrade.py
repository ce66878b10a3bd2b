"""A server hands over to a new process of its program: nothing is lost, and one that can't serve changes nothing."""
import json
import os
import shutil
import signal
import socket
import subprocess

import pytest
import requests

from hostile import settles
from load import Connection, Load
from servers import BINARY, serve  # noqa: F401
from test_reload import ITEMS, OTHER, command, put, title


@pytest.fixture
def lineage():
    """The process ids that came after the first one; what is left of them is ended."""
    pids = []
    yield pids
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def wait_gone(pid, timeout=30):
    def gone():
        try:
            return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] == "Z"
        except FileNotFoundError:
            return True
    settles(gone, f"process {pid} is still there", timeout)


def upgrade(server, lineage, definition=None):
    if definition is not None:
        put(server, definition)
    done = command("upgrade", server.path)
    if done.returncode == 0:
        lineage.append(int(done.stdout.split()[-1]))
    return done


def end(lineage):
    os.kill(lineage[-1], signal.SIGTERM)
    wait_gone(lineage[-1])


def test_ten_upgrades_under_load_lose_nothing(serve, lineage):
    server = serve(ITEMS)
    before = server.process.pid
    with Load(server.port) as load:
        for n in range(10):
            workers = 1 + n % 3  # another number each time
            changed = {**(OTHER if n % 2 == 0 else ITEMS)}
            changed["server"] = {**changed["server"], "workers": workers, "title": f"number {n}"}
            done = upgrade(server, lineage, changed)
            assert done.returncode == 0, done.stderr
            assert done.stdout.startswith(f"process {before} has handed over to process ")
            wait_gone(before)
            before = lineage[-1]
    load.check(least=300)
    assert load.closed > 0  # kept connections were told to come again
    assert len(server.events("handed_over")) == 10
    rows = requests.get(server.url + "/api/v1/items?sort=-id&page_size=1", timeout=20).json()
    assert str(max(load.ids)) in str(rows)
    assert server.process.wait(20) == 0
    end(lineage)


def test_reloads_and_upgrades_mix(serve, lineage):
    server = serve(ITEMS)
    with Load(server.port, keepers=2, fresh=1) as load:
        for n in range(3):
            assert upgrade(server, lineage).returncode == 0
            wait_gone(server.process.pid if n == 0 else lineage[-2])
            put(server, OTHER if n % 2 == 0 else ITEMS)
            assert command("reload", server.path).returncode == 0
    load.check(least=50)
    end(lineage)


def test_the_new_process_can_be_asked_as_soon_as_the_old_one_has_answered(serve, lineage):
    server = serve(ITEMS)
    for _ in range(20):
        assert upgrade(server, lineage).returncode == 0
        done = command("reload", server.path)
        assert (done.returncode, done.stdout) == (0, f"reloaded (process {lineage[-1]})\n"), done.stderr
    assert server.process.wait(20) == 0
    end(lineage)


def test_who_waits_for_his_turn_during_a_handover_is_answered_by_the_new_process(serve, lineage):
    server = serve(ITEMS)
    words = [[BINARY, "upgrade", server.path]] + [[BINARY, "reload", server.path]] * 6
    askers = [subprocess.Popen(each, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for each in words]
    said = [asker.communicate(timeout=60) for asker in askers]
    lineage.append(int(said[0][0].split()[-1]))
    assert [asker.returncode for asker in askers] == [0] * len(askers), said
    assert server.process.wait(20) == 0
    end(lineage)


def test_what_a_reload_refuses_an_upgrade_takes(serve, lineage):
    server = serve(ITEMS)
    put(server, {**ITEMS, "server": {**ITEMS["server"], "workers": 3}})
    assert command("reload", server.path).returncode == 3
    assert upgrade(server, lineage).returncode == 0
    wait_gone(server.process.pid)
    record = server.wait_event(lambda record: record["event"] == "listening" and record["workers"] == 3)
    assert record["url"] == server.url
    end(lineage)


def test_a_new_process_that_cannot_serve_changes_nothing(serve, lineage):
    server = serve(ITEMS)
    done = upgrade(server, lineage, {**ITEMS, "server": {**ITEMS["server"], "colour": 1}})
    assert done.returncode == 3 and "/server/colour" in done.stderr
    assert done.stderr.endswith("duplex: not upgraded: the server goes on as it was\n")
    assert title(server) == "one"
    assert server.process.poll() is None
    assert upgrade(server, lineage, ITEMS).returncode == 0
    wait_gone(server.process.pid)
    assert title(server) == "one"
    end(lineage)


def test_the_program_that_lies_in_its_place_is_started(serve, lineage, tmp_path):
    copy = tmp_path / "duplex"
    shutil.copy(BINARY, copy)
    definition = tmp_path / "definition.json"
    definition.write_text('{"server": {"listen": "127.0.0.1:0", "workers": 1}}')
    process = subprocess.Popen([copy, "serve", definition], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=tmp_path)
    try:
        assert process.stdout.readline().startswith(b"listening")
        beside = tmp_path / "duplex.new"
        shutil.copy("/bin/false", beside)
        beside.rename(copy)
        refused = command("upgrade", definition)
        assert refused.returncode == 3 and "ended before it was ready" in refused.stderr
        shutil.copy(BINARY, beside)
        beside.rename(copy)
        done = command("upgrade", "--pid", process.pid)
        assert done.returncode == 0, done.stderr
        lineage.append(int(done.stdout.split()[-1]))
        assert process.wait(20) == 0
        assert os.readlink(f"/proc/{lineage[-1]}/exe") == str(copy)
    finally:
        process.kill()
        process.stdout.close()


def test_sigusr2_upgrades(serve, lineage):
    server = serve(ITEMS)
    server.process.send_signal(signal.SIGUSR2)
    assert server.process.wait(30) == 0
    found = command("upgrade", server.path)
    assert found.returncode == 0, found.stderr
    lineage.append(int(found.stdout.split()[1]))
    lineage.append(int(found.stdout.split()[-1]))
    wait_gone(lineage[0])
    end(lineage)


def test_a_request_under_way_is_finished_by_the_old_process(serve, lineage):
    server = serve(ITEMS)
    slow = Connection(server.port)
    slow.socket.sendall(b"POST /api/v1/items HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{\"name\"")
    assert upgrade(server, lineage, {**ITEMS, "server": {**ITEMS["server"], "title": "two"}}).returncode == 0
    assert title(server) == "two"
    assert server.process.poll() is None  # it waits
    slow.socket.sendall(b": \"ab\"}")
    slow.receive()
    assert slow.data.startswith(b"HTTP/1.1 201 ") and b"connection: close" in slow.data.lower()
    assert server.process.wait(20) == 0
    end(lineage)


def test_unix_sockets_stay(serve, lineage, tmp_path):
    own = tmp_path / "own.json"
    own.write_text('{"server": {"listen": "unix:%s/one.sock", "workers": 2, "log": {"requests": false}}}' % tmp_path)
    server = serve(own, program=("serve", str(own)))
    assert upgrade(server, lineage).returncode == 0
    assert server.process.wait(20) == 0
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "one.sock"))
        client.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
    end(lineage)
    assert not (tmp_path / "one.sock").exists()


def test_a_new_process_that_cannot_serve_leaves_no_socket_behind(serve, lineage, tmp_path):
    own = tmp_path / "own.json"
    definition = {**OTHER, "server": {**OTHER["server"], "listen": [f"unix:{tmp_path}/one.sock"]}}
    own.write_text(json.dumps(definition))
    server = serve(own, program=("serve", str(own)))
    changed = json.loads(json.dumps(definition))
    changed["server"]["listen"].append(f"unix:{tmp_path}/two.sock")
    changed["server"]["store"] = f"sqlite:{tmp_path}/missing/a.db"
    refused = upgrade(server, lineage, changed)
    assert refused.returncode == 3, refused.stderr
    assert not (tmp_path / "two.sock").exists() and (tmp_path / "one.sock").exists()
    # And one that it listens at no more goes with the old process.
    changed = {**definition, "server": {**definition["server"], "listen": [f"unix:{tmp_path}/two.sock"]}}
    assert upgrade(server, lineage, changed).returncode == 0
    assert server.process.wait(20) == 0
    assert (tmp_path / "two.sock").exists()
    settles(lambda: not (tmp_path / "one.sock").exists(), "the old socket is still there")  # the new process takes it away, perhaps after the old one's end
    end(lineage)


def test_a_handover_that_nobody_began_is_refused(tmp_path):
    definition = tmp_path / "definition.json"
    definition.write_text('{"server": {"listen": "127.0.0.1:0"}}')
    done = subprocess.run([BINARY, "serve", definition], env=dict(os.environ, DUPLEX_HANDOVER="99"), capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 3 and "DUPLEX_HANDOVER" in done.stderr
