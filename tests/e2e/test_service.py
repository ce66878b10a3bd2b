"""Under a service manager: sockets that it passes, what it is told, and giving up root. A small stand-in plays systemd."""
import json
import os
import pathlib
import pwd
import signal
import socket
import subprocess

import pytest
import requests

from servers import BINARY
from test_reload import command

DEFINITION = {"server": {"listen": ["systemd:web"], "workers": 2, "log": {"requests": False}}}


def wrapped(folder):
    """LISTEN_PID must be the server's own: a shell that becomes it knows its number."""
    return ["/bin/sh", "-c", f'LISTEN_PID=$$ exec "{BINARY}" serve "{folder / "definition.json"}"']


@pytest.fixture
def passed(tmp_path):
    """A server with sockets from outside."""
    made = []

    def start(names, definition=DEFINITION, **more):
        (tmp_path / "definition.json").write_text(json.dumps(definition))
        told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        told.bind(str(tmp_path / "notify"))
        told.settimeout(30)
        listening = [socket.create_server(("127.0.0.1", 0)) for _ in names]

        def place():
            high = [os.dup2(each.fileno(), 200 + n) for n, each in enumerate(listening)]
            for n, fd in enumerate(high):
                os.dup2(fd, 3 + n, inheritable=True)

        environment = dict(os.environ, NOTIFY_SOCKET=str(tmp_path / "notify"), LISTEN_FDS=str(len(names)), LISTEN_FDNAMES=":".join(names),
                           **more)
        log = open(tmp_path / "log", "wb")
        process = subprocess.Popen(wrapped(tmp_path), env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=log,
                                   preexec_fn=place, close_fds=False)
        made.append((process, told, listening, log))
        process.told = lambda: dict(line.split("=", 1) for line in told.recv(4096).decode().splitlines())
        process.ports = [each.getsockname()[1] for each in listening]
        process.definition = tmp_path / "definition.json"
        return process

    yield start
    for process, told, listening, log in made:
        process.kill()
        process.wait()
        process.stdout.close()
        for each in (told, log, *listening):
            each.close()


def alive(port):
    return requests.get(f"http://127.0.0.1:{port}/livez", timeout=20).status_code == 200


def test_sockets_come_from_outside_by_name_and_by_place(passed):
    server = passed(["other", "web"], {"server": {**DEFINITION["server"], "listen": ["systemd:web", "systemd:0"]}})
    assert server.told()["READY"] == "1"
    assert alive(server.ports[0]) and alive(server.ports[1])


def test_a_socket_that_was_not_passed_is_a_finding(passed, tmp_path):
    server = passed(["other"])
    assert server.wait(30) == 1
    log = (tmp_path / "log").read_text()
    assert "systemd passed no socket of this name (web); it passed: systemd:other" in log


@pytest.mark.parametrize("kind", ["datagram", "closed"])
def test_what_nobody_can_connect_to_is_passed_over(tmp_path, kind):
    (tmp_path / "definition.json").write_text(json.dumps(DEFINITION))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        def place():
            if kind == "closed":
                os.closerange(3, 9)
            else:
                os.dup2(os.dup2(other.fileno(), 200), 3, inheritable=True)

        environment = dict(os.environ, LISTEN_FDS="1", LISTEN_FDNAMES="web")
        done = subprocess.run(wrapped(tmp_path), env=environment, cwd=tmp_path, preexec_fn=place, close_fds=False, capture_output=True,
                              text=True, timeout=60)
    assert done.returncode == 1 and "descriptor 3 (systemd:web) is passed over" in done.stderr
    assert "systemd passed no socket of this name (web); it passed: none" in done.stderr


def test_the_manager_is_told_of_every_turn(passed):
    server = passed(["web"], WATCHDOG_USEC="200000")
    assert server.told()["READY"] == "1"
    assert server.told() == {"WATCHDOG": "1"}
    assert command("reload", server.definition).returncode == 0
    heard = []
    while not heard or "READY" not in heard[-1]:
        heard.append(server.told())
    reloading = next(each for each in heard if "RELOADING" in each)
    assert int(reloading["MONOTONIC_USEC"]) > 0
    done = command("upgrade", server.definition)
    assert done.returncode == 0, done.stderr
    successor = int(done.stdout.split()[-1])
    try:
        while "MAINPID" not in heard[-1]:
            heard.append(server.told())
        assert int(heard[-1]["MAINPID"]) == successor
        while "READY" not in heard[-1]:
            heard.append(server.told())
        assert server.wait(20) == 0 and alive(server.ports[0])
        os.kill(successor, signal.SIGTERM)
        while "STOPPING" not in heard[-1]:
            heard.append(server.told())
    finally:
        try:
            os.kill(successor, signal.SIGKILL)
        except ProcessLookupError:
            pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_root_is_given_up_for_good(tmp_path):
    user = pwd.getpwnam("nobody")
    tmp_path.chmod(0o755)
    for folder in tmp_path.parents:
        if str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    data = tmp_path / "data"
    data.mkdir()
    os.chown(data, user.pw_uid, user.pw_gid)
    definition = tmp_path / "definition.json"
    definition.write_text(json.dumps({"server": {"listen": "127.0.0.1:0", "workers": 1, "user": "nobody", "store": f"sqlite:{data}/a.db"}}))
    process = subprocess.Popen([BINARY, "serve", definition], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    successor = 0
    try:
        assert process.stdout.readline().startswith(b"listening on http://")
        status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines() if ":\t" in line)
        assert set(status["Uid"].split()) == {str(user.pw_uid)} and set(status["Gid"].split()) == {str(user.pw_gid)}
        assert int(status["CapPrm"], 16) == 0 and int(status["CapEff"], 16) == 0 and status["NoNewPrivs"] == "1"
        assert (data / "a.db").stat().st_uid == user.pw_uid
        assert command("reload", definition).returncode == 0  # root finds the servers of others
        done = command("upgrade", definition)
        assert done.returncode == 0, done.stderr
        successor = int(done.stdout.split()[-1])
        assert process.wait(20) == 0
    finally:
        process.kill()
        if successor:
            os.kill(successor, signal.SIGKILL)
        process.stdout.close()
        process.stderr.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_unix_sockets_become_the_users(tmp_path):
    user = pwd.getpwnam("nobody")
    tmp_path.chmod(0o755)
    for folder in tmp_path.parents:
        if str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    data = tmp_path / "data"
    data.mkdir()
    os.chown(data, user.pw_uid, user.pw_gid)
    definition = tmp_path / "definition.json"
    server = {"listen": [{"address": f"unix:{data}/one.sock"}], "workers": 1, "user": "nobody", "store": f"sqlite:{data}/a.db"}
    definition.write_text(json.dumps({"server": server}))
    process = subprocess.Popen([BINARY, "serve", definition], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout.readline().startswith(b"listening on unix:")
        assert {(each.stat().st_uid, each.stat().st_gid) for each in data.iterdir()} == {(user.pw_uid, user.pw_gid)}
        server["listen"][0]["mode"] = "0600"
        definition.write_text(json.dumps({"server": server}))
        assert command("reload", definition).returncode == 0
        assert (data / "one.sock").stat().st_mode & 0o777 == 0o600
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert not (data / "one.sock").exists()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_user_that_is_not_there_or_is_root_is_refused(tmp_path):
    definition = tmp_path / "definition.json"
    for name, message in (("nobody-at-all", "there is no user"), ("root", "is root")):
        definition.write_text(json.dumps({"server": {"listen": "127.0.0.1:0", "user": name}}))
        done = subprocess.run([BINARY, "serve", definition], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 3 and message in done.stderr and "/server/user" in done.stderr
