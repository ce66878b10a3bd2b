"""`duplex import openapi`: documents of others become definitions; what can't be taken is said, and nothing that is there is overwritten."""
import json
import os
import pathlib
import subprocess

import pytest
from servers import BINARY

ROOT = pathlib.Path(__file__).resolve().parents[2]
PETS = ROOT / "tests/fuzz/corpus/import/petstore"
FASTAPI = """
import json
from typing import List, Optional
from fastapi import Depends, FastAPI, Header, Query
from fastapi.security import OAuth2PasswordBearer
from pydantic import BaseModel
app = FastAPI(title="Item Store", version="2.3.0")
class Item(BaseModel):
    name: str
    price: float
    tags: List[str] = []
@app.get("/items/", response_model=List[Item])
def list_items(limit: int = Query(10, ge=1, le=100), trace_id: Optional[str] = Header(None)): ...
@app.put("/items/{item_id}", response_model=Item)
def update_item(item_id: int, item: Item, token: str = Depends(OAuth2PasswordBearer(tokenUrl="token"))): ...
print(json.dumps(app.openapi()))
"""


def duplex(*words, folder=None, text=None):
    return subprocess.run([BINARY, *words], capture_output=True, text=True, timeout=120, check=False, cwd=folder, input=text)


def test_yaml_and_json_become_the_same_definition(tmp_path):
    yaml = pytest.importorskip("yaml")
    by_yaml = duplex("import", "openapi", str(PETS))
    assert by_yaml.returncode == 0, by_yaml.stderr
    document = yaml.safe_load(PETS.read_text())
    (tmp_path / "pets.json").write_text(json.dumps(document, indent=1))
    by_json = duplex("import", "openapi", "pets.json", folder=tmp_path)
    assert json.loads(by_json.stdout) == json.loads(by_yaml.stdout)
    assert "imported 5 endpoints, 6 models; 17 things to look at\n" in by_json.stderr
    assert any(line.startswith("pets.json:") and ":" in line[10:] and "/components/schemas/Loop" in line for line in by_json.stderr.splitlines())


def test_our_own_document_comes_back(tmp_path):
    document = duplex("openapi", str(ROOT / "examples/shop.json"))
    done = duplex("import", "openapi", "-", "--base-url", "http://localhost:8080", text=document.stdout)
    assert done.returncode == 0, done.stderr
    api = json.loads(done.stdout)["apis"]["shop"]
    count = sum(len(path) for path in json.loads(document.stdout)["paths"].values())
    assert sum(len(group) for group in api["endpoints"].values()) == count
    assert api["base_url"] == "http://localhost:8080"
    assert api["auth"]["token_url"] == "http://localhost:8080/auth/login"


def test_fastapis_document_is_taken():
    made = subprocess.run(["/usr/bin/python3", "-c", FASTAPI], capture_output=True, text=True, timeout=60, check=False)
    if made.returncode != 0:
        pytest.skip("FastAPI is not installed")
    done = duplex("import", "openapi", "-", "--name", "items", text=made.stdout)
    assert done.returncode == 0, done.stderr
    endpoints = json.loads(done.stdout)["apis"]["items"]["endpoints"]["v2"]
    assert endpoints["list_items_items_get"]["response_model"] == "Item[]"
    assert endpoints["list_items_items_get"]["params"]["trace_id"] == {"in": "header", "name": "trace-id", "type": "str"}
    assert endpoints["update_item_items_item_id_put"]["params"]["tags"] == {"in": "body", "type": "list"}


def test_models_are_json_schema(tmp_path):
    jsonschema = pytest.importorskip("jsonschema")
    done = duplex("import", "openapi", str(PETS))
    for model in json.loads(done.stdout)["models"].values():
        jsonschema.Draft202012Validator.check_schema(model)


def test_a_file_that_is_there_is_left_alone(tmp_path):
    assert duplex("import", "openapi", str(PETS), "--out", "api.json", folder=tmp_path).returncode == 0
    before = (tmp_path / "api.json").read_bytes()
    assert json.loads(before)["apis"]["pet_store"]
    again = duplex("import", "openapi", str(PETS), "--out", "api.json", folder=tmp_path)
    assert again.returncode == 3 and "left alone" in again.stderr and not again.stdout
    assert (tmp_path / "api.json").read_bytes() == before
    assert os.listdir(tmp_path) == ["api.json"]


@pytest.mark.parametrize(("text", "code", "part"), [
    ("{\"swagger\": \"2.0\"}", 3, "Swagger 2.0"),
    ("{\"openapi\": ", 3, "-:1:13: not valid JSON"),
    ("openapi: 3.1.0\ninfo: [\n", 3, "-:3:1: not valid YAML"),
    ("a: &a [*a]", 3, "inside of what it means"),
    ("", 3, "empty"),
])
def test_what_can_not_be_taken_is_said(text, code, part):
    done = duplex("import", "openapi", "-", text=text)
    assert done.returncode == code and part in done.stderr and not done.stdout


def test_wrong_words_are_refused(tmp_path):
    assert duplex("import").returncode == 2
    assert duplex("import", "raml", "x").returncode == 2
    assert duplex("import", "openapi", "missing.json", folder=tmp_path).returncode == 1
