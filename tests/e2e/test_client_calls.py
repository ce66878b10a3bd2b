"""Calls to servers that others wrote: a FastAPI application, and nginx over HTTP/1.1, HTTP/2 and TLS."""
import json

import pytest

from client_probe import ONCE, Probe
from client_world import FastApi, Nginx
from hostile_api import HostileApi

SHOP = {"create": {"path": "/things", "method": "POST", "request_model": "Thing", "response_model": "Thing", "params": {"name": {}, "price": {}, "tags": {"type": "list"}}},
        "read": {"path": "/things/{id}", "params": {"id": {"type": "int"}}, "response_model": "Thing"},
        "replace": {"path": "/things/{id}", "method": "PUT", "body": {"wrap": "thing"}, "params": {"thing": {"required": True}}},
        "remove": {"path": "/things/{id}", "method": "DELETE"},
        "search": {"path": "/search", "params": {"q": {"type": "list"}, "limit": {"type": "int"}, "exact": {"type": "bool"}}},
        "form": {"path": "/form", "method": "POST", "body": {"content_type": "application/x-www-form-urlencoded"}, "params": {"user": {}, "roles": {"type": "list"}}},
        "upload": {"path": "/upload", "method": "POST", "body": {"content_type": "multipart/form-data"}, "params": {"note": {}, "file": {"type": "file"}}},
        "echo": {"path": "/echo", "params": {"odd": {"in": "header", "name": "X-Odd"}, "session": {"in": "cookie"}}}}
MODELS = {"Thing": {"type": "object", "required": ["name"], "properties": {"id": {"type": "integer"}, "name": {"type": "string"}, "price": {"type": "number"}}}}


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    service = FastApi(tmp_path_factory.mktemp("fastapi"))
    yield service
    service.stop()


@pytest.fixture(scope="module")
def shop(app):
    with Probe({"apis": {"shop": {"base_url": app.url, "timeout": 60, "endpoints": {"v1": SHOP}}}, "models": MODELS}) as client:
        yield client


@pytest.fixture(scope="module")
def nginx(tmp_path_factory):
    server = Nginx(tmp_path_factory.mktemp("nginx"))
    yield server
    server.stop()


def test_things_are_made_read_replaced_and_removed(shop):
    made = shop.call("shop.create", args={"name": "lamp", "price": 12.5, "tags": ["a", "b"]})
    assert made["code"] == "ok" and made["status"] == 201 and made.json["tags"] == ["a", "b"], made["message"]
    number = made.json["id"]
    assert shop.call("shop.v1.read", args={"id": str(number)}).json["price"] == 12.5
    assert shop.call("shop.replace", args={"id": number, "thing": {"name": "sofa"}}).json == {"id": number, "name": "sofa", "price": 0, "tags": []}
    gone = shop.call("shop.remove", args={"id": number})
    assert gone["status"] == 204 and gone["size"] == 0
    missing = shop.call("shop.read", args={"id": number})
    assert missing["code"] == "http_error" and missing["status"] == 404 and "no such thing" in missing["message"]
    assert shop.call("shop.read", args={"id": number}, never_raise=True)["code"] == "ok"


def test_what_the_server_would_refuse_is_refused_before(shop):
    assert shop.call("shop.create", args={"price": 1})["code"] == "validation_failed"
    assert shop.call("shop.read", args={"id": "x"})["code"] == "bad_argument"
    assert shop.get("/things", api="shop", method="POST", args={"price": 1})["status"] == 422  # a plain request has no model


def test_parameters_arrive_as_another_framework_reads_them(shop):
    assert shop.call("shop.search", args={"q": ["a b", "c&d=e", "ü"], "limit": 3, "exact": True}).json == {"q": ["a b", "c&d=e", "ü"], "limit": 3, "exact": True}
    assert shop.call("shop.form", args={"user": "ä&b", "roles": ["x", "y"]}).json == {"user": "ä&b", "roles": ["x", "y"]}
    told = shop.call("shop.echo", args={"odd": "value", "session": "abc"}).json
    assert told["odd"] == "value" and told["session"] == "abc" and told["agent"].startswith("libduplex/")


def test_files_arrive_whole(shop, tmp_path):
    data = bytes(range(256)) * 4096 * 16
    path = tmp_path / "sixteen \"mebibytes\".bin"
    path.write_bytes(data)
    told = shop.call("shop.upload", args={"note": "hi", "file": {"file": str(path)}}).json
    assert (told["note"], told["size"], told["sum"]) == ("hi", len(data), sum(data) % 65536)
    told = shop.get("/raw", api="shop", method="PUT", body_file=str(path)).json
    assert (told["size"], told["sum"], told["type"]) == (len(data), sum(data) % 65536, "application/octet-stream")
    told = shop.get("/raw", api="shop", method="PUT", source={"size": 5 << 20}).json
    assert told["size"] == 5 << 20


def apis(nginx, **settings):
    base = {**ONCE, "ca_file": str(nginx.folder / "server.pem")}
    return {"plain": {"base_url": f"http://127.0.0.1:{nginx.port}", **base}, "tls": {"base_url": f"https://localhost:{nginx.tls}", **base, **settings},
            "mutual": {"base_url": f"https://127.0.0.1:{nginx.mutual}", **base, **settings}}


def test_nginx_answers_plain_and_compressed_over_kept_connections(nginx):
    with Probe(apis(nginx)) as client:
        for _ in range(120):  # more than it keeps a connection for
            result = client.get("/data.json", api="plain")
            assert result["code"] == "ok" and len(result.json["items"]) == 2000
        assert result.header("content-encoding") == ["gzip"]
        assert client.burst(200, "/data.json", api="plain") == {"ok": 200}
        assert client.get("/data.json", api="plain", method="HEAD")["size"] == 0
        assert client.get("/nothing", api="plain")["status"] == 404


@pytest.mark.parametrize("version,protocol", [("auto", "HTTP/2.0"), ("2", "HTTP/2.0"), ("1.1", "HTTP/1.1")])
def test_tls_is_verified_and_speaks_the_version_that_is_wanted(nginx, version, protocol):
    with Probe(apis(nginx, http_version=version)) as client:
        result = client.get("/data.json", api="tls")
        assert result["code"] == "ok" and result.header("x-proto") == [protocol], result["message"]
        assert client.burst(100, "/data.json", api="tls") == {"ok": 100}
        big = client.get("/big.bin", api="tls", stream={"pause_every": 3})
        assert big["code"] == "ok" and big["bytes"] == 8 << 20


def test_a_certificate_that_nobody_vouches_for_is_refused(nginx):
    definition = apis(nginx)
    for settings in definition.values():
        del settings["ca_file"]
    definition["open"] = {**definition["tls"], "verify_tls": False}
    definition["name"] = {**definition["tls"], "base_url": f"https://127.0.0.2:{nginx.tls}"}
    with Probe(definition) as client:
        result = client.get("/data.json", api="tls")
        assert (result["code"], result["phase"], result["retryable"]) == ("tls_failed", "connect", False)
        assert client.get("/data.json", api="open")["code"] == "ok"
        assert client.get("/data.json", api="tls")["code"] == "tls_failed"  # also with that connection open


def test_a_client_shows_its_certificate(nginx):
    own = {"certificate": str(nginx.folder / "client.pem"), "key": str(nginx.folder / "client.key")}
    with Probe({**apis(nginx, client_certificate=own), "nobody": apis(nginx)["mutual"]}) as client:
        assert client.get("/who", api="mutual").json == {"who": "CN=client"}
        assert client.get("/who", api="nobody")["status"] == 400


def test_redirects_of_nginx_lose_credentials_at_the_border(nginx):
    with Probe({"a": {**apis(nginx)["plain"], "auth": {"type": "api_key", "name": "X-Odd-Key", "value": "sesame"}}}) as client:
        for path in ("/moved/", "/away/"):
            result = client.get(path)
            assert result["code"] == "ok" and len(result.json["items"]) == 2000, result["message"]
            assert result["attempts"] == 2


def test_a_proxy_is_used_where_one_is_given(nginx):
    with HostileApi() as proxy, Probe({"a": {"base_url": "http://nowhere.invalid/x", **ONCE, "proxy": proxy.url}, "direct": {**apis(nginx)["plain"], "proxy": ""}},
                                      env={"http_proxy": proxy.url, "no_proxy": ""}) as client:
        assert client.get("/ok")["code"] == "ok"
        assert proxy.requests[0].fields["host"] == "nowhere.invalid"
        proxy.forget()
        assert client.get("/data.json", api="direct")["code"] == "ok" and not proxy.requests


def test_names_that_do_not_resolve_and_ports_where_nobody_listens_are_told_apart():
    with Probe({"name": {"base_url": "http://does-not-exist.invalid", **ONCE}, "port": {"base_url": "http://127.0.0.1:1", **ONCE}}) as client:
        result = client.get("/", api="name")
        assert (result["code"], result["phase"], result["retryable"]) == ("resolve_failed", "connect", True)
        result = client.get("/", api="port", method="POST")
        assert (result["code"], result["phase"], result["retryable"]) == ("connect_failed", "connect", True)  # never sent: harmless


def test_numbers_stay_exact(shop):
    text = '{"name": "n", "price": 12345678901234567890}'
    assert json.loads(shop.get("/raw", api="shop", method="PUT", body=text).body)["size"] == len(text)
