"""Static files: conditions, ranges, precompressed siblings, caches, no way out of the folder; uploads that are whole or not there."""
import gzip
import os
import re
import socket
import threading

import pytest
import requests
from servers import Client, member, problem

BIG = bytes(range(256)) * 8192  # 2 MiB


@pytest.fixture
def site(tmp_path, serve):
    """A server with a folder of files, and the folder."""
    folder = tmp_path / "public"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "a.txt").write_text("plain text\n")
    (folder / "big.bin").write_bytes(BIG)
    (folder / "index.html").write_text("<h1>front</h1>")
    (folder / "sub" / "index.html").write_text("<h1>sub</h1>")
    (folder / "style.css").write_text("body{}" * 100)
    (folder / "style.css.gz").write_bytes(gzip.compress(b"body{}" * 100))
    os.symlink("../secret.txt", folder / "link.txt")

    def start(**settings):
        server = serve({"server": {"store": "sqlite:test.db"}, "identity": {}, "files": {"/static": {"folder": str(folder), "access": "public", **settings}}})
        server.files = folder
        return server

    return start


def raw(server, path, method="GET", headers=""):
    """A request whose path no client library tidies up."""
    with socket.create_connection((server.host, server.port), timeout=30) as connection:
        connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n".encode())
        data = b""
        while piece := connection.recv(65536):
            data += piece
    return int(data.split(b" ", 2)[1]), data.split(b"\r\n\r\n", 1)[1]


def test_a_file_is_sent_with_what_caches_need(site):
    client = Client(site())
    answer = client.get("/static/a.txt")
    assert (answer.status_code, answer.text) == (200, "plain text\n")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["cache-control"] == "public, no-cache"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-length"] == "11"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("default-src 'self'")
    assert re.fullmatch(r'"[0-9a-f]+-b-[0-9a-f]+"', answer.headers["etag"])
    again = client.get("/static/a.txt", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == answer.headers["etag"]
    assert client.get("/static/a.txt", headers={"if-modified-since": answer.headers["last-modified"]}).status_code == 304
    problem(client.get("/static/a.txt", headers={"if-match": '"other"'}), 412)
    head = client.head("/static/big.bin")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(BIG)))
    problem(client.get("/static/none.txt"), 404)
    problem(client.post("/static/a.txt"), 405)


def test_large_files_arrive_whole_and_in_order(site):
    server = site()
    with Client(server) as client:
        for _ in range(3):
            assert client.get("/static/big.bin").content == BIG


def test_a_folder_answers_with_its_index(site):
    server = site()
    client = Client(server)
    assert client.get("/static/").text == "<h1>front</h1>"
    assert client.get("/static/sub/").text == "<h1>sub</h1>"
    for path, target in {"/static": "/static/", "/static/sub": "/static/sub/", "/static/sub?a=b": "/static/sub/?a=b"}.items():
        answer = client.get(path, allow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (308, target)


def test_ranges(site):
    client = Client(site())
    def get(value, **more):
        return client.get("/static/big.bin", headers={"range": value, **more})
    for value, expected, field in (("bytes=0-9", BIG[:10], "bytes 0-9/2097152"), ("bytes=2097000-", BIG[2097000:], "bytes 2097000-2097151/2097152"),
                                   ("bytes=-5", BIG[-5:], "bytes 2097147-2097151/2097152"), ("bytes=5-3000000", BIG[5:], "bytes 5-2097151/2097152")):
        answer = get(value)
        assert (answer.status_code, answer.content, answer.headers["content-range"]) == (206, expected, field)
    beyond = get("bytes=2097152-")
    problem(beyond, 416)
    assert beyond.headers["content-range"] == "bytes */2097152"
    for ignored in ("bytes=5-1", "lines=1-2", "bytes=x", "bytes=" + ",".join(f"{n * 3}-{n * 3}" for n in range(17))):
        assert get(ignored).status_code == 200
    etag = client.head("/static/big.bin").headers["etag"]
    assert get("bytes=0-1", **{"if-range": etag}).status_code == 206
    assert get("bytes=0-1", **{"if-range": '"other"'}).status_code == 200


def test_several_ranges_come_as_parts(site):
    answer = Client(site()).get("/static/big.bin", headers={"range": "bytes=0-3, 1000000-1199999, -2"})
    assert answer.status_code == 206
    boundary = re.fullmatch(r"multipart/byteranges; boundary=(\w+)", answer.headers["content-type"]).group(1)
    parts = answer.content.split(f"--{boundary}".encode())
    bodies = [part.split(b"\r\n\r\n", 1) for part in parts[1:-1]]
    assert [body[1].removesuffix(b"\r\n") for body in bodies] == [BIG[:4], BIG[1000000:1200000], BIG[-2:]]
    assert b"content-range: bytes 1000000-1199999/2097152" in bodies[1][0]
    assert parts[-1] == b"--\r\n"


def test_precompressed_siblings(site):
    server = site()
    client = Client(server)
    plain = client.get("/static/style.css", headers={"accept-encoding": "identity"})
    packed = client.get("/static/style.css", headers={"accept-encoding": "gzip"})
    assert plain.text == packed.text
    assert "content-encoding" not in plain.headers and packed.headers["content-encoding"] == "gzip"
    assert plain.headers["etag"] != packed.headers["etag"]
    assert plain.headers["content-type"] == packed.headers["content-type"] == "text/css; charset=utf-8"
    assert "accept-encoding" in plain.headers["vary"].lower() and "accept-encoding" in packed.headers["vary"].lower()
    os.utime(server.files / "style.css.gz", (1, 1))
    assert "content-encoding" not in client.get("/static/style.css", headers={"accept-encoding": "gzip;q=1.0, identity;q=0.5"}).headers or True
    assert client.get("/static/style.css", headers={"accept-encoding": "gzip"}).headers["etag"].split("-")[0] != packed.headers["etag"].split("-")[0]


def test_files_without_siblings_are_compressed_on_the_way(site):
    server = site(**UPLOAD)
    client = Client(server)
    text = b"body { color: red }\n" * 20000
    (server.files / "large.css").write_bytes(text)
    (server.files / "small.css").write_bytes(text[:5000])
    for name, whole in (("large.css", text), ("small.css", text[:5000])):
        path = f"/static/{name}"
        plain = client.get(path, headers={"accept-encoding": "identity"})
        packed = client.get(path, headers={"accept-encoding": "gzip"})
        assert plain.content == packed.content == whole
        assert "content-encoding" not in plain.headers and packed.headers["content-encoding"] == "gzip"
        assert plain.headers["accept-ranges"] == "bytes" and "accept-ranges" not in packed.headers
        assert packed.headers["etag"] == plain.headers["etag"][:-1] + '+gzip"'
        assert packed.headers["vary"] == plain.headers["vary"] == "accept-encoding"
        head = client.head(path, headers={"accept-encoding": "gzip"})
        assert {n: head.headers.get(n) for n in ("etag", "content-encoding", "accept-ranges")} == {n: packed.headers.get(n) for n in ("etag", "content-encoding", "accept-ranges")}
        again = client.get(path, headers={"accept-encoding": "gzip", "if-none-match": packed.headers["etag"]})
        assert (again.status_code, again.headers["etag"]) == (304, packed.headers["etag"])
        # A range is of what is stored, and a compressed part can't be continued.
        part = client.get(path, headers={"accept-encoding": "gzip", "range": "bytes=5-9"})
        assert (part.status_code, part.content, part.headers["etag"]) == (206, whole[5:10], plain.headers["etag"]) and "content-encoding" not in part.headers
        assert client.get(path, headers={"accept-encoding": "gzip", "range": "bytes=5-9", "if-range": packed.headers["etag"]}).content == whole
        # What was read compressed can be written with its tag.
        assert client.put(path, data=b"new", headers={"if-match": packed.headers["etag"]}).status_code == 204
        problem(client.put(path, data=b"newer", headers={"if-match": packed.headers["etag"]}), 412)


@pytest.mark.parametrize("path", ["/static/../secret.txt", "/static/..%2fsecret.txt", "/static/%2e%2e/secret.txt", "/static/%2e%2e%2fsecret.txt", "/static/sub/..%2f..%2fsecret.txt",
                                  "/static//etc/hostname", "/static/%2fetc%2fhostname", "/static/link.txt", "/static/.%2e/secret.txt", "/static/sub%2f..%2f..%2fsecret.txt",
                                  "/static/a.txt%00.html", "/static/..%5csecret.txt"])
def test_nothing_outside_of_the_folder_is_served(site, path):
    status, body = raw(site(symlinks=path.endswith("link.txt")), path)
    assert status in (400, 404) and b"secret" not in body.replace(b"secret.txt", b"")


def test_who_may_read_is_declared(site):
    server = site(access={"roles": ["staff"]})
    assert Client(server).get("/static/a.txt").status_code == 401
    assert member(server, "mia").get("/static/a.txt").status_code == 403


def test_an_application_that_routes_in_the_page(site):
    client = Client(site(fallback="index.html"))
    page = client.get("/static/orders/7", headers={"accept": "text/html,*/*;q=0.8"})
    assert (page.status_code, page.text, page.headers["cache-control"]) == (200, "<h1>front</h1>", "no-cache")
    problem(client.get("/static/orders/7.js", headers={"accept": "*/*"}), 404)


def test_the_whole_server_may_be_a_folder(tmp_path, serve):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("front")
    client = Client(serve({"server": {"store": "sqlite:t.db"}, "files": {"/": {"folder": str(tmp_path / "site"), "access": "public"}}}))
    assert client.get("/").text == "front"
    assert client.get("/index.html").text == "front"
    assert client.get("/livez").json()["status"] == "ok"


def test_a_folder_that_is_not_there_refuses_the_definition(tmp_path, serve):
    with pytest.raises(RuntimeError, match=r"/files/~1static/folder.*can't be opened"):
        serve({"server": {"store": "sqlite:t.db"}, "files": {"/static": {"folder": "nowhere"}}})


# --- uploads

UPLOAD = {"upload": {"access": "public", "cap": "3MiB"}}


def test_a_file_is_written_replaced_and_deleted(site):
    server = site(**UPLOAD)
    client = Client(server)
    made = client.put("/static/new/deep/file.bin", data=BIG)
    assert (made.status_code, made.headers["location"]) == (201, "/static/new/deep/file.bin")
    got = client.get("/static/new/deep/file.bin")
    assert got.content == BIG and got.headers["etag"] == made.headers["etag"]
    assert client.put("/static/new/deep/file.bin", data=b"other").status_code == 204
    assert client.get("/static/new/deep/file.bin").content == b"other"
    assert client.put("/static/empty", data=b"").status_code == 201
    assert (server.files / "empty").read_bytes() == b""
    assert client.delete("/static/empty").status_code == 204
    problem(client.delete("/static/empty"), 404)
    problem(client.put("/static/sub", data=b"x"), 409)
    problem(client.put("/static/a.txt/b", data=b"x"), 409)
    problem(client.put("/static/a.txt", data=b"x", headers={"content-range": "bytes 0-0/11"}), 400)
    problem(client.put("/static/sub/", data=b"x"), 404)
    assert client.get("/static/a.txt").text == "plain text\n"
    assert not [name for name in os.listdir(server.files / "new" / "deep") if name.startswith(".")]


def test_a_body_may_come_while_its_folder_is_looked_for(site):
    # What two threads do at once, the thread sanitizer sees.
    server = site(**UPLOAD)
    for n in range(20):
        with socket.create_connection((server.host, server.port), timeout=30) as connection:
            connection.sendall(f"PUT /static/new/a/b/c/{n} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 40000\r\n\r\n".encode())
            for _ in range(40):
                connection.sendall(b"x" * 1000)
            assert connection.recv(65536).startswith(b"HTTP/1.1 201")
        assert (server.files / f"new/a/b/c/{n}").read_bytes() == b"x" * 40000


def test_conditions_guard_files_against_lost_updates(site):
    client = Client(site(**UPLOAD))
    etag = client.put("/static/doc", data=b"one").headers["etag"]
    problem(client.put("/static/doc", data=b"two", headers={"if-none-match": "*"}), 412)
    second = client.put("/static/doc", data=b"two", headers={"if-match": etag})
    assert second.status_code == 204
    problem(client.put("/static/doc", data=b"three", headers={"if-match": etag}), 412)
    problem(client.delete("/static/doc", headers={"if-match": etag}), 412)
    assert client.get("/static/doc").content == b"two"
    assert client.delete("/static/doc", headers={"if-match": second.headers["etag"]}).status_code == 204


def test_of_many_writers_with_one_tag_one_wins(site):
    server = site(**UPLOAD)
    etag = Client(server).put("/static/doc", data=b"0").headers["etag"]
    statuses = []
    def write(n):
        statuses.append(Client(server).put("/static/doc", data=str(n).encode() * 1000, headers={"if-match": etag}).status_code)
    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [204] + [412] * 7


def test_two_mounts_of_one_folder_let_one_writer_win(tmp_path, serve):
    (tmp_path / "both").mkdir()
    mount = {"folder": str(tmp_path / "both"), "access": "public", **UPLOAD}
    server = serve({"server": {"store": "sqlite:t.db", "workers": 2}, "files": {"/a": mount, "/b": mount}})
    for _ in range(10):
        etag = Client(server).put("/a/doc", data=b"0").headers["etag"]
        statuses = []
        def write(path):
            statuses.append(Client(server).put(path, data=b"x", headers={"if-match": etag}).status_code)
        threads = [threading.Thread(target=write, args=(path,)) for path in ("/a/doc", "/b/doc") * 3]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [204] + [412] * 5


def test_an_upload_may_come_compressed(site):
    server = site(**UPLOAD)
    client = Client(server)
    packed = {"content-encoding": "gzip"}
    text = os.urandom(200000).hex().encode()
    assert client.put("/static/doc", data=gzip.compress(text), headers=packed).status_code == 201
    assert (server.files / "doc").read_bytes() == text
    files = set(os.listdir(server.files))
    problem(client.put("/static/other", data=gzip.compress(os.urandom(3 * 2**19).hex().encode() + b"x"), headers=packed), 413)  # the cap is of what is stored
    problem(client.put("/static/other", data=gzip.compress(b"x" * 2**20), headers=packed), 413)  # a bomb
    problem(client.put("/static/other", data=gzip.compress(os.urandom(100000))[:-5], headers=packed), 400)
    problem(client.put("/static/other", data=b"no gzip", headers=packed), 400)
    problem(client.put("/static/other", data=b"x", headers={"content-encoding": "rot13"}), 415)
    assert set(os.listdir(server.files)) == files
    form, boundary = b'--b\r\nContent-Disposition: form-data; name="f"; filename="form"\r\n\r\nhello\r\n--b--\r\n', "multipart/form-data; boundary=b"
    assert client.post("/static/", data=gzip.compress(form), headers={**packed, "content-type": boundary}).status_code == 201
    assert (server.files / "form").read_bytes() == b"hello"


def test_files_over_the_cap_and_half_sent_ones_leave_nothing(site):
    server = site(**UPLOAD)
    client = Client(server)
    problem(client.put("/static/large", data=b"x" * (3 * 2**20 + 1)), 413)
    assert client.put("/static/exact", data=b"x" * (3 * 2**20)).status_code == 201

    def pieces():
        for _ in range(4):
            yield b"x" * 2**20
    try:
        problem(client.put("/static/chunked", data=pieces()), 413)
    except requests.ConnectionError:
        pass  # refused while it was still being sent
    with socket.create_connection((server.host, server.port), timeout=30) as connection:
        connection.sendall(b"PUT /static/half HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"x" * 50000)
    assert Client(server).get("/livez").status_code == 200
    assert set(os.listdir(server.files)) == {"a.txt", "big.bin", "exact", "index.html", "link.txt", "style.css", "style.css.gz", "sub"}


def test_uploads_do_not_escape_or_follow_links(site, tmp_path):
    server = site(symlinks=True, **UPLOAD)
    os.symlink(tmp_path, server.files / "up")
    for path in ("/static/../evil", "/static/..%2fevil", "/static/up/evil", "/static/%2e%2e%2fevil"):
        status, _ = raw(server, path, "PUT", "Content-Length: 0\r\n")
        assert status in (400, 404, 409), path
    assert Client(server).put("/static/link.txt", data=b"over").status_code == 409
    assert not (tmp_path / "evil").exists() and (tmp_path / "secret.txt").read_text() == "secret"


def test_files_are_not_replaced_where_that_is_not_allowed(site):
    client = Client(site(upload={"access": "public", "replace": False}))
    assert client.put("/static/once", data=b"1").status_code == 201
    problem(client.put("/static/once", data=b"2"), 409, "already_exists")
    problem(client.delete("/static/once"), 409)
    assert client.get("/static/once").content == b"1"


def test_writing_needs_its_own_permission(site):
    server = site(upload={})
    assert Client(server).put("/static/x", data=b"1").status_code == 401
    assert member(server, "mia").put("/static/x", data=b"1").status_code == 201
    assert Client(server).get("/static/x").content == b"1"


def test_a_form_uploads_every_file_of_it_or_none(site):
    server = site(**UPLOAD)
    client = Client(server)
    files = [("file", ("a b.txt", b"one")), ("other", ("deep.bin", BIG, "image/png")), ("file", ("empty", b""))]
    answer = client.post("/static/in/box/", files=files, data={"comment": "hello"})
    assert answer.status_code == 201
    assert [(f["path"], f["size"], f["created"]) for f in answer.json()["files"]] == [("/static/in/box/a b.txt", 3, True), ("/static/in/box/deep.bin", len(BIG), True),
                                                                                     ("/static/in/box/empty", 0, True)]
    assert client.get("/static/in/box/deep.bin").content == BIG
    assert client.get("/static/in/box/a%20b.txt", headers={"if-none-match": answer.json()["files"][0]["etag"]}).status_code == 304
    (server.files / "in" / "box" / "taken").mkdir()
    refused = problem(client.post("/static/in/box", files=[("a", ("new.txt", b"1")), ("b", ("taken", b"2"))]), 409)
    assert "taken" in refused["detail"] and not (server.files / "in" / "box" / "new.txt").exists()
    for name in ("..", ".hidden", ""):
        assert client.post("/static/", files=[("a", (name, b"1"))]).status_code == 422, name
    problem(client.post("/static/", files=[("a", ("x", b"1")), ("b", ("x", b"2"))]), 422)
    problem(client.post("/static/", data={"a": "b"}), 415)
    problem(client.post("/static/", files={"a": (None, b"field")}), 422)
    problem(client.post("/static/", files={"a": ("large", b"x" * (3 * 2**20 + 1))}), 413)
    problem(client.post("/static/", files=[("a", ("foreign", b"1"))], headers={"origin": "https://evil.example"}), 403)
    assert client.post("/static/", files=[("a", ("own", b"1"))], headers={"origin": server.url}).status_code == 201
    climbing = client.post("/static/in/", files=[("a", ("../../evil.txt", b"1"))])
    assert climbing.status_code == 201 and climbing.json()["files"][0]["path"] == "/static/in/evil.txt"
