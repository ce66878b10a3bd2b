"""Lists in pages and batches of calls, by a C program against a server of Python's: every style of pages, and every way a server gets them wrong."""
import collections
import http.server
import json
import pathlib
import signal
import subprocess
import threading
import urllib.parse

import pytest
from servers import BINARY, ROOT

BUILD = pathlib.Path(BINARY).resolve().parent
PROGRAM = BUILD / "tests" / "tools" / "client_pages"
EXAMPLES = BUILD / "examples" / "client"
WAIT = 120
ALL = 95  # items of every list


class Api(http.server.ThreadingHTTPServer):
    """Answers GET by a function of the path's first word: (server, query, path) → (status, headers, JSON)."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.requests, self.lock, self.under_way, self.most = [], threading.Lock(), 0, 0
        self.connections = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        with self.server.lock:
            self.server.connections += 1

    def do_GET(self):
        parts = urllib.parse.urlsplit(self.path)
        words = parts.path.split("/")  # "", "v3", word, …
        with self.server.lock:
            self.server.requests.append(self.path)
            self.server.under_way += 1
            self.server.most = max(self.server.most, self.server.under_way)
        status, headers, value = ANSWERS[words[2]](self, dict(urllib.parse.parse_qsl(parts.query)), words[3:])
        with self.server.lock:
            self.server.under_way -= 1
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, text in headers:
            self.send_header(name, text)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def items(first, size=10, total=ALL):
    return [{"id": i, "big": 12345678901234567890} for i in range(first, max(first, min(first + size, total)))]


def page(call, query, _):
    number, size = int(query.get("page", 1)), int(query["per_page"])
    return 200, [], {"data": items((number - 1) * size, size), "meta": {"total": ALL}}


def offset(call, query, _):
    return 200, [], items(int(query["offset"]), int(query["limit"]))


def cursor(call, query, _):
    first = int(query.get("cursor", "c0")[1:])
    return 200, [], {"items": items(first), "next": f"c{first + 10}" if first + 10 < ALL else None}


def number_cursor(call, query, _):
    first = int(query.get("cursor", 0))
    return 200, [], {"items": items(first), "next": first + 10 if first + 10 < ALL else 0}


def header_cursor(call, query, _):
    first = int(query.get("cursor", 0))
    return 200, [("X-Next", str(first + 10))] if first + 10 < ALL else [], {"items": items(first)}


def link(call, query, _):
    first = int(query.get("at", 0))
    links = [("Link", '<https://example.com/docs>; rel="help"; title="a, \\"b\\"; c"'), ("Link", '</v3/link?at=77>; rel="next"; anchor="/other"')]
    if first + 10 < ALL:
        links.append(("Link", f'</v3/link>; rel=first, <?at={first + 10}&q=x>; rel="last next"'))
    return 200, links, items(first)


def next_url(call, query, _):
    first = int(query.get("at", 0))
    own = f"{call.server.url}/v3/next_url?at={first + 10}"
    return 200, [], {"items": items(first), "next": (own if first % 20 else f"/v3/next_url?at={first + 10}") if first + 10 < ALL else ""}


def same_cursor(call, query, _):
    first = int(query.get("cursor", 0))
    return 200, [], {"items": items(first), "next": "5"}


def same_page(call, query, _):
    return 200, [], {"data": items(0), "meta": {}}


def endless(call, query, _):
    first = int(query.get("cursor", 0))
    return 200, [], {"items": [first], "next": first + 1}


def elsewhere(call, query, _):
    port = call.server.server_port
    return 200, [], {"items": items(0), "next": f"http://localhost:{port}/v3/next_url?at=10&access_token=tell"}


def empty_middle(call, query, _):
    first = int(query.get("cursor", 0))
    return 200, [], {"items": [] if 20 <= first < 60 else items(first), "next": first + 10 if first + 10 < ALL else None}


def shrinking(call, query, _):
    number = int(query.get("page", 1))
    return 200, [], {"data": items((number - 1) * 10), "meta": {"total": ALL - 60 if number >= 4 else ALL}}


def flaky(call, query, _):
    """Every second request fails."""
    return link(call, query, _) if len(call.server.requests) % 2 == 0 else (503, [], {"error": "later"})


def one(call, query, words):
    number = int(words[0])
    return (404, [], {}) if number % 100 == 99 else (200, [], {"id": number})


def users(call, query, words):
    """GitHub's, as examples/github.json calls them."""
    if words[1:] == ["repos"]:
        first = int(query.get("page", 1))
        links = [("Link", f'<{call.server.url}/v3/users/{words[0]}/repos?per_page=2&page={first + 1}>; rel="next"')] if first < 3 else []
        return 200, links, [{"id": first, "name": f"r{first}"}]
    return 200, [], {"login": words[0], "id": len(words[0])}


ANSWERS = {f.__name__: f for f in (page, offset, cursor, number_cursor, header_cursor, link, next_url, same_cursor, same_page, endless, elsewhere,
                                   empty_middle, shrinking, flaky, one, users)}
CURSOR = {"type": "cursor", "items": "/items", "cursor": "/next"}
PAGE = {"type": "page", "items": "/data", "size_param": "per_page", "size": 10, "total": "/meta/total"}
STYLES = {
    "page": PAGE, "offset": {"type": "offset", "size_param": "limit", "size": 10}, "cursor": CURSOR, "number_cursor": CURSOR,
    "header_cursor": {"type": "cursor", "items": "/items", "cursor_header": "X-Next"}, "link": {"type": "link"},
    "next_url": {"type": "next_url", "items": "/items", "next_url": "/next"}}
OTHERS = {"same_cursor": CURSOR, "same_page": PAGE, "endless": CURSOR, "elsewhere": STYLES["next_url"], "empty_middle": CURSOR, "shrinking": PAGE, "flaky": STYLES["link"]}


@pytest.fixture
def api(tmp_path):
    server = Api()
    names = ("page", "per_page", "offset", "limit", "cursor", "pin")
    params = {name: {"in": "query", "type": "any", **({"secret": True} if name == "pin" else {})} for name in names}
    endpoints = {name: {"path": f"/{name}", "params": params, "paginate": how} for name, how in (STYLES | OTHERS).items()}
    endpoints["one"] = {"path": "/one/{id}", "params": {"id": {"type": "int", "required": True}}}
    endpoints["flaky"]["retry"] = {"attempts": 3, "delay": 0}
    server.definition = tmp_path / "api.json"
    server.definition.write_text(json.dumps({"apis": {"a": {"base_url": f"{server.url}/v3", "pool": {"max_connections": 10}, "endpoints": {"v1": endpoints}}}}))
    yield server
    server.shutdown()
    server.server_close()


def run(api, *words):
    return subprocess.run([PROGRAM, api.definition, *words], capture_output=True, text=True, timeout=WAIT, check=False)


def ids(done):
    return [json.loads(line)["id"] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("ahead", ["0", "4"])
@pytest.mark.parametrize("style", STYLES)
def test_every_style_is_read_to_its_end_once_in_order(api, style, ahead):
    done = run(api, "items", f"a.{style}", "--prefetch", ahead)
    assert (done.returncode, done.stderr, ids(done)) == (0, "", list(range(ALL)))
    assert json.loads(done.stdout.splitlines()[0])["big"] == 12345678901234567890
    assert ahead != "0" or len(api.requests) == 10
    assert len(api.requests) <= 10 + 4


@pytest.mark.parametrize("how", ["pages", "fetch"])
@pytest.mark.parametrize("style", STYLES)
def test_pages_come_whole_waited_for_or_not(api, style, how):
    done = run(api, how, f"a.{style}", "--prefetch", "2")
    assert (done.returncode, done.stderr) == (0, "")
    pages = [json.loads(line) for line in done.stdout.splitlines()]
    found = [item["id"] for one_page in pages for item in (one_page if isinstance(one_page, list) else one_page.get("data", one_page.get("items")))]
    assert len(pages) == 10 and found == list(range(ALL))


@pytest.mark.parametrize("how", ["items", "fetch"])
@pytest.mark.parametrize("wrong,error,message,most", [
    ("same_cursor", "response_malformed", "same cursor twice", 2), ("same_page", "response_malformed", "same page twice", 2),
    ("elsewhere", "redirect_refused", "another origin", 1), ("endless", "response_too_large", "max_pages", 25)])
def test_what_would_never_end_or_leads_away_is_an_error(api, how, wrong, error, message, most):
    done = run(api, how, f"a.{wrong}", "--max", "25")
    assert done.returncode == 1
    assert done.stderr.startswith(error + ": ") and message in done.stderr and "tell" not in done.stderr
    assert len(api.requests) == most


def test_an_empty_page_in_the_middle_and_a_total_that_shrinks_are_no_trouble(api):
    done = run(api, "items", "a.empty_middle")
    assert (done.returncode, ids(done)) == (0, list(range(20)) + list(range(60, ALL)))
    done = run(api, "items", "a.shrinking")
    assert (done.returncode, ids(done)) == (0, list(range(40)))


def test_each_page_is_retried_as_any_call_is(api):
    done = run(api, "items", "a.flaky")
    assert (done.returncode, done.stderr, ids(done)) == (0, "", list(range(ALL)))


def test_a_secret_parameter_goes_along_to_the_next_page(api):
    done = run(api, "items", "a.link", "pin=4711")
    assert (done.returncode, ids(done)) == (0, list(range(ALL)))
    assert all(path.count("pin=4711") == 1 for path in api.requests)


@pytest.mark.parametrize("style", STYLES)
def test_after_a_kill_reading_goes_on_where_it_was(api, style, tmp_path):
    place = tmp_path / "place"
    words = [PROGRAM, api.definition, "items", f"a.{style}", "--state", place, "pin=4711"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as first:
        before = [json.loads(first.stdout.readline())["id"] for _ in range(34)]
        first.send_signal(signal.SIGKILL)
        before += [json.loads(line)["id"] for line in first.stdout if line.endswith("\n")]
    state = place.read_text()
    assert "4711" not in state
    done = run(api, "items", f"a.{style}", "--resume", state, "pin=5")
    assert (done.returncode, done.stderr) == (0, "")
    after = ids(done)
    # the place is behind the last item that was printed, or before it, if the kill came between
    assert after[0] in (before[-1], before[-1] + 1) and after == list(range(after[0], ALL))
    wrong = run(api, "items", f"a.{style}", "--resume", state, "limit=3", "per_page=3")
    assert wrong.returncode == 1 and "other parameters" in wrong.stderr


@pytest.mark.parametrize("how", ["batch", "ordered", "started"])
def test_ten_thousand_calls_over_ten_connections(api, how):
    done = run(api, how, "a.one", "10000", "10")
    assert (done.returncode, done.stderr) == (0, "10000 done, 100 failed\n")
    told = [line.split() for line in done.stdout.splitlines()]
    assert collections.Counter(error for _, error in told) == {"ok": 9900, "http_error": 100}
    assert all((error == "http_error") == (int(index) % 100 == 99) for index, error in told)
    order = [int(index) for index, _ in told]
    assert order == list(range(10000)) if how == "ordered" else sorted(order) == list(range(10000))
    assert api.most <= 10 and api.connections <= 20 and len(api.requests) == 10000


@pytest.mark.parametrize("how", ["batch", "started"])
def test_a_batch_is_cancelled_midway(api, how):
    done = run(api, how, "a.one", "10000", "10", "50")
    assert (done.returncode == 1) == (how == "batch")
    assert how == "started" or done.stderr.splitlines()[-1].startswith("cancelled: ")
    told = [line.split() for line in done.stdout.splitlines()]
    assert 50 <= len(told) <= 60 and len(api.requests) <= 60
    assert {error for _, error in told[50:]} <= {"cancelled", "ok"}


@pytest.fixture
def github(api, tmp_path):
    definition = json.loads((ROOT / "examples" / "github.json").read_text())
    definition["apis"]["github"]["base_url"] = f"{api.url}/v3"
    definition["apis"]["github"].pop("auth", None)
    path = tmp_path / "github.json"
    path.write_text(json.dumps(definition))
    return path


def test_the_example_of_pages_prints_every_item_and_where_to_go_on(github):
    done = subprocess.run([EXAMPLES / "pages", github, "octocat"], capture_output=True, text=True, timeout=WAIT, check=False)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["name"] for line in done.stdout.splitlines()] == ["r1", "r2", "r3"]
    state = done.stderr.split()[-1]
    again = subprocess.run([EXAMPLES / "pages", github, "octocat", state], capture_output=True, text=True, timeout=WAIT, check=False)
    assert (again.returncode, again.stdout) == (0, "")


def test_the_example_of_a_batch_prints_answers_in_their_order(github):
    names = [f"u{'x' * (n % 7)}{n}" for n in range(40)]
    done = subprocess.run([EXAMPLES / "batch", github], input="\n".join(names) + "\n", capture_output=True, text=True, timeout=WAIT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{name} {len(name)}" for name in names]
