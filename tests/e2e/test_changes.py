"""Following the changes of a resource: what is committed comes, in order, once, to whom may see it, and a client that comes back goes on
where it was, whatever happened between."""
import json
import os
import signal
import socket
import sqlite3
import subprocess
import threading
import time

import pytest
import requests

from browser import browser  # noqa: F401 (a fixture)
from servers import BINARY, Client, login, member, problem, register, serve  # noqa: F401 (serve: a fixture)

TIMEOUT = 30


def definition(**more):
    items = {"model": "Item", "access": "public", "changes": True}
    items.update(more)
    return {
        "server": {"store": "sqlite:t.db", "workers": 2},
        "identity": {},
        "models": {"Item": {"type": "object", "required": ["title"], "properties": {
            "title": {"type": "string"}, "price": {"type": "number"}, "kind": {"type": "string"},
            "secret": {"type": "string", "writeOnly": True}}}},
        "resources": {"items": items},
    }


class Stream:
    """A client of server-sent events: one event after the other, and the id to come back with."""

    def __init__(self, server, query="", last_id=None, token=None, name="items"):
        headers = {"Accept": "text/event-stream"}
        if last_id is not None:
            headers["Last-Event-ID"] = str(last_id)
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self.last_id = last_id
        self.answer = requests.get(f"{server.url}/api/v1/{name}/changes{query}", headers=headers, stream=True, timeout=TIMEOUT)
        assert self.answer.status_code == 200, self.answer.text
        assert self.answer.headers["content-type"] == "text/event-stream"
        assert self.answer.headers["cache-control"] == "no-store"
        self.lines = self.answer.iter_lines(chunk_size=1)
        if last_id is None:  # where we stand
            assert self.block() == {"retry": self.retry} and self.block().keys() == {"id"}

    def block(self):
        """The fields of one event; None at the end."""
        fields = {}
        for line in self.lines:
            line = line.decode()
            if not line and fields:
                break
            name, _, value = line.partition(": ")
            if name in ("id", "event", "data", "retry"):
                fields[name] = value
        if "id" in fields:
            self.last_id = int(fields["id"])
        if "retry" in fields:
            self.retry = fields["retry"]
        return fields or None

    def next(self):
        while True:
            fields = self.block()
            if fields is None:
                return None
            if "event" in fields:
                return fields["event"], json.loads(fields["data"])

    def take(self, count):
        return [self.next() for _ in range(count)]

    def close(self):
        self.answer.close()


def names(events):
    return [(kind, data["id"]) for kind, data in events]


def test_changes_come_in_the_order_of_their_commit(serve):
    server = serve(definition(soft_delete=True))
    client, stream = Client(server), Stream(server)
    one = client.post("/api/v1/items", json={"title": "a", "secret": "s"}).json()
    client.post("/api/v1/items", json=[{"title": "b"}, {"title": "c"}])
    client.patch("/api/v1/items/2", json={"price": 3})
    client.patch("/api/v1/items/2", json={"price": 3})  # changes nothing
    client.put("/api/v1/items/3", json={"title": "C"})
    client.delete("/api/v1/items/1")
    client.delete("/api/v1/items", params={"id": "2,3"})
    problem(client.post("/api/v1/items", json={"price": 1}), 422)
    events = stream.take(8)
    assert names(events) == [("create", 1), ("create", 2), ("create", 3), ("update", 2), ("update", 3), ("delete", 1), ("delete", 3),
                             ("delete", 2)]
    assert events[0][1] == {"id": 1, "version": 1, "at": one["created_at"], "row": one}
    assert "secret" not in one
    assert [data["version"] for _, data in events] == [1, 1, 1, 2, 2, 2, 3, 3]
    assert all(data["row"] is None for kind, data in events if kind == "delete")
    assert stream.last_id == 8


def test_an_idempotent_replay_is_no_second_change(serve):
    server = serve(definition(id="uuid"))
    client, stream = member(server, "ann"), Stream(server)
    answers = [client.post("/api/v1/items", json={"title": "a"}, headers={"Idempotency-Key": "key-of-mine"}) for _ in range(2)]
    assert answers[1].headers["idempotency-replayed"] == "true"
    last = client.post("/api/v1/items", json={"title": "b"}).json()
    assert names(stream.take(2)) == [("create", answers[0].json()["id"]), ("create", last["id"])]


def test_a_client_that_comes_back_goes_on_where_it_was(serve):
    server = serve(definition())
    client, stream = Client(server), Stream(server)
    for n in range(5):
        client.post("/api/v1/items", json={"title": str(n)})
    assert names(stream.take(2)) == [("create", 1), ("create", 2)]
    stream.close()
    for n in range(200):
        client.post("/api/v1/items", json={"title": str(n)})
    again = Stream(server, last_id=stream.last_id)
    assert names(again.take(203)) == [("create", n) for n in range(3, 206)]
    server.restart()
    Client(server).patch("/api/v1/items/9", json={"price": 1})
    parameter = requests.get(f"{server.url}/api/v1/items/changes?last_event_id={again.last_id}", stream=True, timeout=TIMEOUT)
    text = b""
    for piece in parameter.iter_content(1):
        text += piece
        if text.endswith(b"}}\n\n"):
            break
    assert b"id: 206\nevent: update\n" in text and text.count(b"event:") == 1


def test_what_is_not_kept_any_more_is_told(serve):
    server = serve(definition())
    client = Client(server)
    for n in range(5):
        client.post("/api/v1/items", json={"title": str(n)})
    with sqlite3.connect(server.folder / "t.db") as store:
        store.execute("DELETE FROM duplex_changes_items WHERE id < 4")
    store.close()
    lost = Stream(server, last_id=1)
    assert lost.next() == ("reset", {"reason": "expired"}) and lost.last_id == 5
    future = Stream(server, last_id=77)
    assert future.next() == ("reset", {"reason": "unknown"})
    kept = Stream(server, last_id=3)
    assert names(kept.take(2)) == [("create", 4), ("create", 5)]
    client.post("/api/v1/items", json={"title": "live"})
    for stream in (lost, future, kept):
        assert stream.next()[1]["row"]["title"] == "live"


def test_filters_hold_for_what_can_be_judged(serve):
    server = serve(definition())
    client, stream = Client(server), Stream(server, "?kind=a&min_price=2")
    for kind, price in (("a", 1), ("b", 2), ("a", 2), ("a", 2.5), (None, 9)):
        client.post("/api/v1/items", json={"title": "x", "price": price, **({"kind": kind} if kind else {})})
    client.delete("/api/v1/items/2")
    assert names(stream.take(3)) == [("create", 3), ("create", 4), ("delete", 2)]


@pytest.mark.parametrize("query, parameter", [
    ("?sort=id", "sort"), ("?page=1", "page"), ("?fields=id", "fields"), ("?nope=1", "nope"), ("?title[like]=a*", "title[like]"),
    ("?last_event_id=x", "last_event_id"), ("?last_event_id=-1", "last_event_id"), ("?last_event_id=", "last_event_id"),
    ("?last_event_id=99999999999999999999", "last_event_id"), ("?price=cheap", "price")])
def test_what_cannot_be_followed_is_refused(serve, query, parameter):
    client = Client(serve(definition()))
    found = problem(client.get("/api/v1/items/changes" + query), 422)["errors"]
    assert [error["parameter"] for error in found] == [parameter]


def test_the_route_answers_as_http_wants(serve):
    server = serve({**definition(), "server": {"store": "sqlite:t.db", "cors": {"origins": ["https://shop.example"]}}})
    client = Client(server)
    problem(client.get("/api/v1/items/changes", headers={"Accept": "application/json"}), 406)
    problem(client.get("/api/v1/items/changes", headers={"Last-Event-ID": "garbage"}), 422)
    head = client.head("/api/v1/items/changes")
    assert head.status_code == 200 and head.headers["content-type"] == "text/event-stream"
    assert "content-length" not in head.headers and head.headers["cache-control"] == "no-store"  # what GET says, and GET has no length
    options = client.options("/api/v1/items/changes")
    assert options.status_code == 204 and "GET" in options.headers["allow"]
    problem(client.post("/api/v1/items/changes", json={}), 405)
    answer = client.get("/api/v1/items/changes", stream=True, headers={"Origin": "https://shop.example"})
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    answer.close()
    described = client.get("/openapi.json").json()["paths"]["/api/v1/items/changes"]["get"]
    assert "text/event-stream" in described["responses"]["200"]["content"]
    bare = serve(definition(changes=False))
    problem(Client(bare).get("/api/v1/items/changes"), 404)


def test_each_account_follows_its_own_rows(serve):
    rules = {"access": "authenticated", "owner": True, "owner_bypass_role": "admin"}
    server = serve(definition(**rules))
    problem(Client(server).get("/api/v1/items/changes"), 401)
    ann, bob = member(server, "ann"), member(server, "bob")
    streams = [Stream(server, token=login(server, name)["access_token"]) for name in ("ann", "bob")]
    for who, title in ((ann, "a1"), (bob, "b1"), (ann, "a2")):
        assert who.post("/api/v1/items", json={"title": title}).status_code == 201
    bob.delete("/api/v1/items/2")
    ann.patch("/api/v1/items/1", json={"title": "A1"})
    assert names(streams[0].take(3)) == [("create", 1), ("create", 3), ("update", 1)]
    assert names(streams[1].take(2)) == [("create", 2), ("delete", 2)]
    assert names(Stream(server, last_id=0, token=login(server, "bob")["access_token"]).take(2)) == [("create", 2), ("delete", 2)]
    register(server, "root")
    store = f"sqlite:{server.folder / 't.db'}"
    subprocess.run([BINARY, "users", "roles", "--username", "root", "--role", "admin", "--store", store], check=True)
    assert len(Stream(server, last_id=0, token=login(server, "root")["access_token"]).take(5)) == 5


def test_an_account_that_is_disabled_hears_no_more(serve):
    server = serve(definition(access="authenticated"))
    register(server, "ann")
    stream = Stream(server, token=login(server, "ann")["access_token"])
    store = f"sqlite:{server.folder / 't.db'}"
    subprocess.run([BINARY, "users", "disable", "--username", "ann", "--store", store], check=True)
    assert stream.next() == ("end", {"reason": "token_revoked"})


def test_roles_say_who_may_follow(serve):
    server = serve(definition(access={"list": {"roles": ["editor"]}, "default": "authenticated"}))
    problem(member(server, "ann").get("/api/v1/items/changes"), 403)


def test_a_token_that_ends_ends_the_stream(serve):
    wanted = definition(access="authenticated")
    wanted["identity"] = {"access_token_ttl": "2s", "refresh_token_ttl": "1h"}
    server = serve(wanted)
    register(server, "ann")
    for _ in range(10):  # a busy machine may take longer to come here than the token is good
        token = login(server, "ann")["access_token"]
        try:
            stream = Stream(server, token=token)
            break
        except AssertionError as refused:
            assert "expired_token" in str(refused)
    assert stream.next() == ("end", {"reason": "token_expired"})
    assert stream.next() is None
    problem(Client(server, token).get("/api/v1/items/changes"), 401, "expired_token")


def test_a_session_that_is_logged_out_ends_the_stream(serve):
    server = serve(definition(access="authenticated"))
    register(server, "ann")
    tokens = login(server, "ann")
    stream = Stream(server, token=tokens["access_token"])
    answer = Client(server, tokens["access_token"]).post("/auth/logout", json={"refresh_token": tokens["refresh_token"]})
    assert answer.status_code in (200, 204), answer.text
    assert stream.next() == ("end", {"reason": "token_revoked"})


def test_streams_are_capped(serve):
    wanted = definition(access="authenticated")
    wanted["server"].update(workers=1, limits={"change_streams": 3, "change_streams_each": 2})
    server = serve(wanted)
    ann, bob = member(server, "ann"), member(server, "bob")
    token = ann.headers["authorization"].split()[1]
    streams = [Stream(server, token=token) for _ in range(2)]
    answer = ann.get("/api/v1/items/changes")
    problem(answer, 429, "rate_limited")
    assert int(answer.headers["retry-after"]) > 0
    streams.append(Stream(server, token=bob.headers["authorization"].split()[1]))
    problem(bob.get("/api/v1/items/changes"), 503, "overloaded")
    streams.pop(0).close()
    deadline = time.monotonic() + TIMEOUT
    while ann.get("/api/v1/items/changes", stream=True).status_code != 200:  # the server notices when it next has something to say
        assert ann.post("/api/v1/items", json={"title": "x"}).status_code == 201
        assert time.monotonic() < deadline


def test_a_server_that_stops_says_so(serve):
    server = serve(definition())
    stream = Stream(server)
    Client(server).post("/api/v1/items", json={"title": "a"})
    assert names(stream.take(1)) == [("create", 1)]
    assert server.stop() == 0
    assert stream.next() == ("end", {"reason": "draining"})
    assert stream.next() is None


def test_a_reader_that_stops_reading_is_cut_off_and_told_so(serve):
    server = serve(definition())
    slow, watch = socket.socket(), socket.create_connection((server.host, server.port), timeout=TIMEOUT * 2)
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect((server.host, server.port))
    slow.settimeout(TIMEOUT * 2)
    for connection in (slow, watch):
        connection.sendall(b"GET /api/v1/items/changes HTTP/1.1\r\nHost: x\r\n\r\n")
    assert slow.recv(12) == b"HTTP/1.1 200"
    stream = Stream(server)
    client, rows = Client(server), 0
    for _ in range(6):
        answer = client.post("/api/v1/items", json=[{"title": "x" * 20000} for _ in range(40)])
        assert answer.status_code == 201
        rows += 40
    assert names(stream.take(rows)) == [("create", n) for n in range(1, rows + 1)]  # nobody else waits for it
    seen = b""
    while not seen.endswith(b":\n\n\r\n"):  # somebody else's heartbeat comes later than patience with the slow one ends
        seen = (seen + watch.recv(65536))[-65536:]
    data = b""
    while piece := slow.recv(65536):
        data = (data + piece)[-4096:]
        if data.endswith(b"0\r\n\r\n"):
            break
    assert b'event: end\ndata: {"reason":"slow"}\n\n' in data
    client.post("/api/v1/items", json={"title": "on"})
    assert stream.next()[1]["row"]["title"] == "on"


def test_nothing_is_lost_or_doubled_by_a_kill(serve):
    server = serve(definition())
    acknowledged, told, last = [], [], 0
    for life in range(3):
        stop = threading.Event()

        def write():
            client, n = Client(server), 0
            while not stop.is_set():
                try:
                    answer = client.post("/api/v1/items", json={"title": f"{life}-{n}"}, timeout=TIMEOUT)
                except requests.RequestException:
                    return
                acknowledged.append(answer.json()["title"])
                n += 1

        writer = threading.Thread(target=write)
        writer.start()
        stream = Stream(server, last_id=last)
        for _ in range(60):
            told.append(stream.next()[1]["row"]["title"])
        server.kill()
        stop.set()
        writer.join()
        last = stream.last_id
        server.start()
    stream = Stream(server, last_id=last)
    Client(server).post("/api/v1/items", json={"title": "the end"})
    while told[-1] != "the end":
        told.append(stream.next()[1]["row"]["title"])
    assert len(told) == len(set(told))
    assert set(acknowledged) <= set(told)


def test_what_another_process_commits_comes_too(serve):
    first = serve(definition())
    second = serve(definition(), "--store", f"sqlite:{first.folder / 't.db'}")
    stream = Stream(first)
    assert Client(second).post("/api/v1/items", json={"title": "theirs"}).status_code == 201
    assert Client(first).post("/api/v1/items", json={"title": "ours"}).status_code == 201
    assert [data["row"]["title"] for _, data in stream.take(2)] == ["theirs", "ours"]
    other = Stream(second, last_id=0)
    assert [data["row"]["title"] for _, data in other.take(2)] == ["theirs", "ours"]


def test_a_new_definition_sends_clients_back_to_where_they_were(serve):
    wanted = definition()
    server = serve(wanted)
    stream = Stream(server)
    Client(server).post("/api/v1/items", json={"title": "before"})
    assert names(stream.take(1)) == [("create", 1)]
    wanted["resources"]["others"] = {"model": "Item", "access": "public", "changes": {"rows": 100}}
    server.path.write_text(json.dumps(wanted))
    server.process.send_signal(signal.SIGHUP)
    assert stream.next() == ("end", {"reason": "reloaded"})
    assert stream.next() is None
    Client(server).post("/api/v1/items", json={"title": "after"})
    again = Stream(server, last_id=stream.last_id)
    assert again.next()[1]["row"]["title"] == "after"
    others = Stream(server, name="others")
    Client(server).post("/api/v1/others", json={"title": "new"})
    assert others.next()[1]["row"]["title"] == "new"


def test_nothing_is_lost_or_doubled_over_upgrades(serve):
    """Two processes write for a while: their changes stand in one order, and who follows is sent from one to the other."""
    server = serve(definition())
    written, seen, lineage, over = [], [], [], threading.Event()

    def write(name):
        while not over.is_set():
            answer = requests.post(server.url + "/api/v1/items", json={"title": name}, timeout=TIMEOUT)
            assert answer.status_code == 201
            written.append(answer.json()["id"])

    def follow():
        stream = Stream(server, last_id=0)
        while True:
            found = stream.next()
            if found is None or found[0] == "end":
                stream = Stream(server, last_id=stream.last_id)
            else:
                seen.append((stream.last_id, found[1]["id"]))
                if found[1]["row"]["title"] == "last":
                    return

    threads = [threading.Thread(target=write, args=(f"writer {n}",)) for n in range(3)]
    follower = threading.Thread(target=follow)
    try:
        for thread in (*threads, follower):
            thread.start()
        for _ in range(3):
            done = subprocess.run([BINARY, "upgrade", "--pid", str(lineage[-1] if lineage else server.process.pid)], capture_output=True,
                                  text=True, timeout=60)
            assert done.returncode == 0, done.stderr
            lineage.append(int(done.stdout.split()[-1]))
        over.set()
        for thread in threads:
            thread.join(TIMEOUT)
        written.append(requests.post(server.url + "/api/v1/items", json={"title": "last"}, timeout=TIMEOUT).json()["id"])
        follower.join(TIMEOUT)
        assert not follower.is_alive()
        assert [sequence for sequence, _ in seen] == list(range(1, len(seen) + 1))
        assert sorted(row for _, row in seen) == sorted(written)
    finally:
        over.set()
        for pid in lineage:
            try:
                os.kill(pid, signal.SIGTERM if pid == lineage[-1] else signal.SIGKILL)
            except ProcessLookupError:
                pass


def test_a_browser_follows_changes_and_comes_back_by_itself(serve, browser):
    server = serve(definition())
    client = Client(server)
    browser.go(server.url + "/docs")  # a page of the same origin
    browser.evaluate("""new Promise((done) => {
      window.seen = [];
      const note = (event) => { window.seen.push([event.type, event.lastEventId, event.data && JSON.parse(event.data).row.title]); document.body.dataset.seen = window.seen.length; };
      window.changes = new EventSource('/api/v1/items/changes');
      for (const name of ['create', 'update']) window.changes.addEventListener(name, note);
      window.changes.onopen = () => done(true);
    })""")
    assert client.post("/api/v1/items", json={"title": "one"}).status_code == 201
    assert browser.wait("window.seen.length >= 1 && window.seen[0][2]") == "one"
    server.process.send_signal(signal.SIGHUP)  # the stream ends in order some time after this, and the browser comes again with the id that it has
    browser.evaluate("new Promise((done) => { window.changes.onopen = () => done(true); })")
    assert client.patch("/api/v1/items/1", json={"title": "two"}, headers={"content-type": "application/merge-patch+json"}).status_code == 200
    assert browser.wait("window.seen.length >= 2 && JSON.stringify(window.seen.map((each) => [each[0], each[2]]))") == '[["create","one"],["update","two"]]'
