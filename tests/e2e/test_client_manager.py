"""The example of the integration manager against a server of Python's: an API that comes at run time, its health, counts and logs, and no secret in any of it."""
import http.server
import json
import pathlib
import re
import subprocess
import threading

import pytest
from servers import BINARY

PROGRAM = pathlib.Path(BINARY).resolve().parent / "examples" / "client" / "manager"
SECRETS = ["planted-token-1", "planted-query-2", "planted-header-3", "planted-sid-4", "planted-variable-5"]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        with self.server.lock:
            self.server.seen.append((self.path, dict(self.headers)))
        status = 200 if self.path.startswith("/status") else self.server.statuses.pop(0) if self.server.statuses else 200
        body = json.dumps({"echo": self.path, "headers": list(self.headers.values())}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Set-Cookie", "sid=planted-sid-4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def api():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.seen, server.statuses, server.lock = [], [], threading.Lock()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def run(tmp_path, url, *, change=None, statuses=None):
    """Runs the example; its exit status, standard output and records of the log."""
    if not PROGRAM.exists():
        pytest.skip("the example is not built")
    definition = tmp_path / "definition.json"
    definition.write_text(json.dumps({"apis": {"defaults": {"retry": {"delay": 0.01}}, "other": {"base_url": url}}}))
    (tmp_path / ".env").write_text("TENANT=planted-variable-5\n")
    added = {
        "base_url": url,
        "auth": {"type": "bearer", "token": "planted-token-1"},
        "default_headers": {"X-Tenant": "${TENANT}", "X-Api-Key": "planted-header-3"},
        "log": {"bodies": True},
        "health": {"endpoint": "status"},
        "endpoints": {"v1": {"status": {"path": "/status"}, "find": {"path": "/find", "params": {"q": {"in": "query", "secret": True, "default": "planted-query-2"}}}}},
        **(change or {}),
    }
    done = subprocess.run([PROGRAM, definition, "crm", json.dumps(added), "crm.find"], capture_output=True, text=True, timeout=120, check=False)
    assert "Sanitizer" not in done.stderr, done.stderr
    for secret in SECRETS:
        assert secret not in done.stdout + done.stderr
    return done.returncode, done.stdout, [json.loads(line) for line in done.stderr.splitlines()]


def test_an_api_that_comes_at_run_time_is_called_watched_and_counted(api, tmp_path):
    code, out, records = run(tmp_path, f"http://127.0.0.1:{api.server_port}")
    assert code == 0, out
    assert "crm.find answered 200" in out
    assert "crm is healthy" in out
    assert "1 calls, 0 failed" in out  # the health checks are not counted
    sent = next(headers for path, headers in api.seen if path == "/find?q=planted-query-2")
    assert (sent["Authorization"], sent["X-Tenant"]) == ("Bearer planted-token-1", "planted-variable-5")
    events = [record["event"] for record in records]
    assert {"register", "call_start", "attempt_start", "attempt_end", "call_end", "health", "unregister"} <= set(events)
    end = next(record for record in records if record["event"] == "call_end" and record["endpoint"] == "crm.v1.find")
    assert (end["status"], end["attempts"], end["method"]) == (200, 1, "GET")
    assert end["url"].endswith("/find?q=[redacted]")
    described = json.loads(next(line for line in out.splitlines() if line.startswith("{")))
    assert described["settings"]["auth"] == {"type": "bearer", "token": "[redacted]"}


def test_prometheus_text_is_as_its_format_has_it(api, tmp_path):
    _, out, _ = run(tmp_path, f"http://127.0.0.1:{api.server_port}")
    lines = [line for line in out.splitlines() if line.startswith(("# ", "duplex_client_"))]
    sample = re.compile(r'^[a-z_]+(\{([a-z_]+="([^"\\\n]|\\["\\n])*",?)*\})? [0-9.e+-]+$')
    family = None
    for line in lines:
        if line.startswith("# "):
            family = line.split()[2]
        else:
            assert sample.match(line) and line.startswith(family), line
    assert 'duplex_client_calls_total{api="crm",endpoint="v1.find"} 1' in lines


def test_retries_are_told_with_their_reason(api, tmp_path):
    api.statuses = [503, 503]
    code, out, records = run(tmp_path, f"http://127.0.0.1:{api.server_port}")
    assert code == 0, out
    retries = [record for record in records if record["event"] == "retry"]
    assert [(record["level"], record["attempt"], record["status"]) for record in retries] == [("warn", 2, 503), ("warn", 3, 503)]
    assert 'duplex_client_retries_total{api="crm",endpoint="v1.find"} 2' in out


def test_an_error_that_quotes_the_server_quotes_no_secret(api, tmp_path):
    api.statuses = [404]
    code, out, records = run(tmp_path, f"http://127.0.0.1:{api.server_port}")
    assert code == 1
    assert "404" in out and "[redacted]" in out
    end = next(record for record in records if record["event"] == "call_end" and record["endpoint"] == "crm.v1.find")
    assert (end["level"], end["code"]) == ("warn", "http_error")


def test_what_is_wrong_is_refused_and_told(api, tmp_path):
    code, out, records = run(tmp_path, f"http://127.0.0.1:{api.server_port}", change={"timeoot": 3})
    assert code == 1
    assert "/apis/crm/timeoot: is not a known field" in out
    assert "crm is not there" in out
    assert [record["event"] for record in records] == ["register_refused"]
    assert api.seen == []
