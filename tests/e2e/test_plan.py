"""`duplex plan`: what a new definition would change, from a running server or between two files."""
import json

import requests

from servers import serve  # noqa: F401
from test_reload import ITEMS, OTHER, command, put

SECRET = "a very secret secret of 32 bytes and more"


def changes(*words):
    done = command("plan", *words, "--json", "--detailed-exitcode")
    assert done.returncode in (0, 4), done.stderr
    plan = json.loads(done.stdout)
    assert plan["count"] == len(plan["changes"]) and (done.returncode == 4) == (plan["count"] > 0)
    return {change["pointer"]: change for change in plan["changes"]}


def write(folder, name, definition, **more):
    path = folder / name
    path.write_text(definition if isinstance(definition, str) else json.dumps(definition, **more))
    return path


def test_a_server_says_what_a_reload_would_do_and_does_nothing(serve):
    server = serve(ITEMS)
    assert changes(server.path) == {}
    put(server, {**OTHER, "server": {**OTHER["server"], "workers": 3}})
    found = changes(server.path)
    assert found["/models/Item/properties/colour"] == {
        "pointer": "/models/Item/properties/colour", "change": "added", "effect": "tables", "breaking": False, "note": "the column is added"}
    assert found["/server/workers"]["effect"] == "process"
    assert (found["/server/title"]["before"], found["/server/title"]["after"]) == ('"one"', '"two"')
    text = command("plan", server.path)
    assert text.returncode == 0 and "~ /server/workers: 2 → 3\n    needs `duplex upgrade` or a restart" in text.stdout
    put(server, OTHER)
    assert command("reload", server.path).returncode == 0
    assert command("plan", server.path).stdout == "nothing changes\n"


def test_what_would_be_refused_is_told_as_check_tells_it(serve):
    server = serve(ITEMS)
    put(server, {**ITEMS, "colour": 1})
    done = command("plan", server.path)
    assert done.returncode == 3
    assert done.stderr.splitlines()[:-1] == command("check", server.path).stderr.splitlines()[:-1]


def test_two_files_need_no_server_and_form_makes_no_difference(tmp_path):
    old = write(tmp_path, "old.json", ITEMS)
    same = json.loads(json.dumps(ITEMS))
    same["server"]["base_path"] = "/api/v1"  # the default, written out
    assert changes(old, write(tmp_path, "same.json", dict(reversed(same.items())), indent=4)) == {}
    tighter = json.loads(json.dumps(ITEMS))
    tighter["models"]["Item"]["properties"]["name"]["maxLength"] = 5
    tighter["models"]["Item"]["properties"]["size"] = {"type": "integer"}
    tighter["models"]["Item"]["required"] = ["name", "size"]
    tighter["resources"]["items"]["access"]["write"] = "authenticated"
    found = changes(old, write(tmp_path, "new.json", tighter))
    assert {pointer for pointer, change in found.items() if change["breaking"]} == {
        "/models/Item/properties/name/maxLength", "/models/Item/required/size", "/resources/items/access/write"}
    backwards = changes(tmp_path / "new.json", old)
    assert backwards["/models/Item/properties/size"]["breaking"]
    assert not backwards["/models/Item/properties/name/maxLength"]["breaking"]


def test_what_closes_something_to_clients_is_told(tmp_path):
    for folder in ("open", "gone"):
        (tmp_path / folder).mkdir()
    old = {
        **ITEMS, "identity": {}, "resources": {"items": {"model": "Item", "access": "public", "changes": True}},
        "files": {"/open": {"folder": "open", "access": "public", "upload": {"access": "public"}}, "/gone": {"folder": "gone", "access": "public"}},
    }
    new = {
        **old, "identity": {"registration": {"open": False}}, "resources": {"items": {"model": "Item", "access": "public", "count": "none"}},
        "files": {"/open": {"folder": "open"}},
        "server": {**ITEMS["server"], "allow": ["10.0.0.0/8"], "deny": ["10.0.0.1"], "limits": {"body": "1KiB"}},
    }
    found = changes(write(tmp_path, "old.json", old), write(tmp_path, "new.json", new))
    assert {pointer for pointer, change in found.items() if not change["breaking"]} == set()
    assert len(found) == 9 and all(change["note"] for change in found.values())
    back = changes(tmp_path / "new.json", tmp_path / "old.json")
    assert not any(back[pointer]["breaking"] for pointer in ("/files/~1gone", "/files/~1open/upload", "/server/deny/10.0.0.1"))
    nothing = changes(tmp_path / "old.json", write(tmp_path, "nothing.json", {"server": ITEMS["server"], "models": ITEMS["models"]}))
    assert nothing.keys() == {"/identity", "/files", "/resources"} and all(change["breaking"] for change in nothing.values())


def test_what_rows_may_stand_in_the_way_of_is_told(serve):
    server = serve(ITEMS)
    requests.post(server.url + "/api/v1/items", json={"name": "a"}, timeout=20)
    required = json.loads(json.dumps(ITEMS))
    required["models"]["Item"]["properties"]["size"] = {"type": "integer"}
    required["models"]["Item"]["required"] = ["name", "size"]
    put(server, required)
    assert "`fallback`" in changes(server.path)["/models/Item/required/size"]["note"]
    assert command("reload", server.path).returncode == 3  # as the note says
    required["resources"]["items"] = {**ITEMS["resources"]["items"], "fallback": {"size": 1}}
    put(server, required)
    assert command("reload", server.path).returncode == 0


def test_secrets_are_not_shown(serve, tmp_path):
    with_secret = {**ITEMS, "server": {**ITEMS["server"], "secret": "${PLAN_SECRET}"}}
    server = serve(with_secret, env={"PLAN_SECRET": SECRET})
    put(server, {**ITEMS, "server": {**ITEMS["server"], "secret": SECRET[::-1]}})
    for words in (("plan", server.path), ("plan", server.path, "--json")):
        done = command(*words)
        assert done.returncode == 0 and "/server/secret" in done.stdout
        assert SECRET not in done.stdout and SECRET[::-1] not in done.stdout


def test_words_that_make_no_sense_are_refused(tmp_path):
    assert command("plan").returncode == 2
    assert command("plan", "a", "b", "c").returncode == 2
    assert command("plan", "a", "b", "--pid", "1").returncode == 2
    assert command("plan", tmp_path / "missing.json").returncode == 1
