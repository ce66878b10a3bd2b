"""Resources over HTTP: statuses, lists, cursors, entity tags, patches, bulk, idempotency."""
import concurrent.futures
import json

import pytest
from servers import Client, member, problem

MODEL = {
    "type": "object",
    "required": ["title"],
    "properties": {
        "title": {"type": "string", "minLength": 1, "maxLength": 100},
        "price": {"type": "number", "minimum": 0},
        "stock": {"type": "integer"},
        "sku": {"type": ["string", "null"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "sold_at": {"type": "string", "format": "date-time"},
        "active": {"type": "boolean", "default": True},
        "shelf_id": {"type": ["integer", "null"]},
    },
}
DEFINITION = {
    "server": {"store": "sqlite:test.db"},
    "identity": {},
    "models": {"Thing": MODEL, "Shelf": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}},
    "resources": {
        "shelves": {"model": "Shelf", "access": {"default": "public"}},
        "things": {"model": "Thing", "access": {"default": "public"}, "unique": ["sku"], "index": ["price"], "references": {"shelf_id": "shelves"}},
        "notes": {"model": "Shelf", "owner": True},
        "parts": {"model": "Shelf", "access": {"default": "public"}, "soft_delete": True},
    },
}
THINGS = "/api/v1/things"


@pytest.fixture
def api(serve):
    return Client(serve(DEFINITION))


def make(api, **fields):
    answer = api.post(THINGS, json={"title": "a thing", **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


def results(api, query):
    answer = api.get(f"{THINGS}?{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


def test_create_read_replace_change_delete(api):
    created = api.post(THINGS, json={"title": "one", "price": 1.5, "tags": ["a"]})
    assert created.status_code == 201
    location, row = created.headers["location"], created.json()
    assert location == f"{THINGS}/{row['id']}" and row["active"] is True
    read = api.get(location)
    assert read.json() == row and read.headers["etag"] == created.headers["etag"]
    replaced = api.put(location, json={"title": "two"})
    assert replaced.status_code == 200
    assert (replaced.json()["title"], replaced.json()["price"], replaced.json()["tags"]) == ("two", None, None)
    merged = api.patch(location, data=json.dumps({"price": 3}), headers={"content-type": "application/merge-patch+json"})
    assert merged.status_code == 200 and merged.json()["price"] == 3
    patched = api.patch(location, data=json.dumps([{"op": "test", "path": "/price", "value": 3}, {"op": "replace", "path": "/title", "value": "three"}]),
                        headers={"content-type": "application/json-patch+json"})
    assert patched.status_code == 200 and patched.json()["title"] == "three"
    assert len({x.headers["etag"] for x in (created, replaced, merged, patched)}) == 4
    deleted = api.delete(location)
    assert (deleted.status_code, deleted.text) == (204, "")
    problem(api.get(location), 404, "not_found")
    problem(api.delete(location), 404)


def test_a_whole_representation_can_be_put_back(api):
    row = make(api, price=5)
    row["price"] = 6
    answer = api.put(f"{THINGS}/{row['id']}", json=row)
    assert answer.status_code == 200 and answer.json()["price"] == 6


def test_wrong_bodies_name_every_wrong_field(api):
    document = problem(api.post(THINGS, json={"price": -1, "stock": "many", "titel": "x"}), 422, "validation_failed")
    found = {e["pointer"]: e["detail"] for e in document["errors"]}
    assert set(found) == {"/title", "/price", "/stock", "/titel"}
    assert "title" in found["/titel"]
    problem(api.post(THINGS, data="{", headers={"content-type": "application/json"}), 400, "malformed_body")
    problem(api.post(THINGS, data='{"title":"a","title":"b"}', headers={"content-type": "application/json"}), 400)
    problem(api.post(THINGS, data="title=a", headers={"content-type": "text/plain"}), 415)
    problem(api.post(THINGS, data="", headers={"content-type": "application/json"}), 400)
    assert api.get(THINGS).json()["count"] == 0


def test_integers_are_exact_to_64_bits(api):
    for number in (2**63 - 1, -(2**63), 2**53 + 1):
        assert make(api, stock=number)["stock"] == number
    problem(api.post(THINGS, json={"title": "x", "stock": 2**63}), 422)
    assert make(api, price=2**53 + 1)["price"] == 2**53 + 1
    assert make(api, price=0.1)["price"] == 0.1


def test_times_are_instants(api):
    assert make(api, sold_at="2026-01-31T12:00:00.5+02:00")["sold_at"] == "2026-01-31T10:00:00.500000Z"
    problem(api.post(THINGS, json={"title": "x", "sold_at": "2026-02-30T00:00:00Z"}), 422)


def test_unique_and_references(api):
    make(api, sku="A1")
    document = problem(api.post(THINGS, json={"title": "x", "sku": "A1"}), 409, "already_exists")
    assert "sku" in json.dumps(document)
    make(api), make(api)  # NULLs do not collide
    problem(api.post(THINGS, json={"title": "x", "shelf_id": 99}), 422, "unknown_reference")
    shelf = api.post("/api/v1/shelves", json={"name": "top"}).json()
    thing = make(api, shelf_id=shelf["id"])
    problem(api.delete(f"/api/v1/shelves/{shelf['id']}"), 409, "in_use")
    expanded = api.get(f"{THINGS}/{thing['id']}?expand=shelf").json()
    assert expanded["shelf"]["name"] == "top"
    assert results(api, f"expand=shelf&shelf_id={shelf['id']}")[0]["shelf"]["id"] == shelf["id"]


def test_filters(api):
    for i in range(10):
        make(api, title=f"thing {i}", price=i * 10, stock=i, sku=f"S{i}" if i % 2 else None, active=i != 3)
    ids = lambda query: [r["stock"] for r in results(api, query + "&sort=stock")]  # noqa: E731
    assert ids("stock=4") == [4]
    assert ids("min_price=30&max_price=50") == [3, 4, 5]
    assert ids("price[gt]=30&price[lte]=50") == [4, 5]
    assert ids("price%5Bgte%5D=80") == [8, 9]
    assert ids("stock[in]=1,3,5") == [1, 3, 5]
    assert ids("stock[ne]=1&stock[lt]=3") == [0, 2]
    assert ids("title[like]=thing%25") == list(range(10))
    assert ids("sku[null]=true") == [0, 2, 4, 6, 8]
    assert ids("active=false") == [3]
    assert [r["stock"] for r in results(api, "sort=-price,title&page_size=3")] == [9, 8, 7]
    assert set(results(api, "fields=id,title&page_size=1")[0]) == {"id", "title"}


def test_unknown_filters_say_what_exists(api):
    document = problem(api.get(f"{THINGS}?colour=red"), 422)
    assert "title" in json.dumps(document) and "price" in json.dumps(document)
    problem(api.get(f"{THINGS}?price[about]=3"), 422)
    problem(api.get(f"{THINGS}?stock=many"), 422)
    problem(api.get(f"{THINGS}?sort=colour"), 422)
    problem(api.get(f"{THINGS}?fields=colour"), 422)
    problem(api.get(f"{THINGS}?page_size=100000"), 422)
    problem(api.get(f"{THINGS}?page=0"), 422)


def test_pages_link_to_each_other(api):
    for i in range(25):
        make(api, stock=i)
    first = api.get(f"{THINGS}?page_size=10&sort=stock").json()
    assert first["count"] == 25 and first["previous"] is None and len(first["results"]) == 10
    second = api.get(first["next"]).json()
    assert [r["stock"] for r in second["results"]] == list(range(10, 20))
    third = api.get(second["next"]).json()
    assert third["next"] is None and [r["stock"] for r in third["results"]] == list(range(20, 25))
    assert api.get(third["previous"]).json()["results"] == second["results"]
    assert api.get(f"{THINGS}?count=none").json()["count"] is None


def test_cursors_neither_miss_nor_repeat_while_others_insert(api):
    for i in range(60):
        make(api, price=i % 7, stock=i)
    seen, link = [], f"{THINGS}?cursor=&page_size=7&sort=-price"
    while link:
        page = api.get(link).json()
        seen += [r["stock"] for r in page["results"] if r["stock"] is not None and r["stock"] < 60]
        make(api, price=3, stock=1000 + len(seen))
        link = page["next"]
    assert sorted(seen) == list(range(60))
    cursor = api.get(f"{THINGS}?cursor=&page_size=7&sort=-price").json()["next"]
    problem(api.get(cursor.replace("cursor=", "cursor=A")), 400, "invalid_cursor")
    problem(api.get(cursor.replace("sort=-price", "sort=price")), 400, "invalid_cursor")


def test_entity_tags_prevent_lost_updates_and_save_transfers(api):
    row = make(api)
    where = f"{THINGS}/{row['id']}"
    tag = api.get(where).headers["etag"]
    unchanged = api.get(where, headers={"if-none-match": tag})
    assert (unchanged.status_code, unchanged.text, unchanged.headers["etag"]) == (304, "", tag)
    assert api.put(where, json={"title": "mine"}, headers={"if-match": tag}).status_code == 200
    problem(api.put(where, json={"title": "yours"}, headers={"if-match": tag}), 412, "precondition_failed")
    problem(api.delete(where, headers={"if-match": tag}), 412)
    assert api.get(where, headers={"if-none-match": tag}).status_code == 200
    listed = api.get(THINGS)
    assert api.get(THINGS, headers={"if-none-match": listed.headers["etag"]}).status_code == 304
    assert "last-modified" in api.get(where).headers and "cache-control" in api.get(where).headers


def test_only_one_of_many_conditional_writers_wins(api):
    row = make(api, stock=0)
    where = f"{THINGS}/{row['id']}"

    def bump(_):
        client, wins = Client(api.server), 0
        while wins < 5:
            read = client.get(where)
            stock = read.json()["stock"]
            wins += client.patch(where, json={"stock": stock + 1}, headers={"if-match": read.headers["etag"]}).status_code == 200
        return wins

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(bump, range(6))) == 30
    assert api.get(where).json()["stock"] == 30


def test_bulk_is_all_or_nothing(api):
    answer = api.post(THINGS, json=[{"title": f"t{i}"} for i in range(50)])
    assert answer.status_code == 201 and len(answer.json()["results"]) == 50
    document = problem(api.post(THINGS, json=[{"title": "ok"}, {"title": "", "price": -1}]), 422)
    assert {e["pointer"] for e in document["errors"]} == {"/1/title", "/1/price"}
    assert api.get(THINGS).json()["count"] == 50
    ids = [r["id"] for r in answer.json()["results"]]
    problem(api.delete(f"{THINGS}?id={ids[0]},999999"), 404)
    assert api.get(THINGS).json()["count"] == 50
    assert api.delete(f"{THINGS}?id={ids[0]},{ids[1]}").status_code == 200
    assert api.get(THINGS).json()["count"] == 48


def test_idempotency_key_replays_the_stored_answer(serve):
    server = serve(DEFINITION)
    client = member(server, "john")
    send = lambda body, key="k1": client.post("/api/v1/notes", json=body, headers={"idempotency-key": key})  # noqa: E731
    first, again = send({"name": "one"}), send({"name": "one"})
    assert first.status_code == again.status_code == 201 and first.text == again.text
    assert first.headers["location"] == again.headers["location"]
    problem(send({"name": "other"}), 422, "idempotency_key_reused")
    assert client.get("/api/v1/notes").json()["count"] == 1
    token = client.headers["authorization"]
    server.restart()
    client = Client(server)
    client.headers["authorization"] = token
    assert client.post("/api/v1/notes", json={"name": "one"}, headers={"idempotency-key": "k1"}).text == first.text
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        def race(_):
            other = Client(server)
            other.headers["authorization"] = token
            return other.post("/api/v1/notes", json={"name": "raced"}, headers={"idempotency-key": "k2"})
        answers = list(pool.map(race, range(8)))
    assert {a.status_code for a in answers} <= {201, 409}
    assert client.get("/api/v1/notes?name=raced").json()["count"] == 1


def test_owned_rows_are_their_owners_alone(serve):
    server = serve(DEFINITION)
    john, jane = member(server, "john"), member(server, "jane")
    where = john.post("/api/v1/notes", json={"name": "secret"}).headers["location"]
    assert john.get(where).status_code == 200
    for answer in (jane.get(where), jane.put(where, json={"name": "x"}), jane.patch(where, json={"name": "x"}), jane.delete(where)):
        problem(answer, 404, "not_found")
    assert jane.get("/api/v1/notes").json()["count"] == 0
    problem(Client(server).get("/api/v1/notes"), 401, "authentication_required")


def test_soft_deleted_rows_are_gone_for_callers(api):
    where = api.post("/api/v1/parts", json={"name": "bolt"}).headers["location"]
    assert api.delete(where).status_code == 204
    problem(api.get(where), 404)
    assert api.get("/api/v1/parts").json()["count"] == 0


def test_head_options_404_and_405(api):
    row = make(api)
    where = f"{THINGS}/{row['id']}"
    head, got = api.head(where), api.get(where)
    assert head.status_code == 200 and head.text == "" and head.headers["content-length"] == str(len(got.content))
    options = api.options(where)
    assert options.status_code == 204
    assert {"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"} == {m.strip() for m in options.headers["allow"].split(",")}
    refused = api.request("POST", where, json={})
    problem(refused, 405, "method_not_allowed")
    assert "PATCH" in refused.headers["allow"]
    problem(api.get("/api/v1/nothing"), 404, "not_found")
    problem(api.get(f"{THINGS}/not-a-number"), 404)
    problem(api.get(THINGS + "/"), 404)
