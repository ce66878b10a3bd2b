"""Bodies in pieces, both ways: head before pieces, pauses that other threads end, cancelling from inside, uploads of files."""
import pytest

from client_probe import ONCE, SANITIZED, Probe
from hostile_api import HostileApi

MIB = 1 << 20


@pytest.fixture(scope="module")
def api():
    with HostileApi() as server:
        yield server


@pytest.fixture(scope="module")
def probe(api):
    with Probe({"a": {"base_url": api.url, **ONCE, "timeout": 60}, "again": {"base_url": api.url, "retry": {"delay": 0.001}}}) as client:
        yield client


@pytest.fixture(autouse=True)
def clean(api):
    api.forget()


def test_a_head_is_told_before_any_of_the_body_has_come(api, probe):
    probe.start("/head-alone", stream={})
    api.wait_asked()
    with Probe({"a": {"base_url": api.url, **ONCE}}) as other:
        assert other.get("/go")["code"] == "ok"
    result = probe.wait()
    assert result["code"] == "ok" and (result["heads"], result["bytes"]) == (1, 2)


@pytest.mark.parametrize("every", [1, 2, 7])
def test_another_thread_resumes_what_was_paused(probe, every):
    result = probe.get(f"/large?bytes={8 * MIB}", stream={"pause_every": every})
    assert result["code"] == "ok" and result["bytes"] == 8 * MIB and result["heads"] == 1
    probe.start(f"/large?bytes={8 * MIB}", stream={"pause_every": every})
    assert probe.wait()["bytes"] == 8 * MIB


def test_a_stream_that_is_cancelled_from_inside_ends_soon(probe):
    result = probe.get("/endless", stream={"cancel_after": MIB})
    assert result["code"] == "cancelled" and MIB <= result["bytes"] < 40 * MIB
    assert result["phase"] == "transfer" and not result["retryable"]
    result = probe.get("/endless", stream={"cancel_after": MIB, "pause_every": 3})
    assert result["code"] == "cancelled"


def test_a_stream_is_only_told_of_the_answer_that_counts(api, probe):
    result = probe.get("/flaky/st?times=2&status=503", api="again", stream={})
    assert result["code"] == "ok" and result["attempts"] == 3
    assert result["heads"] == 1 and result["head_status"] == 200
    result = probe.get("/redirect?to=/large%3Fbytes%3D100000", stream={})
    assert result["code"] == "ok" and result["heads"] == 1 and result["bytes"] == 100000
    result = probe.get("/status?status=404", stream={})
    assert result["code"] == "http_error" and result["head_status"] == 404


def test_a_stream_that_breaks_is_not_begun_again(api, probe):
    result = probe.get("/close-in-body", api="again", stream={})
    assert result["code"] == "connection_broken" and result["heads"] == 1 and result["bytes"] == 9 and len(api.requests) == 1


def test_memory_does_not_grow_with_the_stream_or_the_upload(api, tmp_path):
    path = tmp_path / "large"
    path.write_bytes(b"x" * (64 * MIB))
    with Probe({"a": {"base_url": api.url, **ONCE, "timeout": 60}}) as client:
        assert client.get("/ok")["code"] == "ok"
        before = client.peak_kib()
        assert client.get(f"/large?bytes={64 * MIB}", stream={"pause_every": 5})["bytes"] == 64 * MIB
        assert client.get("/ok", method="PUT", body_file=str(path)).json["body_size"] == 64 * MIB
        if not SANITIZED:
            assert client.peak_kib() - before < 16 << 10


def test_an_upload_is_read_again_for_another_attempt(api, probe, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"0123456789" * 30000)
    result = probe.get("/flaky/up?times=2&how=reset", api="again", method="PUT", body_file=str(path))
    assert result["code"] == "ok" and result["attempts"] == 3 and result.json["body_size"] == 300000
    assert "expect" not in result.json["fields"]


def test_a_server_that_answers_before_it_has_read_the_body_is_heard(probe):
    result = probe.get("/unread-reset", method="PUT", source={"size": 4 * MIB})
    assert result["code"] == "connection_broken"


def test_many_streams_at_once_keep_apart(probe):
    for number in range(16):
        probe.start(f"/large?bytes={(number + 1) * 100000}", id=number, stream={"pause_every": 2})
    assert [probe.wait(number)["bytes"] for number in range(16)] == [(number + 1) * 100000 for number in range(16)]
