"""`duplex call`, `apis` and `doctor`: APIs of others from the command line. Servers are Python's http.server and duplex itself."""
import http.server
import json
import os
import pty
import select
import shlex
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest
from servers import BINARY, ROOT, login, register

GITHUB = str(ROOT / "examples" / "github.json")
TOKEN = "s3cr3t-token-of-mine"
USER = {"login": "octocat", "id": 9007199254740993, "name": None, "public_repos": 8}


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers by the path; remembers what it was asked."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, kind="application/json", **fields):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        server = self.server
        with server.lock:
            server.asked.append({"method": self.command, "path": self.path, "headers": dict(self.headers.items()), "body": body})
            count = len(server.asked)
        path = self.path.split("?")[0]
        if path.startswith("/status/"):
            self.answer(int(path[8:]), {"message": "as you wished"})
        elif path == "/every-other":
            self.answer(200 if count % 2 else 400, {"n": count})
        elif path == "/text":
            self.answer(200, b"plain words\n", "text/plain")
        elif path == "/big":
            self.answer(200, b"x" * 3_000_000, "application/octet-stream")
        elif path == "/wait":
            server.waiting.set()
            server.release.wait(60)
            self.answer(200, {})
        elif path == "/list":
            self.answer(200, [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}])
        elif path == "/pages":
            number = int(self.path.split("page=")[1]) if "page=" in self.path else 1
            self.answer(200, [{"n": 2 * number - 1}, {"n": 2 * number}] if number < 4 else [])
        elif path == "/openapi.json":
            self.answer(200, server.document)
        elif path == "/past":
            self.answer(200, {})
        elif path.startswith("/users/"):
            self.answer(200, dict(USER, login=path[7:]), X_Kind="user") if "nobody" not in path else self.answer(404, {"message": "Not Found"})
        else:
            self.answer(200, {"method": self.command, "path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()}, "body": body.decode("latin-1")})

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = serve


@pytest.fixture
def fake():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.lock, server.asked = threading.Lock(), []
    server.waiting, server.release = threading.Event(), threading.Event()
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.release.set()
    server.shutdown()
    thread.join()
    server.server_close()


def duplex(*words, text=None, cwd=None, env=None):
    whole = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()}
    whole.update({k: str(v) for k, v in (env or {}).items()})
    done = subprocess.run([BINARY, *map(str, words)], input=text, capture_output=True, text=True, timeout=120, check=False, cwd=cwd, env=whole)
    assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
    return done


API = {
    "apis": {
        "defaults": {"retry": {"attempts": 2, "delay": 0}, "timeout": 20},
        "echo": {
            "base_url": "${ECHO}/v1",
            "auth": {"type": "bearer", "token": "${ECHO_TOKEN}"},
            "default_headers": {"X-Team": "blue"},
            "rate_limit": {"max_requests": 1000, "time_window": 1},
            "breaker": {"enabled": True},
            "endpoints": {"v1": {
                "search": {"path": "/search/{kind}", "summary": "Find things", "params": {
                    "kind": {"type": "str", "description": "What to look for."},
                    "count": {"type": "int", "default": 5}, "exact": {"type": "bool"}, "tags": {"type": "list"},
                    "key": {"in": "header", "name": "X-Key", "secret": True}}},
                "make": {"path": "/make", "method": "POST", "request_model": "Thing", "params": {"name": {"type": "str", "required": True, "description": "Its name."}, "price": {"type": "float"}, "more": {"type": "dict"}}},
                "send": {"path": "/send", "method": "PUT", "body": {"content_type": "multipart/form-data"}, "params": {"file": {"type": "file", "required": True}, "note": {"type": "str", "default": "none"}}},
                "raw": {"path": "/raw", "method": "PUT", "body": {"content_type": "text/csv"}},
            }},
        },
        "limited": {"base_url": "${ECHO}", "rate_limit": {"max_requests": 1, "time_window": 1000, "max_wait": 0}, "endpoints": {"v1": {"list": {"path": "/list"}}}},
        "plain": {"base_url": "${ECHO}", "endpoints": {"v1": {
            "status": {"path": "/status/{code}", "params": {"code": {"type": "int"}}},
            "wait": {"path": "/wait"}, "big": {"path": "/big"}, "text": {"path": "/text"}, "list": {"path": "/list"}, "flaky": {"path": "/every-other"},
            "pages": {"path": "/pages", "params": {"page": {"type": "int"}}, "paginate": {"type": "page", "param": "page"}},
            "typed": {"path": "/list", "response_model": "Thing"}}}},
    },
    "models": {"Thing": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string", "minLength": 2}}}},
}


@pytest.fixture
def api(fake, tmp_path):
    """A function that calls the definition above."""
    path = tmp_path / "api.json"
    path.write_text(json.dumps(API, indent=1))

    def call(*words, command="call", env=None, **more):
        return duplex(command, path, *words, env={"ECHO": fake.url, "ECHO_TOKEN": TOKEN, **(env or {})}, cwd=tmp_path, **more)

    call.path = path
    return call


def told(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# --- calls ---------------------------------------------------------------------------------------------------------------------


def test_the_first_example_works_against_a_server_of_others(fake):
    done = duplex("call", GITHUB, "github.get_user", "username=octocat", env={"GITHUB_API": fake.url})
    assert done.returncode == 0 and done.stderr == ""
    assert json.loads(done.stdout) == USER and "9007199254740993" in done.stdout
    assert fake.asked[0]["path"] == "/users/octocat" and fake.asked[0]["headers"]["X-GitHub-Api-Version"] == "2022-11-28"


def test_parameters_become_what_their_types_say(api, tmp_path):
    (tmp_path / "kind").write_text("a b")
    asked = told(api("echo.search", "kind=@kind", "count=7", "exact=yes", "tags=x,y", "X-Trace:abc", "--header", "X-More: 1"))
    assert asked["path"] == "/v1/search/a%20b?count=7&exact=true&tags=x&tags=y"
    assert asked["headers"]["x-trace"] == "abc" and asked["headers"]["x-more"] == "1" and asked["headers"]["authorization"] == f"Bearer {TOKEN}"
    made = told(api("echo.v1.make", "name=Lamp", "price=1.50", 'more:={"big": 12345678901234567890}'))
    assert json.loads(made["body"]) == {"name": "Lamp", "price": 1.5, "more": {"big": 12345678901234567890}}


def test_a_body_comes_from_a_file_or_from_standard_input(api, tmp_path):
    (tmp_path / "thing.json").write_text('{"name": "Lamp"}')
    assert told(api("echo.make", "@thing.json"))["body"] == '{"name": "Lamp"}'
    assert told(api("echo.make", "-", text='{"name": "Desk"}'))["body"] == '{"name": "Desk"}'
    assert api("echo.make", "-", text='{"name": "x"}').returncode == 9
    (tmp_path / "t.csv").write_text("a,b\n")
    sent = told(api("echo.raw", "@t.csv"))
    assert sent["body"] == "a,b\n" and sent["headers"]["content-type"] == "text/csv"
    assert api("echo.raw", "@missing.csv").returncode == 1
    assert api("echo.raw", "@t.csv", "-").returncode == 2


def test_a_file_goes_into_a_multipart_form(api, tmp_path):
    (tmp_path / "photo.bin").write_bytes(b"\x89bytes")
    sent = told(api("echo.send", "file=@photo.bin", "note=hi"))
    assert 'name="file"; filename="photo.bin"' in sent["body"] and "\x89bytes" in sent["body"] and "multipart/form-data; boundary=" in sent["headers"]["content-type"]


def test_plain_requests_go_below_the_base_url_with_auth(api):
    asked = told(api("GET", "echo", "/any?x=1", "y=2"))
    assert asked["path"] == "/v1/any?x=1&y=2" and asked["headers"]["authorization"] == f"Bearer {TOKEN}"
    asked = told(api("POST", "echo", "/any", "a=1", "b:=2"))
    assert json.loads(asked["body"]) == {"a": "1", "b": 2}


@pytest.mark.parametrize(("words", "want"), [
    (("-o", "ndjson"), '{"id":1,"name":"a"}\n{"id":2,"name":"b"}\n'), (("-o", "raw"), '[{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]'),
    (("-o", "yaml"), "- id: 1\n  name: a\n- id: 2\n  name: b\n"), (("--query", "/1/name", "-o", "raw"), "b\n"), (("--query=/0/id",), "1\n"),
])
def test_answers_come_in_the_form_that_was_asked_for(api, words, want):
    assert api("plain.list", *words).stdout == want


def test_tables_headers_and_text(api):
    assert [line.split() for line in api("plain.list", "-o", "table").stdout.splitlines()][-1] == ["2", "b"]
    done = api("plain.text", "-i")
    assert done.stdout == "plain words\n" and done.stderr.startswith("200 OK\n") and "Content-Type: text/plain" in done.stderr
    assert "\x1b[" in api("plain.list", "--color", "always").stdout
    done = api("plain.list", "--query", "/9")
    assert done.returncode == 1 and "selects nothing" in done.stderr and done.stdout == ""
    done = api("plain.text", "-o", "json")
    assert done.returncode == 1 and "-o raw" in done.stderr


def test_a_large_answer_goes_to_a_file_whole_or_not_at_all(api, tmp_path):
    assert api("plain.big", "--output", "big.bin").returncode == 0
    assert (tmp_path / "big.bin").stat().st_size == 3_000_000
    done = api("plain.status", "code=404", "--output", "none.bin")
    assert done.returncode == 4 and "as you wished" in done.stdout
    assert sorted(os.listdir(tmp_path)) == ["api.json", "big.bin"]
    assert api("plain.big", "--output", "missing/big.bin").returncode == 1


def test_all_pages_come_as_one_list(api, fake):
    assert told(api("plain.pages", "--all-pages")) == [{"n": n} for n in range(1, 7)]
    assert api("plain.pages", "--all-pages", "-o", "ndjson").stdout == "".join('{"n":%d}\n' % n for n in range(1, 7))
    assert api("plain.pages", "--all-pages", "-o", "raw", "--query", "/n").stdout == "1\n2\n3\n4\n5\n6\n"
    assert api("plain.list", "--all-pages").returncode == 3  # it has no pages
    assert api("GET", "plain", "/pages", "--all-pages").returncode == 2


def test_calls_are_recorded_and_replayed_without_secrets(api, fake, tmp_path):
    first = api("echo.search", "kind=a", "--record", "tape")
    assert first.returncode == 0 and os.listdir(tmp_path / "tape")
    assert all(TOKEN not in file.read_text() for file in (tmp_path / "tape").iterdir())
    fake.asked.clear()
    again = api("echo.search", "kind=a", "--replay", "tape", env={"ECHO_TOKEN": "another-token"})
    assert again.returncode == 0 and not fake.asked and json.loads(again.stdout)["path"] == json.loads(first.stdout)["path"]
    done = api("echo.search", "kind=b", "--replay", "tape")
    assert done.returncode == 1 and done.stdout == "" and not fake.asked
    assert api("echo.search", "kind=b", "--replay", "tape", "--record", "tape").returncode == 2
    assert api("echo.search", "kind=b", "--replay", "missing").returncode == 1


# --- settings ------------------------------------------------------------------------------------------------------------------


def test_settings_of_one_call(api, fake):
    assert api("plain.status", "code=503", "--set", "retry.attempts=4", "--set", "/retry/on_status=[503]").returncode == 5
    assert len(fake.asked) == 4
    done = api("plain.status", "code=503", "--set", "retry.attemts=4")
    assert done.returncode == 2 and "attemts" in done.stderr and len(fake.asked) == 4
    assert api("plain.status", "code=503", "--set", "=4").returncode == 2
    done = api("plain.wait", "--timeout", "0.2")
    assert done.returncode == 7 and "--timeout" in done.stderr
    assert api("plain.wait", "--timeout", "soon").returncode == 2


# --- errors --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "want"), [(200, 0), (404, 4), (401, 4), (429, 4), (500, 5), (503, 5)])
def test_the_exit_status_says_what_the_server_answered(api, code, want):
    done = api("plain.status", f"code={code}", "--set", "retry.attempts=1")
    assert done.returncode == want and json.loads(done.stdout) == {"message": "as you wished"}
    assert (done.stderr == "") == (want == 0)


def test_other_exit_statuses(api, tmp_path):
    assert api("plain.typed").returncode == 9
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        done = api("plain.list", "--set", "retry.attempts=1", env={"ECHO": f"http://127.0.0.1:{unused.getsockname()[1]}"})
    assert done.returncode == 1 and "duplex doctor --online" in done.stderr and done.stdout == ""
    assert api("limited.list", "--repeat", "2").returncode == 8
    broken = tmp_path / "broken.json"
    broken.write_text('{"apis": {"a": {"base_url": "x"}, "b": {"base_url": "http://x", "tineout": 3}}}')
    done = duplex("call", broken, "a.b")
    assert done.returncode == 3 and "/apis/b/tineout: is not a known field" in done.stderr and "/apis/a/base_url" in done.stderr and "duplex doctor" in done.stderr


def test_a_mistake_is_answered_with_what_to_do(api):
    done = api("echo.serch")
    assert done.returncode == 2 and 'did you mean "echo.search"?' in done.stderr and f"duplex apis {api.path}" in done.stderr
    done = api("echo.make", "price=2")
    assert done.returncode == 2 and "name (str, body): Its name." in done.stderr and "echo.v1.make" in done.stderr
    done = api("echo.search", "kind=a", "cuont=1")
    assert done.returncode == 2 and "count" in done.stderr
    done = api("echo.search", "kind=a", "count=many")
    assert done.returncode == 2 and "integer" in done.stderr
    done = api("GET", "ehco", "/x")
    assert done.returncode == 2 and 'did you mean "echo"?' in done.stderr
    for words in (("echo.search", "kind"), ("echo.search", "=x"), ("GET", "echo"), (), ("plain.list", "--repeat", "0"), ("plain.list", "--concurrency", "2"),
                  ("plain.list", "--curl", "--dry-run"), ("plain.list", "-o", "xml"), ("plain.list", "--query", "a"), ("plain.list", "--set", "retry"),
                  ("plain.list", "--header", "x"), ("plain.list", "--color", "blue"), ("plain.list", "--set"), ("plain.list", "--output", "x", "-o", "json"), ("plain.list", "@")):
        done = api(*words)
        assert done.returncode == 2 and done.stdout == "", (words, done.stderr)


# --- without sending -----------------------------------------------------------------------------------------------------------


def test_a_dry_run_shows_the_request_without_secrets_and_sends_nothing(api, fake):
    done = api("echo.make", "name=Lamp", "--dry-run")
    assert done.stdout.startswith(f"POST {fake.url}/v1/make\n") and "Authorization: Bearer [redacted]\n" in done.stdout and done.stdout.endswith('\n\n{"name":"Lamp"}\n')
    shown = told(api("echo.search", "kind=a", "key=very-secret-key", "--dry-run", "-o", "json"))
    assert {"name": "X-Key", "value": "[redacted]"} in shown["headers"] and shown["method"] == "GET"
    for option in ("--dry-run", "--curl", "--explain"):
        text = api("echo.search", "kind=a", "key=very-secret-key", option).stdout
        assert text and TOKEN not in text and "very-secret-key" not in text
    assert not fake.asked


def test_a_line_for_curl_sends_the_same_request(api, fake, tmp_path):
    (tmp_path / "photo.bin").write_bytes(b"bytes")
    for words in (("echo.make", "name=it's $HOME"), ("echo.search", "kind=a b", "tags=x"), ("echo.send", "file=@photo.bin"), ("DELETE", "echo", "/x?y=1"), ("echo.raw", "@photo.bin")):
        fake.asked.clear()
        assert api(*words).returncode == 0
        line = api(*words, "--curl").stdout
        assert TOKEN not in line and '"$ECHO_TOKEN"' in line
        subprocess.run(["sh", "-c", line], check=True, capture_output=True, timeout=60, cwd=tmp_path, env={**os.environ, "ECHO_TOKEN": TOKEN, "no_proxy": "*"})
        ours, theirs = fake.asked
        same = ("method", "path") if "echo.send" in words else ("method", "path", "body")
        assert [ours[k] for k in same] == [theirs[k] for k in same]
        for name in ("Authorization", "X-Team", "Content-Type", "Accept"):
            if name != "Content-Type" or "echo.send" not in words:
                assert ours["headers"].get(name) == theirs["headers"].get(name)


def test_basic_auth_becomes_curls_user(tmp_path):
    path = tmp_path / "d.json"
    path.write_text(json.dumps({"a": {"base_url": "http://127.0.0.1:1", "auth": {"type": "basic", "username": "me", "password": "${PASS_WORD}"}}}))
    words = shlex.split(duplex("call", path, "GET", "a", "/x", "--curl", env={"PASS_WORD": "hunter2hunter2"}).stdout)
    assert words[words.index("-u") + 1] == "me:$PASS_WORD"
    assert "hunter2" not in duplex("call", path, "GET", "a", "/x", "--dry-run", env={"PASS_WORD": "hunter2hunter2"}).stdout


def test_the_explanation_tells_where_each_value_comes_from(api):
    facts = told(api("echo.search", "kind=a", "--set", "retry.delay=1", "--timeout", "3", "X-Own:1", "--explain", "-o", "json"))
    settings, headers = facts["settings"], facts["headers"]
    assert settings["timeout"] == {"value": 3, "from": "command line"} and settings["retry.delay"]["from"] == "command line"
    lines = api.path.read_text().splitlines()
    assert settings["retry.attempts"]["from"] == f"{api.path}:{1 + next(i for i, line in enumerate(lines) if 'attempts' in line)} (defaults)"
    assert settings["connect_timeout"]["from"] == "default of the schema"
    assert settings["auth.token"]["value"] == "[redacted]" and "environment variable ECHO_TOKEN (api)" in settings["auth.token"]["from"]
    assert "environment variable ECHO (api)" in facts["base_url"]["from"]
    assert headers["Authorization"]["from"] == "auth (bearer)" and headers["X-Own"]["from"] == "command line" and headers["X-Team"]["from"].endswith("(api)")
    assert facts["parameters"]["kind"]["from"] == "command line" and "its default" in facts["parameters"]["count"]["from"] and facts["parameters"]["exact"]["from"] == "not given"
    assert facts["filters"] == ["retry", "breaker", "rate_limit", "auth", "redirect", "send"] or facts["filters"][0] == "retry"
    assert facts["retry"].startswith("yes, 2 attempts") and facts["limiter"].startswith("1000 requests in 1 s") and facts["breaker"].startswith("opens")
    assert "not idempotent" in told(api("echo.make", "name=ab", "--explain", "-o", "json"))["retry"]
    assert "Idempotency-Key is sent" in told(api("echo.make", "name=ab", "--set", "retry.idempotency_key=true", "--explain", "-o", "json"))["retry"]
    text = api("echo.search", "kind=a", "--explain").stdout
    assert "kind (path) = a    [command line]" in text
    assert "from https_proxy" not in text and "in the environment" in told(api("plain.list", "--explain", "-o", "json", env={"http_proxy": "http://p:3128"}))["proxy"]


def test_a_token_that_had_to_be_fetched_is_only_named(tmp_path):
    path = tmp_path / "d.json"
    path.write_text(json.dumps({"a": {"base_url": "http://127.0.0.1:1", "auth": {"type": "oauth2", "grant": "client_credentials", "token_url": "http://127.0.0.1:1/t", "client_id": "me", "client_secret": "long-secret-text"}}}))
    done = duplex("call", path, "GET", "a", "/x", "--dry-run")
    if "there is no auth of the type" in done.stderr:
        pytest.skip("this build has no OAuth 2")
    assert "Authorization: <token of oauth2>" in done.stdout


# --- many calls, interruptions -------------------------------------------------------------------------------------------------


def test_many_calls_are_summed_up(api, fake):
    done = api("plain.list", "--repeat", "50", "--concurrency", "8", "-o", "json")
    sums = told(done)
    assert (sums["calls"], sums["ok"], sums["failed"], sums["statuses"], sums["failures"]) == (50, 50, 0, {"200": 50}, {})
    assert set(sums["milliseconds"]) == {"min", "mean", "p50", "p95", "p99", "max"} and len(fake.asked) == 50 and done.stderr == ""
    fake.asked.clear()
    done = api("plain.flaky", "--repeat", "10")
    assert done.returncode == 4 and "http_error: 5" in done.stdout and "failed: 5" in done.stdout


def test_progress_is_drawn_on_a_terminal(api, fake):
    leader, follower = pty.openpty()
    env = {**os.environ, "ECHO": fake.url, "ECHO_TOKEN": TOKEN, "TERM": "xterm"}
    process = subprocess.Popen([BINARY, "call", str(api.path), "plain.list", "--repeat", "20"], stdout=subprocess.PIPE, stderr=follower, env=env)
    os.close(follower)
    shown = b""
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(leader)
    assert process.wait(60) == 0 and b"20/20 100%" in shown and b"calls: 20" in process.stdout.read()
    process.stdout.close()


@pytest.mark.parametrize("words", [("plain.wait",), ("plain.wait", "--repeat", "5", "--concurrency", "2"), ("plain.wait", "--output", "out.bin")])
def test_an_interrupt_ends_a_call_cleanly(api, fake, tmp_path, words):
    env = {**os.environ, "ECHO": fake.url, "ECHO_TOKEN": TOKEN, "no_proxy": "*"}
    process = subprocess.Popen([BINARY, "call", str(api.path), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd=tmp_path)
    assert fake.waiting.wait(60)
    process.send_signal(signal.SIGINT)
    if "--repeat" in words:  # those under way are finished
        fake.release.set()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted" in err or "calls:" in out
    assert os.listdir(tmp_path) == ["api.json"]


def test_a_reader_that_has_enough_ends_it_quietly(api, fake):
    line = f"{shlex.quote(BINARY)} call {shlex.quote(str(api.path))} plain.big | head -c 10"
    done = subprocess.run(["sh", "-c", line], capture_output=True, timeout=60, check=False, env={**os.environ, "ECHO": fake.url, "ECHO_TOKEN": TOKEN, "no_proxy": "*"})
    assert done.stdout == b"x" * 10 and done.stderr == b""


# --- apis and doctor -----------------------------------------------------------------------------------------------------------


def test_apis_are_listed_offline_without_their_variables(api):
    done = duplex("apis", api.path)
    assert done.returncode == 0 and "${ECHO} (not set), auth: bearer, 4 endpoints" in done.stdout and "the variable ECHO_TOKEN is not set" in done.stderr
    assert [a["name"] for a in json.loads(duplex("apis", api.path, "-o", "json").stdout)] == ["echo", "limited", "plain"]
    assert "echo.search  GET    /search/{kind}  Find things" in duplex("apis", api.path, "echo").stdout
    text = duplex("apis", api.path, "echo.make").stdout
    assert "name   body   str   required  Its name." in text and "body: Thing" in text and "echo.make name=NAME" in text
    shown = json.loads(duplex("apis", api.path, "echo.v1.search", "-o", "json").stdout)
    assert shown["parameters"][1] == {"name": "count", "in": "query", "type": "int", "required": False, "default": 5}
    done = duplex("apis", api.path, "echo.serch")
    assert done.returncode == 2 and 'did you mean "echo.search"?' in done.stderr
    assert duplex("apis").returncode == 2


def test_the_doctor_says_what_is_wrong_and_what_to_do(api, tmp_path, fake):
    done = api(command="doctor")
    assert done.returncode == 0 and "ok    variables: none is missing" in done.stdout and "warn  echo: its credential is sent without TLS" in done.stdout
    done = duplex("doctor", api.path)
    assert done.returncode == 1 and "fail  the variable ECHO_TOKEN is not set (/apis/echo/auth/token)" in done.stdout and "export ECHO_TOKEN=" in done.stdout
    done = api("--online", command="doctor")
    assert "ok    plain: " + fake.url + " answers (200)" in done.stdout and "the server's" in done.stdout
    assert all("Authorization" not in asked["headers"] for asked in fake.asked)
    broken = tmp_path / "broken.json"
    broken.write_text('{"apis": {"a": {"base_url": "x"}}')
    done = duplex("doctor", broken, env={"DUPLEX_SEAL_KEYS": "nonsense", "https_proxy": "ftp://x"})
    assert done.returncode == 1 and "fail" in done.stdout and "DUPLEX_SEAL_KEYS" in done.stdout and "https_proxy is no URL of a proxy" in done.stdout


def test_the_doctor_looks_at_files_names_and_certificates(tmp_path):
    made = subprocess.run([BINARY, "cert", "self-signed", "--out", "tls"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert made.returncode == 0, made.stderr
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls/certificate.pem", tmp_path / "tls/key.pem")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.lock, server.asked, server.daemon_threads = threading.Lock(), [], True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    os.chmod(tmp_path / "tls/key.pem", 0o644)
    url = f"https://localhost:{server.server_address[1]}"
    definition = {"good": {"base_url": url, "ca_file": "tls/certificate.pem"}, "untrusted": {"base_url": url}, "nowhere": {"base_url": "https://nowhere.invalid"},
                  "papers": {"base_url": url, "ca_file": "missing.pem", "verify_tls": False, "client_certificate": {"certificate": "tls/certificate.pem", "key": "tls/key.pem"}}}
    (tmp_path / "d.json").write_text(json.dumps(definition))
    try:
        text = duplex("doctor", "--online", "d.json", cwd=tmp_path).stdout
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert f"ok    good: {url} answers (200), TLS is good" in text and f"fail  untrusted: {url}: " in text and "give ca_file" in text
    assert "fail  nowhere: https://nowhere.invalid" in text and "look at the name in base_url" in text
    assert "fail  papers: ca_file missing.pem: No such file" in text and "warn  papers: verify_tls is off" in text and "chmod 600 tls/key.pem" in text


# --- beside a server -----------------------------------------------------------------------------------------------------------


def test_one_file_serves_and_calls(serve, tmp_path):
    definition = json.loads((ROOT / "examples" / "shop.json").read_text())
    definition["apis"] = {"self": {"base_url": "${SELF:http://127.0.0.1:9}/api/v1", "auth": {"type": "bearer", "token": "${SELF_TOKEN:unknown}"},
                                   "endpoints": {"v1": {"list": {"path": "/products"}, "add": {"path": "/items", "method": "POST", "request_model": "Item", "params": {"title": {"type": "str"}, "price": {"type": "float"}}}}}}}
    path = tmp_path / "both.json"
    path.write_text(json.dumps(definition))
    assert duplex("check", path).stdout == f"{path}: ok\n"
    server = serve(path, "--store", f"sqlite:{tmp_path / 'both.db'}")
    register(server, "alice")
    env = {"SELF": server.url, "SELF_TOKEN": login(server, "alice")["access_token"]}
    assert isinstance(told(duplex("call", path, "self.list", env=env)), dict)
    done = duplex("call", path, "self.add", "title=Lamp", "price:=12.5", env=env)
    assert told(done)["title"] == "Lamp"
    assert duplex("call", path, "self.add", "title=Lamp", env=env).returncode == 9
    assert duplex("call", path, "self.add", "title=Lamp", "price:=12.5", env={**env, "SELF_TOKEN": "wrong"}).returncode == 4


def test_a_definition_of_apis_alone_is_checked(tmp_path):
    path = tmp_path / "d.json"
    assert duplex("check", GITHUB).returncode == 0
    for text, part in (({"a": {"base_url": "http://x"}}, None), ({"apis": {"a": {"base_url": "http://x"}}}, None),
                       ({"a": {"base_url": "http://x", "auth": {"type": "beare"}}}, 'did you mean "bearer"?'),
                       ({"a": {"base_url": "http://x", "tineout": 1}}, ":1:32: /apis/a/tineout: is not a known field"), ({"resorces": {}}, 'did you mean "resources"?')):
        path.write_text(json.dumps(text))
        done = duplex("check", path)
        assert (done.returncode, done.stderr) == (0, "") if part is None else done.returncode == 3 and part in done.stderr, done.stderr


def test_an_openapi_document_is_imported_from_a_url(fake, tmp_path):
    fake.document = json.loads(duplex("openapi", ROOT / "examples" / "shop.json").stdout)
    done = duplex("import", "openapi", fake.url + "/openapi.json", "--name", "shop")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["apis"]["shop"]["endpoints"]
    done = duplex("import", "openapi", fake.url + "/status/404")
    assert done.returncode == 1 and "404" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_these_commands(shell):
    script = duplex("completion", shell).stdout
    for word in ("call", "apis", "doctor", "dry-run", "concurrency"):
        assert word in script
