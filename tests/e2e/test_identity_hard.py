"""Accounts and tokens, as those meet them who mean harm."""
import base64
import concurrent.futures
import hashlib
import hmac
import json
import os
import select
import signal
import socket
import sqlite3
import stat
import subprocess
import termios
import threading
import time

import jwt
import pytest
from hostile import settles
from servers import BINARY, PASSWORD, Client, login, problem, register

SECRET = "Kq8v-Zt3w_Rb6x.Lm2y~Pd9s+Gh4j=Nc7f"
CHEAP = {"memory_kib": 64, "passes": 1, "lanes": 1}
DEFINITION = {
    "server": {"store": "sqlite:test.db", "workers": 2},
    "identity": {"secret": SECRET, "password": {"cost": CHEAP}},
    "models": {"Note": {"type": "object", "properties": {"text": {"type": "string"}}}},
    "resources": {"notes": {"model": "Note", "owner": True}},
}


def definition(**identity):
    return dict(DEFINITION, identity={**DEFINITION["identity"], **identity})


@pytest.fixture
def server(serve):
    return serve(DEFINITION)


def users(server, *words, password=None):
    return subprocess.run([BINARY, "users", *words, "--store", f"sqlite:{server.folder}/test.db"], input=password, capture_output=True, timeout=60, check=False)


def me(server, token):
    return Client(server, token).get("/auth/me").status_code


def raw_status(server, *lines):
    with socket.create_connection((server.host, server.port), timeout=30) as connection:
        connection.sendall("\r\n".join((*lines, "connection: close", "", "")).encode())
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return int(answer.split(b" ", 2)[1])


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(header, claims, secret=SECRET):
    """A token with any bytes for header and claims, and a good signature."""
    parts = ".".join(b64(part if isinstance(part, bytes) else json.dumps(part).encode()) for part in (header, claims))
    return parts + "." + b64(hmac.new(secret.encode(), parts.encode(), hashlib.sha256).digest())


# --- tokens ---------------------------------------------------------------------------------------------------------------


def test_a_signed_token_is_still_refused_for_its_header_or_its_claims(server):
    register(server, "john")
    token = login(server, "john")["access_token"]
    header, claims = jwt.get_unverified_header(token), jwt.decode(token, SECRET, algorithms=["HS256"])
    assert me(server, sign(header, claims)) == 200
    bad = [
        (dict(header, crit=["b64"], b64=False), claims),
        (dict(header, crit=[]), claims),
        (dict(header, alg="hs256"), claims),
        (dict(header, alg="none"), claims),
        (dict(header, alg=["HS256"]), claims),
        (b'{"alg":"none","alg":"HS256"}', claims),
        (b"[]", claims),
        (header, dict(claims, type="refresh")),
        (header, dict(claims, exp=str(claims["exp"]))),
        (header, {k: v for k, v in claims.items() if k != "exp"}),
        (header, dict(claims, nbf=claims["exp"])),
        (header, dict(claims, sub=1)),
        (header, dict(claims, sub="2")),
        (header, dict(claims, sid="x" * 36)),
        (header, json.dumps(claims).replace("{", '{"sub":"1",', 1).encode()),
    ]
    for tampered_header, tampered_claims in bad:
        assert me(server, sign(tampered_header, tampered_claims)) == 401, (tampered_header, tampered_claims)
    embedded = dict(header, jwk={"kty": "oct", "k": b64(b"x" * 32)})
    assert me(server, sign(embedded, claims, "x" * 32)) == 401


def test_a_token_has_one_spelling(server):
    register(server, "john")
    token = login(server, "john")["access_token"]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert [c for c in alphabet if me(server, token[:-1] + c) == 200] == [token[-1]]
    for other in (token + "=", token + ".", token + ".x", token.replace(".", "=.", 1), "a." * 8000, token[:-1]):
        assert me(server, other) == 401, other


def test_two_authorization_fields_are_refused(server):
    register(server, "john")
    good = "authorization: Bearer " + login(server, "john")["access_token"]
    head = ("GET /auth/me HTTP/1.1", "host: x")
    assert raw_status(server, *head, good) == 200
    for second in (good, "authorization: Bearer x", "authorization: Basic eDp5"):
        assert raw_status(server, *head, good, second) == 401
        assert raw_status(server, *head, second, good) == 401


@pytest.mark.parametrize("claim", ["issuer", "audience"])
def test_a_claim_that_no_request_could_carry_is_refused(tmp_path, claim):
    path = tmp_path / "definition.json"
    path.write_text(json.dumps(definition(**{claim: "x" * 9000})))
    done = subprocess.run([BINARY, "check", str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3 and f"/identity/{claim}" in done.stderr, done


def test_servers_that_start_together_agree_on_the_secret(tmp_path):
    for attempt in range(5):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        (folder / "definition.json").write_text(json.dumps({"server": {"store": "sqlite:test.db", "workers": 1}, "identity": {}}))
        command = [BINARY, "serve", "definition.json", "--listen", "127.0.0.1:0"]
        servers = [subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(6)]
        lines = [process.stdout.readline() for process in servers]
        for process in servers:
            process.send_signal(signal.SIGTERM)
        errors = [process.communicate(timeout=60)[1] for process in servers]
        assert all(line.startswith(b"listening on ") for line in lines), errors
        keys = [path for path in folder.iterdir() if ".key" in path.name]
        assert len(keys) == 1 and stat.S_IMODE(keys[0].stat().st_mode) == 0o600, keys


# --- sessions -------------------------------------------------------------------------------------------------------------


def test_many_who_refresh_at_once_get_one_and_the_same_token(server):
    register(server, "john")
    for _ in range(4):
        token = login(server, "john")["refresh_token"]
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda _, token=token: Client(server).post("/auth/refresh", json={"refresh_token": token}), range(12)))
        assert {answer.status_code for answer in answers} == {200}
        (following,) = {answer.json()["refresh_token"] for answer in answers}
        assert Client(server).post("/auth/refresh", json={"refresh_token": following}).status_code == 200


def test_a_logout_wins_over_a_refresh_beside_it(server):
    register(server, "john")
    for _ in range(10):
        tokens = login(server, "john")
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            refreshed = pool.submit(lambda tokens=tokens: Client(server).post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]}))
            left = pool.submit(lambda tokens=tokens: Client(server, tokens["access_token"]).post("/auth/logout"))
        assert left.result().status_code in (204, 401)
        if refreshed.result().status_code == 200:
            assert me(server, refreshed.result().json()["access_token"]) == 401


def test_a_login_that_waits_for_its_hash_does_not_outlive_a_change_of_password(serve):
    server = serve(definition(password={"cost": {"memory_kib": 262144, "passes": 4, "lanes": 1}}))
    register(server, "john")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        late = pool.submit(lambda: Client(server).post("/auth/login", data={"username": "john", "password": PASSWORD}))
        changed = users(server, "passwd", "--username", "john", "--password-stdin", password=b"another long passphrase\n")
        assert changed.returncode == 0, changed.stderr
    if late.result().status_code == 200:  # it was there before the change, or it must not be at all
        assert me(server, late.result().json()["access_token"]) == 401


def test_revocation_holds_on_every_worker(server):
    register(server, "john")
    token = login(server, "john")["access_token"]
    clients = [Client(server, token) for _ in range(12)]  # a connection each: both workers have the token cached
    assert {client.get("/auth/me").status_code for client in clients} == {200}
    assert Client(server, token).post("/auth/logout", json={"all": True}).status_code == 204
    assert {client.get("/auth/me").status_code for client in clients} == {401}
    token = login(server, "john")["access_token"]
    clients = [Client(server, token) for _ in range(12)]
    assert {client.get("/auth/me").status_code for client in clients} == {200}
    assert users(server, "disable", "--username", "john").returncode == 0
    # An account is read again once a second at most; how soon, the room's own tests say.
    settles(lambda: {client.get("/auth/me").status_code for client in clients} == {401}, "a worker goes on with what it remembers")


# --- guessing -------------------------------------------------------------------------------------------------------------


def test_spellings_of_a_name_do_not_buy_more_guesses(server):
    register(server, "john")
    guess = lambda name: Client(server).post("/auth/login", data={"username": name, "password": "not the password"}).status_code
    assert [guess(name) for name in ("john", "JOHN", "John", "jOHN", "joHN", "johN")] == [401] * 5 + [429]
    for name in ("john ", " john", "john\0", "\uff4aohn", "jo\u200bhn", "john\n"):  # names of nobody, not of john
        assert Client(server).post("/auth/login", data={"username": name, "password": PASSWORD}).status_code == 401


def test_a_stolen_token_does_not_buy_more_guesses(server):
    register(server, "john")
    thief = Client(server, login(server, "john")["access_token"])
    statuses = []
    for _ in range(4):
        statuses += [thief.post("/auth/login", data={"username": "john", "password": "not the password"}).status_code for _ in range(4)]
        assert thief.patch("/auth/me", json={"email": "john@example.com"}).status_code == 200
    assert statuses == [401] * 5 + [429] * 11


def test_a_flood_of_logins_is_refused_and_health_goes_on(serve):
    server = serve(definition(password={"cost": {"memory_kib": 8192, "passes": 2, "lanes": 1}}))
    codes, threads = [], []

    def guess(number):
        try:
            codes.append(Client(server).post("/auth/login", data={"username": f"nobody{number}", "password": "x"}, timeout=60).status_code)
        except OSError:
            codes.append(None)

    for number in range(290):
        threads.append(threading.Thread(target=guess, args=(number,)))
        threads[-1].start()
    assert Client(server).get("/health", timeout=20).status_code == 200
    assert Client(server).get("/livez", timeout=20).status_code == 200
    server.stop(300)
    for thread in threads:
        thread.join()
    assert set(codes) <= {401, 503, None}


# --- bodies ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "body", "status"), [
    ("application/json", b'{"username":"john","username":"jane","password":"x"}', 400),
    ("application/json", b'{"username":"john","password":"\\ud800"}', 400),
    ("application/json", b"[" * 8000, 400),
    ("application/json", b"[]", 422),
    ("application/json", b'{"username":["john"],"password":"x"}', 422),
    ("application/json", b'{"username":"john","password":"' + b"x" * 17000 + b'"}', 413),
    ("application/x-www-form-urlencoded", b"username=john&username=jane&password=x", 422),
    ("application/x-www-form-urlencoded", b"username=%ff%fe&password=x", 422),
    ("application/x-www-form-urlencoded", b"username=john&password=%zz", 400),
    ("application/x-www-form-urlencoded", b"&" * 16000, 422),
    ("text/plain", b"username=john&password=x", 415),
    ("application/json", b"", 422),
])
def test_bodies_that_are_not_what_they_should_be(server, kind, body, status):
    problem(Client(server).post("/auth/login", data=body, headers={"content-type": kind}), status)


def test_what_was_sent_comes_back_in_no_answer_and_no_log(server):
    client, secret = Client(server), "Some7hing-private"
    for body in ({"username": "john", "email": "nobody", "password": secret}, {"username": [secret], "email": "x@example.com", "password": 7}, {"username": "john", "email": "x@example.com", "password": "x" + secret * 99}):
        assert secret not in client.post("/auth/register", json=body).text
    for body in ({"username": "john", "password": secret}, {"username": "john", "password": [secret]}):
        assert secret not in client.post("/auth/login", json=body).text
    assert secret not in client.post("/auth/login?password=" + secret, data=b'{"password":"' + secret.encode(), headers={"content-type": "application/json"}).text.replace("?password=" + secret, "")
    assert server.stop() == 0
    assert secret not in server.log_path.read_text()


# --- the operator's command -----------------------------------------------------------------------------------------------


class Terminal:
    """`duplex users` with a terminal of its own for standard input, and everything that the terminal shows."""

    def __init__(self, server, *words):
        self.ours, self.theirs = os.openpty()
        command = [BINARY, "users", *words, "--store", f"sqlite:{server.folder}/test.db"]
        self.process = subprocess.Popen(command, stdin=self.theirs, stdout=self.theirs, stderr=self.theirs)
        self.shown = b""

    def wait_for(self, text):
        deadline = time.monotonic() + 60
        while text not in self.shown:
            ready, _, _ = select.select([self.ours], [], [], max(0, deadline - time.monotonic()))
            assert ready, self.shown
            self.shown += os.read(self.ours, 4096)

    def type(self, text):
        os.write(self.ours, text)

    def echoes(self):
        return bool(termios.tcgetattr(self.theirs)[3] & termios.ECHO)

    def close(self):
        os.close(self.ours)
        os.close(self.theirs)


def test_a_password_typed_at_a_terminal_is_not_shown(server):
    register(server, "john")
    terminal = Terminal(server, "passwd", "--username", "john", "--password-stdin")
    for prompt in (b"password: ", b"once more: "):
        terminal.wait_for(prompt)
        assert not terminal.echoes()
        terminal.type(b"another long passphrase\n")
    terminal.wait_for(b"every session has ended")
    assert terminal.process.wait(60) == 0 and terminal.echoes() and b"another" not in terminal.shown
    terminal.close()
    login(server, "john", "another long passphrase")


def test_a_mistyped_password_changes_nothing(server):
    register(server, "john")
    terminal = Terminal(server, "passwd", "--username", "john", "--password-stdin")
    terminal.wait_for(b"password: ")
    terminal.type(b"another long passphrase\n")
    terminal.wait_for(b"once more: ")
    terminal.type(b"another long passphrasf\n")
    terminal.wait_for(b"not the same")
    assert terminal.process.wait(60) == 3
    terminal.close()
    login(server, "john")


def test_an_interrupt_gives_the_terminal_its_echo_back(server):
    register(server, "john")
    terminal = Terminal(server, "passwd", "--username", "john", "--password-stdin")
    terminal.wait_for(b"password: ")
    terminal.type(b"anoth")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.process.wait(60) == -signal.SIGINT and terminal.echoes()
    terminal.close()
    login(server, "john")


def test_a_piped_password_is_one_line_without_its_end(server):
    register(server, "john")
    for text, right in ((b"another long passphrase\r\nmore\n", "another long passphrase"), (b"yet another passphrase", "yet another passphrase"), (b"one with a tail \n", "one with a tail ")):
        done = users(server, "passwd", "--username", "john", "--password-stdin", password=text)
        assert done.returncode == 0, done.stderr
        login(server, "john", right)
    for text in (b"", b"\n", b"short\n", b"x" * 5000, b"\xff\xfe not UTF-8 at all\n", b"password1234\n"):
        done = users(server, "passwd", "--username", "john", "--password-stdin", password=text)
        assert done.returncode == 3 and b"passphrase" not in done.stderr, done
    login(server, "john", "one with a tail ")
