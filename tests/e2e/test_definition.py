"""What is wrong with a definition is told all at once, located, with the way out."""
import json
import re
import subprocess

from servers import BINARY, ROOT, Client


def check(folder, text, env=None):
    path = folder / "d.json"
    path.write_text(text if isinstance(text, str) else json.dumps(text, indent=2))
    return subprocess.run([BINARY, "check", str(path)], capture_output=True, text=True, timeout=60, check=False, env=env)


def test_every_error_is_told_with_its_place_and_the_nearest_name(tmp_path):
    text = """{
  "models": {
    "Item": {"type": "object", "properties": {"title": {"type": "strin"}}}
  },
  "resources": {
    "items": {"model": "Itm", "ownr": true},
    "others": {"model": "Item", "references": {"title": "nothing"}}
  },
  "servr": {}
}
"""
    done = check(tmp_path, text)
    assert done.returncode == 3
    lines = done.stderr.splitlines()
    located = [line for line in lines if re.match(r".*d\.json:\d+:\d+: /", line)]
    assert len(located) >= 2, done.stderr
    assert any(":6:" in line and "ownr" in line and '"owner"' in line for line in located), done.stderr
    assert any(":9:" in line and "servr" in line and '"server"' in line for line in located), done.stderr
    fixed = text.replace('"ownr"', '"owner"').replace('"servr"', '"server"')
    done = check(tmp_path, fixed)
    assert done.returncode == 3
    assert 'Itm' in done.stderr and '"Item"' in done.stderr and "strin" in done.stderr and "nothing" in done.stderr


def test_malformed_json_is_located(tmp_path):
    done = check(tmp_path, '{\n  "models": {,}\n}')
    assert done.returncode == 3 and ":2:" in done.stderr
    done = check(tmp_path, '{"models": {}, "models": {}}')
    assert done.returncode == 3 and "models" in done.stderr


def test_variables_come_from_the_environment_then_dotenv_then_the_default(tmp_path):
    definition = {"server": {"title": "${TITLE:a default}", "store": "${STORE_URL}"}}
    done = check(tmp_path, definition, env={"PATH": "/usr/bin"})
    assert done.returncode == 3 and "STORE_URL" in done.stderr and "/server/store" in done.stderr
    (tmp_path / ".env").write_text("STORE_URL=sqlite:x.db\nTITLE=from dotenv\n")
    assert check(tmp_path, definition, env={"PATH": "/usr/bin"}).returncode == 0
    title = lambda env: json.loads(subprocess.run([BINARY, "openapi", str(tmp_path / "d.json")], capture_output=True, text=True, timeout=60, check=True, env=env).stdout)["info"]["title"]  # noqa: E731
    assert title({"PATH": "/usr/bin"}) == "from dotenv"
    assert title({"PATH": "/usr/bin", "TITLE": "from outside"}) == "from outside"


def test_references_to_other_files(serve, tmp_path):
    (tmp_path / "models.json").write_text(json.dumps({"models": {"Item": {"type": "object", "properties": {"title": {"type": "string"}}}}}))
    path = tmp_path / "main.json"
    path.write_text(json.dumps({"models": {"Item": {"$ref": "models.json#/models/Item"}}, "resources": {"items": {"model": "Item", "access": {"default": "public"}}},
                                "server": {"store": f"sqlite:{tmp_path}/x.db"}}))
    server = serve(path)
    assert Client(server).post("/api/v1/items", json={"title": "x"}).status_code == 201


def test_a_thousand_resources_start_and_answer(serve):
    definition = {"server": {"store": "sqlite:t.db"}, "models": {"M": {"type": "object", "properties": {"n": {"type": "integer"}}}},
                  "resources": {f"things{i}": {"model": "M", "access": {"default": "public"}} for i in range(1000)}}
    server = serve(definition)
    assert Client(server).post("/api/v1/things999", json={"n": 1}).status_code == 201
    assert len(Client(server).get("/openapi.json").json()["paths"]) >= 2000


def test_the_openapi_document_is_what_the_server_answers(shop):
    printed = json.loads(subprocess.run([BINARY, "openapi", str(ROOT / "examples" / "shop.json")], capture_output=True, text=True, timeout=60, check=True).stdout)
    served = Client(shop).get("/openapi.json").json()
    printed.pop("servers", None), served.pop("servers", None)
    assert printed == served


def test_what_a_schema_may_say_but_hardly_means_is_refused(tmp_path):
    properties = {"n": {"type": "integer", "format": "int64", "minimun": 3}, "title": {"type": "string", "maxLenght": 3, "x-mine": 1}, "site": {"type": "string", "format": "url"},
                  "description": {"type": "string", "default": "x"}, "minimum": {"anyOf": [{"type": "string"}, {"requird": []}]}}
    definition = {"models": {"M": {"type": "object", "required": ["titel"], "properties": properties}, "N": {"type": "object", "required": ["id"], "properties": {"a": {}}}},
                  "resources": {"ms": {"model": "M"}, "ns": {"model": "N"}}}
    done = check(tmp_path, definition)
    assert done.returncode == 3
    told = {re.match(r".*?: (/[^:]*): (.*)", line).groups() for line in done.stderr.splitlines() if ": /" in line}
    told = dict(told)
    assert set(told) == {"/models/M/properties/n/minimun", "/models/M/properties/title/maxLenght", "/models/M/properties/site/format", "/models/M/properties/minimum/anyOf/1/requird",
                         "/resources/ms/model", "/resources/ns/model"}, done.stderr
    assert '"maxLength"' in told["/models/M/properties/title/maxLenght"] and '"uri"' in told["/models/M/properties/site/format"] and '"title"' in told["/resources/ms/model"]
