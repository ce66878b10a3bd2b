"""Compressed answers: what is compressed, that caches and entity tags keep right, and that secrets are not."""
import gzip

import brotli
import pytest
import zstandard

from servers import PASSWORD, Client, register

DECODERS = {"br": brotli.decompress, "gzip": gzip.decompress, "zstd": lambda b: zstandard.ZstdDecompressor().decompressobj().decompress(b)}
DEFINITION = {
    "models": {"Note": {"type": "object", "properties": {"text": {"type": "string", "maxLength": 100000}}, "required": ["text"]}},
    "resources": {"notes": {"model": "Note"}},
    "identity": {},
    "server": {"store": "sqlite:notes.db"},
}


@pytest.fixture
def client(serve):
    server = serve(DEFINITION)
    register(server, "ann")
    token = Client(server).post("/auth/login", data={"username": "ann", "password": PASSWORD}).json()["access_token"]
    return Client(server, token)


def raw(client, path, coding, **fields):
    """The answer, its body as it came."""
    answer = client.get(path, headers={"accept-encoding": coding, **fields}, stream=True)
    return answer, answer.raw.read(decode_content=False)


@pytest.mark.parametrize("coding", DECODERS)
@pytest.mark.parametrize("size", [2000, 90000])
def test_a_row_is_read_compressed_and_written_with_its_tag(client, coding, size):
    made = client.post("/api/v1/notes", json={"text": "word " * (size // 5)})
    path = f"/api/v1/notes/{made.json()['id']}"
    plain, body = raw(client, path, "identity")
    packed, packed_body = raw(client, path, coding)
    assert packed.headers["content-encoding"] == coding and DECODERS[coding](packed_body) == body
    assert len(packed_body) < len(body) / 4
    assert "accept-encoding" in packed.headers["vary"].lower() and "accept-encoding" in plain.headers["vary"].lower()
    tag = packed.headers["etag"]
    assert tag != plain.headers["etag"] and not tag.startswith("W/")  # other bytes, another strong tag
    unchanged, nothing = raw(client, path, coding, **{"if-none-match": tag})
    assert (unchanged.status_code, unchanged.headers["etag"], nothing) == (304, tag, b"")
    written = client.put(path, json={"text": "new"}, headers={"if-match": tag})
    assert written.status_code == 200, written.text
    assert client.put(path, json={"text": "newer"}, headers={"if-match": tag}).status_code == 412


def test_qualities_are_heeded(client):
    client.post("/api/v1/notes", json={"text": "word " * 400})
    for accepted, coding in [("br;q=0.1, gzip", "gzip"), ("gzip;q=0, br;q=0, zstd", "zstd"), ("*", "br"), ("gzip;q=0", None), ("identity, br;q=0", None)]:
        assert raw(client, "/api/v1/notes", accepted)[0].headers.get("content-encoding") == coding, accepted


def test_small_answers_and_tokens_go_as_they_are(client):
    answer = client.post("/auth/login", data={"username": "ann", "password": PASSWORD}, headers={"accept-encoding": "br, gzip"})
    assert "content-encoding" not in answer.headers and "access_token" in answer.json()
    assert "content-encoding" not in client.get("/health", headers={"accept-encoding": "br"}).headers


def test_documents_are_compressed_once(client):
    for accepted, coding in [("gzip", "gzip"), ("gzip;q=0", None), ("br", "br")]:
        answer, body = raw(client, "/openapi.json", accepted)
        assert answer.headers.get("content-encoding") == coding
        assert (DECODERS[coding](body) if coding else body).startswith(b"{")
        assert answer.headers["vary"].lower().count("accept-encoding") == 1


def test_a_head_says_what_a_get_would(client):
    made = client.post("/api/v1/notes", json={"text": "word " * 400}).json()
    path, fields = f"/api/v1/notes/{made['id']}", {"accept-encoding": "gzip"}
    got, head = client.get(path, headers=fields), client.head(path, headers=fields)
    assert {n: head.headers.get(n) for n in ("etag", "content-encoding", "content-length", "vary")} == \
        {n: got.headers.get(n) for n in ("etag", "content-encoding", "content-length", "vary")}


def test_compression_can_be_turned_off_and_bounded(serve):
    off = Client(serve({"server": {"store": "sqlite:a.db", "compression": {"enabled": False}}}))
    assert "content-encoding" not in raw(off, "/openapi.json", "br")[0].headers
    gzip_alone = Client(serve({"server": {"store": "sqlite:b.db", "compression": {"codings": ["gzip"], "floor": "1B"}}}))
    assert raw(gzip_alone, "/nothing", "br, gzip")[0].headers["content-encoding"] == "gzip"
