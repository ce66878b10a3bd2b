"""Auth of libduplex against a server of tokens that rotates them: one exchange however many threads and processes wait, nothing lost on the
way, and nothing secret told."""
import json
import os
import pathlib
import select
import shutil
import subprocess
import time

import pytest
from servers import BINARY
from token_server import TokenServer

STORM = os.environ.get("CLIENT_STORM", str(pathlib.Path(BINARY).parent / "tests" / "tools" / "client_storm"))
SECRET = "client-secret-that-nobody-sees"


@pytest.fixture
def tokens():
    server = TokenServer()
    yield server
    server.stop()


class Storm:
    """A process of threads that call, round by round."""

    def __init__(self, definition, folder, threads=16, rounds=1, calls=1, env=None, endpoint="api.get"):
        self.process = subprocess.Popen([STORM, str(definition), endpoint, str(threads), str(rounds), str(calls)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder,
                                        env={**os.environ, "XDG_STATE_HOME": str(folder / "state"), **(env or {})})

        self.said = self.last = ""

    def begin(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self, timeout=60):
        """How many calls of the round worked and failed."""
        ready, _, _ = select.select([self.process.stdout], [], [], timeout)
        line = self.process.stdout.readline() if ready else ""
        if not line.startswith("round"):
            self.process.kill()
            raise AssertionError("no end of the round: " + self.process.communicate()[1])
        head, self.last = line.rstrip("\n").split(": ", 1) if ": " in line else (line.rstrip(":\n"), "")
        self.said += self.last
        _, _, ok, failed = head.rstrip(":").split()
        return int(ok), int(failed)

    def close(self):
        self.process.stdin.close()
        out, err = self.process.stdout.read(), self.process.stderr.read()
        assert self.process.wait(30) == 0, err
        return self.said + out + err

    def kill(self):
        self.process.kill()
        self.process.wait()


def define(folder, server, auth, **api):
    path = folder / "api.json"
    auth = {"type": "oauth2", "token_url": server.url + "/token", "client_id": "me", "client_secret": SECRET, **auth}
    path.write_text(json.dumps({"apis": {"api": {"base_url": server.url, "auth": {k: v for k, v in auth.items() if v is not None}, **api,
                                                 "endpoints": {"v1": {"get": {"path": "/thing"}, "post": {"path": "/thing", "method": "POST"}}}}}}))
    return path


def one(folder, server, auth, threads=1, calls=1, **api):
    """One process, one round: (ok, failed, what it said)."""
    storm = Storm(define(folder, server, auth, **api), folder, threads, 1, calls)
    storm.begin()
    ok, failed = storm.end()
    return ok, failed, storm.close()


def rotating(server, **more):
    with server.lock:
        first = server.issue()["refresh_token"]
    return {"grant": "refresh_token", "refresh_token": first, **more}


# --- the storm


def storm_of(folder, server, auth, rounds, calls=3):
    path = define(folder, server, auth)
    return [Storm(path, folder, 16, rounds, calls) for _ in range(4)]


def run_round(storms):
    for storm in storms:
        storm.begin()
    return [storm.end() for storm in storms]


def test_64_threads_in_4_processes_make_exactly_one_exchange_per_expiry(tokens, tmp_path):
    rounds = 6
    storms = storm_of(tmp_path, tokens, rotating(tokens), rounds)
    for number in range(1, rounds + 1):
        assert run_round(storms) == [(48, 0)] * 4, [storm.last for storm in storms]
        assert len(tokens.exchanges) == number, tokens.exchanges
        tokens.expire_all()
    for storm in storms:
        storm.close()
    assert tokens.exchanges == [("refresh_token", 200)] * rounds
    assert tokens.families == 1


def test_tokens_that_end_by_themselves_are_renewed_once_each_and_early(tokens, tmp_path):
    tokens.lifetime = 2
    rounds, begun = 1, time.monotonic()
    storms = storm_of(tmp_path, tokens, rotating(tokens), rounds, calls=150)
    assert run_round(storms) == [(2400, 0)] * 4, [storm.last for storm in storms]
    took = time.monotonic() - begun
    for storm in storms:
        storm.close()
    assert len(tokens.spent) == len(tokens.exchanges)  # each refresh token was sent once
    assert all(status == 200 for _, status in tokens.exchanges)
    # A token lives for 1.7 to 1.8 s before it is renewed: no more exchanges than that gives, whoever it was that renewed.
    assert 1 <= len(tokens.exchanges) <= took / 1.6 + 2
    assert [status for status, _ in tokens.hits].count(401) == 0


@pytest.mark.skipif(not shutil.which("redis-server"), reason="no Redis")
def test_redis_is_as_good_a_store_for_the_storm(tokens, tmp_path):
    socket = tmp_path / "redis.sock"
    redis = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(tmp_path)],
                             stdout=subprocess.PIPE)
    try:
        while b"eady to accept connections" not in redis.stdout.readline() and redis.poll() is None:
            pass
        rounds = 4
        storms = storm_of(tmp_path, tokens, rotating(tokens, store={"type": "redis", "url": f"redis+unix://{socket}"}), rounds)
        for number in range(1, rounds + 1):
            assert run_round(storms) == [(48, 0)] * 4, [storm.last for storm in storms]
            assert len(tokens.exchanges) == number, tokens.exchanges
            tokens.expire_all()
        for storm in storms:
            storm.close()
        assert tokens.exchanges == [("refresh_token", 200)] * rounds
    finally:
        redis.terminate()
        redis.wait()


def test_a_redis_that_is_not_there_is_told(tokens, tmp_path):
    ok, failed, said = one(tmp_path, tokens, {"store": {"type": "redis", "url": f"redis+unix://{tmp_path}/none.sock"}})
    assert (ok, failed) == (0, 1) and "the Redis that keeps the token" in said and not tokens.exchanges


# --- what is stored


def stored(folder):
    return [p for p in (folder / "state" / "duplex").iterdir() if p.suffix == ".json"]


def test_a_rotated_refresh_token_outlives_the_process_in_a_file_for_its_owner_alone(tokens, tmp_path):
    auth = rotating(tokens)
    assert one(tmp_path, tokens, auth)[:2] == (1, 0)
    (path,) = stored(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    record = json.loads(path.read_text())
    assert record["refresh_token"] in tokens.refresh and record["access_token"] in tokens.access
    assert one(tmp_path, tokens, auth)[:2] == (1, 0)
    assert len(tokens.exchanges) == 1  # the second process found it
    tokens.expire_all()
    assert one(tmp_path, tokens, auth)[:2] == (1, 0)
    assert len(tokens.exchanges) == 2 and tokens.families == 1


def test_a_store_that_others_can_read_is_refused(tokens, tmp_path):
    auth = rotating(tokens)
    one(tmp_path, tokens, auth)
    stored(tmp_path)[0].chmod(0o640)
    ok, failed, said = one(tmp_path, tokens, auth)
    assert (ok, failed) == (0, 1) and "open to others" in said and "chmod 600" in said


def test_stored_tokens_can_be_sealed(tokens, tmp_path):
    from cryptography.fernet import Fernet
    key = Fernet.generate_key().decode()
    path = define(tmp_path, tokens, rotating(tokens, store={"type": "file", "seal": True}))
    for _ in range(2):
        storm = Storm(path, tmp_path, 1, env={"DUPLEX_SEAL_KEYS": key})
        storm.begin()
        assert storm.end() == (1, 0), storm.close()
        storm.close()
    assert len(tokens.exchanges) == 1
    text = stored(tmp_path)[0].read_text()
    assert "at-" not in text and "rt-" not in text
    assert b"at-1-" in Fernet(key).decrypt(json.loads(text)["sealed"].encode())
    storm = Storm(path, tmp_path, 1, env={"DUPLEX_SEAL_KEYS": Fernet.generate_key().decode()})
    storm.begin()
    assert storm.end() == (0, 1)
    assert "no key of DUPLEX_SEAL_KEYS opens it" in storm.close()


# --- renewing


def test_a_401_leads_to_one_exchange_and_one_replay(tokens, tmp_path):
    storm = Storm(define(tmp_path, tokens, {}), tmp_path, 8, 3)
    for _ in range(2):
        storm.begin()
        assert storm.end() == (8, 0)
        tokens.expire_all()
    assert len(tokens.exchanges) == 2
    tokens.script.extend([(200, {"access_token": "not one of ours", "expires_in": 3600})])
    storm.begin()
    assert storm.end() == (0, 8)  # a new one that is refused too is not fetched again and again
    storm.close()
    assert len(tokens.exchanges) == 3
    assert len([t for s, t in tokens.hits if t == "not one of ours"]) == 8


def test_after_a_refusal_calls_fail_at_once_until_the_pause_is_over(tokens, tmp_path):
    tokens.script.extend([(400, {"error": "invalid_client", "error_description": f"bad secret {SECRET}\x1b[31m"})] * 3)
    ok, failed, said = one(tmp_path, tokens, {}, threads=4, calls=5)
    assert (ok, failed) == (0, 20) and len(tokens.exchanges) == 1
    assert "invalid_client" in said and "tried again in" in said
    assert SECRET not in said and "\x1b" not in said


def test_a_server_that_is_busy_is_asked_again_soon(tokens, tmp_path):
    tokens.script.append((503, {"error": "temporarily_unavailable"}))
    storm = Storm(define(tmp_path, tokens, {"cooldown": 0}), tmp_path, 1, 2)
    storm.begin()
    assert storm.end() == (0, 1)
    storm.begin()
    assert storm.end() == (1, 0)
    storm.close()
    assert [status for _, status in tokens.exchanges] == [503, 200]


def test_retry_after_is_the_least_pause_before_a_token_is_asked_for_again(tokens, tmp_path):
    tokens.script.append((429, {"error": "slow_down"}, [("Retry-After", "77")]))
    ok, failed, said = one(tmp_path, tokens, {"cooldown": 0}, calls=3)
    assert (ok, failed) == (0, 3) and len(tokens.exchanges) == 1
    assert "tried again in 77 s" in said or "tried again in 76 s" in said


def test_invalid_grant_makes_it_look_into_the_store_once_more(tokens, tmp_path):
    """Somebody else, who knows nothing of our lock, renews while our request is under way."""
    auth = rotating(tokens)
    assert one(tmp_path, tokens, auth)[:2] == (1, 0)
    tokens.expire_all()
    (path,) = stored(tmp_path)
    record = json.loads(path.read_text())
    tokens.release.clear()
    storm = Storm(define(tmp_path, tokens, auth), tmp_path, 4)
    storm.begin()
    while not any(b"grant_type=refresh_token" in body and record["refresh_token"].encode() in body for _, _, _, body in list(tokens.requests)):
        time.sleep(0.005)
    with tokens.lock:
        other = tokens.issue(1)
        del tokens.refresh[record["refresh_token"]]
    path.write_text(json.dumps({**record, "access_token": other["access_token"], "refresh_token": other["refresh_token"]}))
    tokens.release.set()
    assert storm.end() == (4, 0), storm.close()
    storm.close()
    assert [status for _, status in tokens.exchanges] == [200, 400]


def test_a_call_that_gives_up_does_not_end_the_exchange_for_others_and_its_token_is_stored(tokens, tmp_path):
    auth = rotating(tokens)
    tokens.release.clear()
    storm = Storm(define(tmp_path, tokens, auth, timeout=0.3), tmp_path, 4, 2)
    storm.begin()
    assert storm.end() == (0, 4)  # all of them ran out of time
    tokens.release.set()
    while len(tokens.exchanges) < 1:
        time.sleep(0.005)
    storm.begin()
    assert storm.end() == (4, 0)
    assert "in the phase auth" in storm.close()
    assert len(tokens.exchanges) == 1


def test_closing_the_client_waits_for_an_exchange_so_that_a_refresh_token_is_not_lost(tokens, tmp_path):
    auth = rotating(tokens)
    tokens.delay = 1
    storm = Storm(define(tmp_path, tokens, auth, timeout=0.2), tmp_path, 1)
    storm.begin()
    assert storm.end() == (0, 1)
    storm.close()
    assert json.loads(stored(tmp_path)[0].read_text())["refresh_token"] in tokens.refresh


def test_while_a_token_is_good_the_old_one_serves_and_one_renewal_runs_behind(tokens, tmp_path):
    tokens.lifetime = 6
    storm = Storm(define(tmp_path, tokens, {"leeway": 3}), tmp_path, 8, 100_000)
    storm.begin()
    assert storm.end() == (8, 0)
    tokens.release.clear()
    asked = 0
    while asked < 2:  # until the leeway has begun: then once more, though no new token can be had
        asked = sum(path.startswith("/token") for _, path, _, _ in list(tokens.requests))
        storm.begin()
        assert storm.end() == (8, 0)
    tokens.release.set()
    storm.close()
    assert len(tokens.exchanges) == 2


# --- quirks


def first_body(server):
    command, path, headers, body = next(r for r in server.requests if r[1].startswith("/token"))
    return command, path, headers, body.decode()


def test_client_auth_basic_keeps_the_secret_out_of_the_body(tokens, tmp_path):
    assert one(tmp_path, tokens, {"client_auth": "basic", "scopes": ["a", "b"], "scope_separator": ",", "audience": "aud"})[:2] == (1, 0)
    _, _, headers, body = first_body(tokens)
    assert headers["Authorization"].startswith("Basic ") and SECRET not in body
    assert "scope=a%2Cb" in body and "audience=aud" in body


def test_bodies_can_be_json_or_a_query_and_params_and_headers_are_added(tokens, tmp_path):
    assert one(tmp_path, tokens, {"body_format": "json", "token_params": {"tenant": 7, "grant_type": "custom"}, "token_headers": {"X-Api": "2"}})[:2] == (1, 0)
    _, _, headers, body = first_body(tokens)
    assert json.loads(body) == {"grant_type": "custom", "client_id": "me", "client_secret": SECRET, "tenant": 7}
    assert headers["X-Api"] == "2"
    tokens.requests.clear()
    assert one(tmp_path, tokens, {"token_method": "GET"})[:2] == (1, 0)
    command, path, _, body = first_body(tokens)
    assert command == "GET" and "client_id=me" in path and not body


def test_tokens_are_found_where_pointers_say_and_go_where_they_belong(tokens, tmp_path):
    tokens.answer = lambda answer: {"data": {"tok": answer["access_token"]}, "lives": str(answer["expires_in"])}
    assert one(tmp_path, tokens, {"token_path": "/data/tok", "expires_in_path": "/lives", "in": "query", "name": "access_token"})[:2] == (1, 0)
    assert one(tmp_path, tokens, {"token_path": "/data/tok", "in": "header", "name": "X-Session", "prefix": ""})[:2] == (1, 0)


def test_an_answer_without_a_token_says_where_it_was_looked_for(tokens, tmp_path):
    tokens.script.append((200, {"ok": False, "error": "invalid_auth"}))
    ok, failed, said = one(tmp_path, tokens, {})
    assert failed == 1 and "invalid_auth" in said and "token_path (/access_token)" in said


def test_private_key_jwt_is_an_assertion_that_others_can_verify(tokens, tmp_path):
    import jwt
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    auth = {"client_secret": None, "client_auth": "private_key_jwt", "key": {"algorithm": "ES256", "pem": pem, "id": "k1"}}
    assert one(tmp_path, tokens, auth)[:2] == (1, 0)
    _, _, _, body = first_body(tokens)
    assertion = dict(pair.split("=", 1) for pair in body.split("&"))["client_assertion"]
    claims = jwt.decode(assertion, key.public_key(), algorithms=["ES256"], audience=tokens.url + "/token")
    assert claims["iss"] == claims["sub"] == "me" and jwt.get_unverified_header(assertion)["kid"] == "k1"


def test_a_login_gives_a_token_of_its_own_kind(tokens, tmp_path):
    path = tmp_path / "api.json"
    auth = {"type": "dynamic_token", "login": {"path": "/login", "body": {"user": "{user}", "nested": {"pass": "{pass}"}}},
            "params": {"user": "u", "pass": "p{x}"}, "token_path": "/data/session/id", "expires_path": "/data/ends", "in": "header",
            "name": "X-Session", "prefix": ""}
    path.write_text(json.dumps({"apis": {"api": {"base_url": tokens.url, "auth": auth, "endpoints": {"v1": {"get": {"path": "/thing"}}}}}}))
    storm = Storm(path, tmp_path, 4, 2)
    for _ in range(2):
        storm.begin()
        assert storm.end() == (4, 0)
        tokens.expire_all()
    storm.close()
    assert tokens.exchanges == [("login", 200)] * 2
    assert json.loads(next(b for _, p, _, b in tokens.requests if p == "/login")) == {"user": "u", "nested": {"pass": "p{x}"}}


def test_a_login_that_fails_says_why_without_the_password(tokens, tmp_path):
    path = tmp_path / "api.json"
    auth = {"type": "dynamic_token", "login": {"path": "/token", "body": {"user": "u", "password": "hunter2-in-the-body"}}}
    path.write_text(json.dumps({"apis": {"api": {"base_url": tokens.url, "auth": auth, "endpoints": {"v1": {"get": {"path": "/thing"}}}}}}))
    tokens.script.append((401, {"message": "hunter2-in-the-body is wrong"}))
    storm = Storm(path, tmp_path, 1)
    storm.begin()
    assert storm.end() == (0, 1)
    said = storm.close()
    assert "the login endpoint answered 401" in said and "hunter2" not in said


def test_a_jwt_learns_the_servers_clock_from_its_refusal(tokens, tmp_path):
    import email.utils
    import jwt
    secret = "0123456789abcdef0123456789abcdef"
    ahead = 3600
    tokens.api_script.append((401, {}, [("Date", email.utils.formatdate(time.time() + ahead, usegmt=True))]))
    tokens.api_script.append((200, {}))
    path = tmp_path / "api.json"
    auth = {"type": "jwt", "key": {"algorithm": "HS256", "secret": secret}, "claims": {"iss": "i", "aud": "a", "extra": {"n": 1}}}
    path.write_text(json.dumps({"apis": {"api": {"base_url": tokens.url, "auth": auth, "endpoints": {"v1": {"get": {"path": "/thing"}}}}}}))
    storm = Storm(path, tmp_path, 1)
    storm.begin()
    assert storm.end() == (1, 0)
    storm.close()
    made = [jwt.decode(h["Authorization"].removeprefix("Bearer "), secret, algorithms=["HS256"], audience="a", options={"verify_exp": False, "verify_iat": False})
            for _, _, h, _ in tokens.requests]
    assert len(made) == 2 and made[0]["n"] == 1
    assert abs(made[0]["iat"] - (time.time() - 60)) < 30 and abs(made[1]["iat"] - made[0]["iat"] - ahead) < 30


@pytest.mark.parametrize("change, expected", [
    ({"token_url": "http://example.com/token"}, "must be https"),
    ({"scope": "x"}, 'did you mean "scopes"'),
    ({"grant": "client_credential"}, "must be one of: client_credentials"),
    ({"client_secret": ""}, "client_secret"),
    ({"token_path": "a.b"}, "must be a JSON pointer"),
    ({"store": {"type": "file", "pth": "x"}}, 'did you mean "path"'),
    ({"store": {"type": "redis", "url": "postgres://x"}}, "url"),
    ({"key": {"pem": "x"}}, "key"),
])
def test_what_is_wrong_with_an_auth_object_is_told_where_it_stands(tokens, tmp_path, change, expected):
    auth = {"type": "oauth2", "token_url": tokens.url + "/token", "client_id": "me", "client_secret": SECRET, **change}
    path = tmp_path / "api.json"
    path.write_text(json.dumps({"apis": {"api": {"base_url": tokens.url, "auth": auth, "endpoints": {"v1": {"get": {"path": "/thing"}}}}}}, indent=1))
    done = subprocess.run([STORM, str(path), "api.get", "1", "1", "1"], input="\n", capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert done.returncode == 1 and expected in done.stderr
    assert "api.json:" in done.stderr and SECRET not in done.stderr


# --- `duplex auth`


def auth(folder, *words, **more):
    return subprocess.run([BINARY, "auth", *words], capture_output=True, text=True, timeout=60, check=False, cwd=folder,
                          env={**os.environ, "XDG_STATE_HOME": str(folder / "state")}, **more)


def person(tokens, grant, **more):
    return {"grant": grant, "client_secret": None, "authorize_url": tokens.url + "/authorize", "device_url": tokens.url + "/device",
            "revoke_url": tokens.url + "/revoke", "scopes": "read write", **more}


def begin_login(folder, *words):
    process = subprocess.Popen([BINARY, "auth", "login", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder,
                               env={**os.environ, "XDG_STATE_HOME": str(folder / "state")})
    lines = [process.stdout.readline() for _ in range(3)]
    return process, lines[2].strip()


def test_a_person_logs_in_by_code_and_pkce_calls_are_made_and_the_login_is_ended(tokens, tmp_path):
    import requests
    path = define(tmp_path, tokens, person(tokens, "authorization_code", cooldown=0))
    storm = Storm(path, tmp_path, 1, 2)
    storm.begin()
    assert storm.end() == (0, 1) and "duplex auth login FILE api" in storm.last
    assert auth(tmp_path, "status", "api.json", "api").returncode == 1
    process, url = begin_login(tmp_path, "api.json", "api")
    assert "code_challenge_method=S256" in url and "scope=read%20write" in url
    home = requests.get(url, allow_redirects=False, timeout=20).headers["Location"]
    assert requests.get(home.split("?")[0] + "?code=x&state=forged", timeout=20).status_code == 400  # and it waits on
    assert requests.get(home.replace("/callback", "/other"), timeout=20).status_code == 404
    assert requests.get(home, timeout=20).status_code == 200
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert "api: logged in, good until 20" in out and "renewed by itself" in out and "at-" not in out + err
    storm.begin()
    assert storm.end() == (1, 0), storm.last  # the process that had no token finds it
    storm.close()
    assert one(tmp_path, tokens, person(tokens, "authorization_code", cooldown=0))[:2] == (1, 0)
    done = auth(tmp_path, "status", "api.json")
    assert (done.returncode, done.stderr) == (0, "") and "api: oauth2, a token, good until" in done.stdout and "scopes: read" in done.stdout
    assert "at-" not in done.stdout and "rt-" not in done.stdout
    (kept,) = stored(tmp_path)
    record = json.loads(kept.read_text())
    done = auth(tmp_path, "logout", "api.json", "api")
    assert done.returncode == 0 and "the server was told" in done.stdout
    assert tokens.revoked == [record["refresh_token"]] and not kept.exists()
    assert "was not logged in" in auth(tmp_path, "logout", "api.json", "api").stdout


def test_a_login_that_the_server_refuses_says_so(tokens, tmp_path):
    import requests
    define(tmp_path, tokens, person(tokens, "authorization_code"))
    process, url = begin_login(tmp_path, "api.json", "api")
    home = requests.get(url, allow_redirects=False, timeout=20).headers["Location"]
    state = home.split("state=")[1]
    requests.get(home.split("?")[0] + f"?error=access_denied&state={state}", timeout=20)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 1 and "access_denied" in err


def test_a_device_code_is_shown_and_asked_for_until_it_was_typed(tokens, tmp_path):
    tokens.device_pending = 2
    path = define(tmp_path, tokens, person(tokens, "device_code"))
    done = auth(tmp_path, "login", "api.json", "api")
    assert done.returncode == 0, done.stderr
    assert "WDJB-MJHT" in done.stdout and tokens.url + "/activate" in done.stdout and tokens.device_polls == 3
    storm = Storm(path, tmp_path, 1)
    storm.begin()
    assert storm.end() == (1, 0)
    storm.close()


def test_auth_tells_what_it_can_not_do(tokens, tmp_path):
    define(tmp_path, tokens, {})
    done = auth(tmp_path, "login", "api.json", "api")
    assert done.returncode == 3 and "gets its tokens by itself" in done.stderr
    done = auth(tmp_path, "login", "api.json", "apj")
    assert done.returncode == 3 and 'did you mean "api"' in done.stderr
    assert auth(tmp_path, "logn", "api.json", "api").returncode == 2
    assert auth(tmp_path, "login", "api.json").returncode == 2
    assert auth(tmp_path, "login", "none.json", "api").returncode == 3
    assert "Usage: duplex auth" in auth(tmp_path, "--help").stdout


def test_the_definitions_on_the_page_about_auth_are_accepted(tmp_path):
    import re
    page = pathlib.Path(__file__).resolve().parents[2] / "docs" / "client" / "auth.md"
    blocks = re.findall(r"^```json\n(.*?)^```", page.read_text(), re.M | re.S)
    assert len(blocks) >= 2
    for block in blocks:
        (tmp_path / "shown.json").write_text(block)
        done = subprocess.run([STORM, str(tmp_path / "shown.json"), "-", "1", "0", "0"], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
