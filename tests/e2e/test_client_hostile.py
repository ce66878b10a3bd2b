"""Calls to a server that does what servers should not: each ends, soon, by the error that says what was wrong, and within its memory."""
import socket

import pytest

from client_probe import ONCE, Probe
from hostile_api import HostileApi, date_in
from client_probe import SANITIZED


@pytest.fixture(scope="module")
def api():
    with HostileApi() as server:
        yield server


@pytest.fixture(scope="module")
def probe(api):
    with Probe({"a": {"base_url": api.url, **ONCE, "timeout": 20, "max_body": "1MiB"}, "again": {"base_url": api.url, "retry": {"delay": 0.001}},
                "retrying": {"base_url": api.url, "retry": {"delay": 0.001, "attempts": 3, "budget": {"reserve": 1000}}}}) as client:
        yield client


@pytest.fixture(autouse=True)
def clean(api):
    api.forget()


WRONGS = [
    ("/reset-at-once", "connection_broken", True), ("/unread-reset", "connection_broken", True), ("/close-at-once", "connection_broken", True),
    ("/reset-in-head", "connection_broken", True), ("/close-in-head", "connection_broken", True), ("/reset-after-head", "connection_broken", True),
    ("/close-in-body", "connection_broken", True), ("/raw?what=cut-chunk", "connection_broken", True), ("/raw?what=no-last-chunk", "connection_broken", True),
    ("/raw?what=garbage", "protocol_error", False), ("/raw?what=version", "protocol_error", False), ("/raw?what=no-status", "protocol_error", False),
    ("/raw?what=nul-header", "protocol_error", False), ("/raw?what=bad-chunk", "protocol_error", False), ("/raw?what=negative-chunk", "protocol_error", False),
    ("/raw?what=huge-chunk", "protocol_error", False), ("/raw?what=two-lengths", "protocol_error", False), ("/raw?what=bad-length", "protocol_error", False),
    ("/raw?what=negative-length", "protocol_error", False), ("/raw?what=http-in-head", "protocol_error", False), ("/raw?what=upgrade", "protocol_error", False),
    ("/raw?what=broken-gzip", "response_malformed", False), ("/raw?what=many-codings", "response_malformed", False),
    ("/endless-headers", "response_too_large", False), ("/long-header", "response_too_large", False), ("/storm", "response_too_large", False),
    ("/loop", "redirect_refused", False)]
TOO_LARGE = [(path, "response_too_large", False) for path in ("/large?bytes=3000000", "/endless", "/bomb?mib=20")]  # a stream has no cap


@pytest.mark.parametrize("path,code,retryable,streamed", [(*wrong, streamed) for wrong in WRONGS for streamed in (False, True)] + [(*wrong, False) for wrong in TOO_LARGE])
def test_what_a_server_does_wrong_is_told_by_its_name(probe, path, code, retryable, streamed):
    result = probe.get(path, **({"stream": {}} if streamed else {}))
    assert (result["code"], result["retryable"]) == (code, retryable), result["message"]
    assert "status" not in result and result["message"].startswith("a.request: ")


@pytest.mark.parametrize("path,status,size", [("/bytewise", 200, 13), ("/raw?what=hints", 200, 2), ("/raw?what=folded", 200, 2), ("/raw?what=too-long", 200, 2),
                                              ("/raw?what=cookie-flood", 200, 2), ("/empty?status=204", 204, 0), ("/empty?status=304", 304, 0)])
@pytest.mark.parametrize("streamed", [False, True])
def test_what_is_odd_but_right_is_taken(probe, path, status, size, streamed):
    result = probe.get(path, **({"stream": {}} if streamed else {}))
    assert result["code"] == "ok" and result["status"] == status, result["message"]
    assert (result["bytes"] if streamed else result["size"]) == size
    if streamed:
        assert result["heads"] == 1 and result["head_status"] == status


def test_trailers_change_nothing_that_was_said_before(probe):
    result = probe.get("/raw?what=trailers")
    assert result["code"] == "ok" and result["status"] == 200 and result.body == b"ok"
    assert not result.header("set-cookie") and not result.header("x-trailer")


def test_an_answer_to_head_has_no_body(probe):
    result = probe.get("/head", method="HEAD")
    assert result["code"] == "ok" and result["size"] == 0 and result.header("content-length") == ["123456"]
    assert probe.get("/ok")["code"] == "ok"


def test_a_bomb_costs_no_more_memory_than_max_body(api):
    with Probe({"a": {"base_url": api.url, **ONCE, "max_body": "1MiB"}}) as client:
        before = client.peak_kib()
        assert client.get("/bomb?mib=100")["code"] == "response_too_large"
        if not SANITIZED:
            assert client.peak_kib() - before < 16 << 10
        result = client.get("/bomb?mib=50", stream={"pause_every": 1})
        assert result["code"] == "ok" and result["bytes"] == 50 << 20
        if not SANITIZED:
            assert client.peak_kib() - before < 48 << 10


# --- deadlines and cancelling, in each phase ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("path,phase", [("/hang", "wait"), ("/slow-head", "transfer"), ("/slow-body", "transfer"), ("/stalled-body", "transfer")])
def test_a_deadline_names_the_phase_that_ate_it(probe, path, phase):
    for streamed in ({}, {"stream": {}}):
        result = probe.get(path, timeout_ms=150, **streamed)
        assert (result["code"], result["phase"]) == ("timeout", phase)
        assert f"in the phase {phase}" in result["message"]


def full_backlog():
    """A port that takes no more connections, and what keeps it so."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    kept = [listener]
    for _ in range(8):
        filler = socket.socket()
        filler.settimeout(0.1)
        kept.append(filler)
        try:
            filler.connect(listener.getsockname())
        except TimeoutError:
            return listener.getsockname()[1], kept
    pytest.skip("the system takes every connection")


def test_a_deadline_and_a_connect_timeout_end_what_never_connects():
    port, kept = full_backlog()
    with Probe({"a": {"base_url": f"http://127.0.0.1:{port}", **ONCE}}) as client:
        result = client.get("/", timeout_ms=150)
        assert (result["code"], result["phase"]) == ("timeout", "connect")
        result = client.get("/", settings={"connect_timeout": 0.1}, timeout_ms=20000)
        assert (result["code"], result["phase"]) == ("timeout", "connect"), result["message"]
        assert result["retryable"]
        client.start("/")
        client.cancel()
        assert client.wait()["code"] == "cancelled"
    del kept


def test_an_idle_server_is_given_up(api):
    with Probe({"a": {"base_url": api.url, **ONCE, "idle_timeout": 1}}) as client:
        result = client.get("/stalled-body", timeout_ms=30000)
        assert (result["code"], result["phase"]) == ("timeout", "transfer")


def test_waiting_for_a_connection_counts_and_can_be_cut_short(api):
    with Probe({"a": {"base_url": api.url, **ONCE, "pool": {"max_connections": 1, "max_queue": 2}}}) as client:
        client.start("/hang", id=1)
        api.wait_asked()
        client.start("/ok", id=2, timeout_ms=150)
        client.start("/ok", id=3)
        client.start("/ok", id=4)
        assert client.wait(4)["code"] == "queue_full"
        result = client.wait(2)
        assert (result["code"], result["phase"]) == ("timeout", "queue")
        client.cancel(3)
        result = client.wait(3)
        assert (result["code"], result["phase"]) == ("cancelled", "queue")
        client.start("/ok", id=5)
        client.cancel(1)
        assert client.wait(1)["code"] == "cancelled"
        assert client.wait(5)["code"] == "ok"  # its turn has come
        assert api.paths() == ["/hang", "/ok"]


def test_a_queue_timeout_ends_the_wait_and_says_for_what(api):
    with Probe({"a": {"base_url": api.url, **ONCE, "pool": {"max_connections": 1, "queue_timeout": 0.1}}}) as client:
        client.start("/hang", id=1)
        api.wait_asked()
        client.start("/ok", id=2)
        result = client.wait(2)
        assert (result["code"], result["phase"]) == ("queue_full", "queue") and "one of the 1 connections" in result["message"]
        client.cancel(1)
        assert client.wait(1)["code"] == "cancelled"


def test_the_limiter_and_the_wait_before_a_retry_can_be_cancelled(api):
    with Probe({"a": {"base_url": api.url, "retry": {"delay": 20, "jitter": False}},
                "l": {"base_url": api.url, **ONCE, "rate_limit": {"max_requests": 1, "time_window": 20}}}) as client:
        client.start("/status?status=503", id=1)
        api.wait_asked()
        assert client.get("/ok", api="l")["code"] == "ok"
        client.start("/ok", api="l", id=2)
        result = client.get("/ok", api="l", timeout_ms=100)
        assert (result["code"], result["phase"]) == ("rate_limited", "prepare") or result["phase"] == "limit"
        client.start("/ok", id=3)
        assert client.wait(3)["code"] == "ok"  # on the same thread behind the other one, which therefore waits by now
        client.cancel(2)
        result = client.wait(2)
        assert (result["code"], result["phase"]) == ("cancelled", "limit")
        client.cancel(1)
        result = client.wait(1)
        assert result["code"] == "cancelled" and result["phase"] in ("backoff", "wait", "transfer")


def test_closing_a_client_ends_calls_in_every_phase(api):
    port, kept = full_backlog()
    with Probe({"a": {"base_url": api.url, "retry": {"delay": 20, "jitter": False}}, "q": {"base_url": api.url, **ONCE, "pool": {"max_connections": 1}},
                "b": {"base_url": f"http://127.0.0.1:{port}", **ONCE}, "l": {"base_url": api.url, **ONCE, "rate_limit": {"max_requests": 1, "time_window": 20}}},
               threads=2) as client:
        assert client.get("/ok", api="l")["code"] == "ok"
        calls = [("/hang", "a"), ("/status?status=503", "a"), ("/stalled-body", "a"), ("/hang", "q"), ("/ok", "q"), ("/", "b"), ("/ok", "l"), ("/slow-head", "a")]
        for number, (path, name) in enumerate(calls):
            client.start(path, api=name, id=number)
        for number in (20, 21):
            client.start("/stalled-body", id=number, stream={})
        client.close()
        for number in [*range(len(calls)), 20, 21]:
            assert client.wait(number)["code"] == "client_closed"
    del kept


# --- retries -----------------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("after,wait_ms", [("30", 30000), (None, -1), ("garbage", -1), ("-5", -1), ("99999999999999999999", None), ("", -1)])
def test_each_form_of_retry_after_is_read(api, probe, after, wait_ms):
    result = probe.get(f"/status?status=429{'&after=' + after if after is not None else ''}")
    assert result["code"] == "http_error" and result["status"] == 429 and result["retryable"]
    if wait_ms is None:
        assert result["retry_after_ms"] > 0 or result["retry_after_ms"] == -1
    else:
        assert result["retry_after_ms"] == wait_ms


@pytest.mark.parametrize("seconds,low,high", [(30, 20000, 31000), (-3600, -1, -1)])
def test_retry_after_may_be_a_date(probe, seconds, low, high):
    result = probe.get("/status", args={"status": 503, "after": date_in(seconds)})
    assert low <= result["retry_after_ms"] <= high


def test_a_retry_after_over_the_cap_or_the_deadline_ends_the_call_at_once(api, probe):
    result = probe.get("/status?status=429&after=3600", api="again")
    assert result["status"] == 429 and result["attempts"] == 1 and result["retry_after_ms"] == 3600000
    result = probe.get("/status?status=429&after=5", api="again", timeout_ms=2000)
    assert result["status"] == 429 and result["attempts"] == 1


def test_what_failed_is_sent_again_where_that_can_do_no_harm(api, probe):
    for how in ("how=reset", "status=503", "status=429&after=0"):
        result = probe.get(f"/flaky/{how}?times=2&{how}", api="retrying")
        assert result["code"] == "ok" and result["attempts"] == 3, result["message"]
    api.forget()
    result = probe.get("/flaky/x?how=reset", api="retrying", method="POST", args={"n": 1})
    assert result["code"] == "connection_broken" and len(api.requests) == 1 and not result["retryable"]
    api.forget()
    result = probe.get("/flaky/y?how=reset&times=2", api="retrying", method="POST", args={"n": 1}, idempotency_key="the-key")
    assert result["code"] == "ok"
    assert [request.fields["idempotency-key"] for request in api.requests] == ["the-key"] * 3
    assert [request.body for request in api.requests] == [b'{"n":1}'] * 3


def test_a_post_is_not_sent_twice_when_a_kept_connection_dies_under_it(api, probe):
    """libcurl would: the server closes the connection without a byte when the second request comes, having read it."""
    assert probe.get("/idle-close")["code"] == "ok"
    api.forget()
    result = probe.get("/idle-close", method="POST", args={"n": 1})
    assert (result["code"], result["retryable"]) == ("connection_broken", False), result
    assert "not sent again" in result["message"]
    assert len(api.requests) == 1
    api.forget()
    assert probe.get("/idle-close")["code"] == "ok"
    result = probe.get("/idle-close")  # harmless: once more, without being asked
    assert result["code"] == "ok" and len(api.requests) == 3
    api.forget()
    result = probe.get("/idle-close", method="POST", args={"n": 1}, idempotency_key="k")
    assert result["code"] == "ok" and [request.method for request in api.requests] == ["POST", "POST"]


def test_a_source_that_cannot_be_read_again_is_sent_once(api, probe):
    result = probe.get("/flaky/s1?times=1", api="retrying", method="PUT", source={"size": 200000, "rewind": False})
    assert result["status"] == 503 and len(api.requests) == 1 and api.requests[0].fields["transfer-encoding"] == "chunked"
    api.forget()
    result = probe.get("/flaky/s2?times=1", api="retrying", method="PUT", source={"size": 200000, "rewind": True, "sized": True})
    assert result["code"] == "ok" and result["rewinds"] == 1 and result.json["body_size"] == 200000
    assert {len(request.body) for request in api.requests} == {200000}


def test_storms_of_401_end(api):
    with Probe({"a": {"base_url": api.url, "auth": {"type": "bearer", "token": "secret-token"}}}) as client:
        result = client.get("/deny")
        assert result["status"] == 401 and len(api.requests) == 1
        assert "secret-token" not in str(result)


# --- redirects -----------------------------------------------------------------------------------------------------------------------------

SECRETS = {"bearer": {"type": "bearer", "token": "sesame-1"}, "header": {"type": "api_key", "name": "X-Odd-Key", "value": "sesame-1"},
           "query": {"type": "api_key", "in": "query", "name": "oddkey", "value": "sesame-1"}, "cookie": {"type": "api_key", "in": "cookie", "name": "k", "value": "sesame-1"},
           "basic": {"type": "basic", "username": "u", "password": "sesame-1"}}


@pytest.mark.parametrize("auth", SECRETS)
def test_credentials_do_not_travel_to_another_origin(api, auth):
    with HostileApi() as other, Probe({"a": {"base_url": api.url, **ONCE, "auth": SECRETS[auth], "default_headers": {"X-Tenant": "sesame-2", "Accept": "text/x"},
                                             "endpoints": {"v1": {"go": {"path": "/redirect", "params": {"to": {}, "pin": {"in": "header", "secret": True}}}}}}}) as client:
        for place in (f"{other.url}/ok", f"//127.0.0.1:{other.port}/ok", f"http://localhost:{other.port}/ok"):
            other.forget()
            result = client.call("a.go", args={"to": place, "pin": "sesame-3"}, headers={"Cookie": "own=sesame-4"})
            assert result["code"] == "ok", result["message"]
            assert "sesame" in str(api.requests[-1].fields) + str(api.requests[-1].query)
            seen = other.requests[-1]
            assert "sesame" not in str(seen) and "c2VzYW1l" not in str(seen) and seen.fields["accept"] == "text/x"
        api.forget()
        result = client.call("a.go", args={"to": "/ok", "pin": "sesame-3"})  # within the origin all goes along, but what was in the URL
        assert api.requests[-1].fields["x-tenant"] == "sesame-2" and api.requests[-1].fields["pin"] == "sesame-3"


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/x", "javascript:1", "http://user:word@127.0.0.1/", "http:///x", "//", "http://a b/",
                                "HTTP://127.0.0.1:1@evil/", "dict://127.0.0.1:11211/stat"])
def test_redirects_to_what_is_no_url_of_ours_are_refused(probe, to):
    result = probe.get("/redirect", args={"to": to})
    assert result["code"] == "redirect_refused", result


def test_requests_with_bodies_are_not_sent_to_another_origin(api, probe):
    with HostileApi() as other:
        result = probe.get("/redirect?status=307&to=" + other.url + "/ok", method="POST", args={"n": 1})
        assert result["code"] == "redirect_refused" and not other.requests
        result = probe.get("/redirect?status=303&to=" + other.url + "/ok", method="POST", args={"n": 1})
        assert result["code"] == "ok" and other.requests[0].method == "GET" and other.requests[0].body == b""
        assert "content-type" not in other.requests[0].fields
    result = probe.get("/redirect?status=308&to=/ok", method="POST", args={"n": 1})
    assert result.json["method"] == "POST" and result.json["body"] == '{"n":1}'


def test_an_attempt_after_a_redirect_starts_at_the_api_again(api):
    """With its own headers, path and body, whoever answered the one before."""
    with HostileApi() as other, Probe({"a": {"base_url": api.url, "retry": {"delay": 0.001}, "default_headers": {"X-Tenant": "t"}}}) as client:
        result = client.get("/redirect?status=303&to=" + other.url + "/flaky/r", method="POST", source={"size": 70000, "rewind": True}, idempotency_key="k")
        assert result["code"] == "ok" and result["attempts"] == 4, result
        assert [(r.method, r.path, r.fields.get("x-tenant"), len(r.body)) for r in api.requests] == [("POST", "/redirect", "t", 70000)] * 2
        assert [(r.method, r.fields.get("x-tenant")) for r in other.requests] == [("GET", None)] * 2


def test_a_guard_holds_for_addresses_names_and_connections_that_are_open_already(api):
    with Probe({"open": {"base_url": api.url, **ONCE}, "shut": {"base_url": api.url, **ONCE, "guard": {"enabled": True}},
                "name": {"base_url": f"http://localhost:{api.port}", **ONCE, "guard": {"enabled": True}},
                "some": {"base_url": api.url, **ONCE, "guard": {"enabled": True, "allow": ["127.0.0.0/8"]}}}, env={"http_proxy": api.url}) as client:
        assert client.get("/ok", api="open")["code"] == "ok"
        for name in ("shut", "name"):
            result = client.get("/ok", api=name)
            assert (result["code"], result["retryable"]) == ("address_blocked", False)
        assert len(api.requests) == 1
        assert client.get("/ok", api="some")["code"] == "ok"


def test_thousands_wait_their_turn_behind_few_connections(api):
    count = 400 if SANITIZED else 4000
    before = api.count
    with Probe({"a": {"base_url": api.url, **ONCE, "timeout": 60, "pool": {"max_connections": 10}}}) as client:
        assert client.burst(count, "/ok") == {"ok": count}
    assert len(api.requests) == count and api.count - before <= 10
