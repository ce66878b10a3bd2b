"""Every example definition is accepted, describes itself, and takes its own examples; the blog lives through a small story."""
import json
import re
import subprocess

import jsonschema
import pytest
from servers import BINARY, ROOT, Client, login, member, problem

EXAMPLES = sorted((ROOT / "examples").glob("*.json"))
PASSWORD = "four wise owls sing"


def printed(*words):
    return json.loads(subprocess.run([BINARY, *words], capture_output=True, text=True, timeout=60, check=True).stdout)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_accepted_and_valid_by_the_schema_of_definitions(path):
    done = subprocess.run([BINARY, "check", str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    jsonschema.Draft202012Validator(printed("schema")).validate(json.loads(path.read_text()))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_what_the_models_of_an_example_show_is_valid_and_described(path):
    definition, document = json.loads(path.read_text()), printed("openapi", str(path))
    for name, resource in definition.get("resources", {}).items():
        model = definition["models"][resource["model"]]
        assert model["description"] and model["examples"], name
        for example in model["examples"]:
            jsonschema.Draft202012Validator({**model, "models": definition["models"]}).validate(example)
        assert f"/api/v1/{name}" in document["paths"]


@pytest.fixture
def blog(serve, tmp_path):
    return serve(ROOT / "examples" / "blog.json", "--store", f"sqlite:{tmp_path / 'blog.db'}")


def staff(server, tmp_path, name, role):
    """A client of an account that the operator made."""
    command = [BINARY, "users", "create", "--username", name, "--email", f"{name}@example.com", "--role", role, "--password-stdin", "--store", f"sqlite:{tmp_path / 'blog.db'}"]
    subprocess.run(command, input=PASSWORD, text=True, timeout=60, check=True, capture_output=True)
    return Client(server, login(server, name, PASSWORD)["access_token"])


def created(answer):
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_the_story_of_a_post(blog, tmp_path):
    edith, ada, grace, rob = (staff(blog, tmp_path, "edith", "editor"), staff(blog, tmp_path, "ada", "author"), staff(blog, tmp_path, "grace", "author"),
                              member(blog, "rob"))
    anyone = Client(blog)

    # Authors have one page each; readers have none.
    author = created(ada.post("/api/v1/authors", json={"name": "Ada", "slug": "ada"}))
    problem(ada.post("/api/v1/authors", json={"name": "Ada again", "slug": "ada-2"}), 409, "already_exists")
    problem(rob.post("/api/v1/authors", json={"name": "Rob", "slug": "rob"}), 403, "forbidden")

    # A post starts as a draft; published, it must say since when; an address belongs to one post.
    text = {"author_id": author["id"], "title": "Notes on the engine", "slug": "notes-on-the-engine", "body": "It *weaves* patterns."}
    answer = ada.post("/api/v1/posts", json=text)
    post, tag = created(answer), answer.headers["etag"]
    assert post["state"] == "draft"
    assert problem(ada.post("/api/v1/posts", json={**text, "slug": "more", "state": "published"}), 422)["errors"][0]["pointer"] == "/published_at"
    assert problem(ada.post("/api/v1/posts", json=text), 409, "already_exists")["errors"][0]["pointer"] == "/slug"
    assert "author_id" in str(problem(ada.post("/api/v1/posts", json={**text, "slug": "x", "author_id": 99}), 422, "unknown_reference"))

    # Nobody overwrites what he has not read, and nobody another's post; an editor may.
    publish = {"state": "published", "published_at": "2026-01-31T10:00:00Z"}
    path = f"/api/v1/posts/{post['id']}"
    problem(ada.patch(path, json=publish), 428, "precondition_required")
    problem(grace.patch(path, json=publish, headers={"if-match": tag}), 404, "not_found")
    answer = ada.patch(path, json=publish, headers={"if-match": tag})
    assert answer.status_code == 200 and answer.json()["state"] == "published"
    problem(ada.patch(path, json={"title": "late"}, headers={"if-match": tag}), 412, "precondition_failed")
    answer = edith.patch(path, data=json.dumps([{"op": "test", "path": "/title", "value": text["title"]}, {"op": "add", "path": "/summary", "value": "Read this."}]),
                         headers={"if-match": answer.headers["etag"], "content-type": "application/json-patch+json"})
    assert answer.status_code == 200 and answer.json()["summary"] == "Read this."
    tag = answer.headers["etag"]

    # Tags are the editors'; a post has each once, and a tag in use stays.
    tags = created(edith.post("/api/v1/tags", json=[{"slug": "engines"}, {"slug": "weaving", "label": "Weaving"}]))["results"]
    problem(ada.post("/api/v1/tags", json={"slug": "mine"}), 403)
    created(ada.post("/api/v1/taggings", json=[{"post_id": post["id"], "tag_id": t["id"]} for t in tags]))
    problem(ada.post("/api/v1/taggings", json={"post_id": post["id"], "tag_id": tags[0]["id"]}), 409, "already_exists")
    problem(edith.delete(f"/api/v1/tags/{tags[0]['id']}"), 409, "in_use")

    # Anyone reads, filtered, sorted, expanded and by cursor.
    page = anyone.get("/api/v1/posts?state=published&min_published_at=2026-01-01&sort=-published_at&expand=author&fields=id,title").json()
    assert page["count"] == 1 and page["results"][0] == {"id": post["id"], "title": text["title"], "author": {**author}}
    tagged = anyone.get(f"/api/v1/taggings?post_id={post['id']}&expand=tag&sort=tag_id").json()["results"]
    assert [t["tag"]["slug"] for t in tagged] == ["engines", "weaving"]
    assert anyone.get("/api/v1/tags").headers["cache-control"] == "public, max-age=300"

    # Comments answer each other; one sent twice with a key is there once; readers take back their own.
    first = created(rob.post("/api/v1/comments", json={"post_id": post["id"], "text": "Well said."}, headers={"idempotency-key": "a-comment"}))
    again = rob.post("/api/v1/comments", json={"post_id": post["id"], "text": "Well said."}, headers={"idempotency-key": "a-comment"})
    assert created(again) == first and again.headers["idempotency-replayed"] == "true"
    reply = created(ada.post("/api/v1/comments", json={"post_id": post["id"], "parent_id": first["id"], "text": "Thank you."}))
    problem(anyone.post("/api/v1/comments", json={"post_id": post["id"], "text": "Spam."}), 401)
    seen, url = [], f"/api/v1/comments?post_id={post['id']}&page_size=1&cursor="
    while url:
        page = anyone.get(url).json()
        seen, url = seen + [c["id"] for c in page["results"]], page["next"]
    assert seen == [first["id"], reply["id"]]
    problem(rob.delete(f"/api/v1/comments/{reply['id']}"), 404)
    assert edith.delete(f"/api/v1/comments/{reply['id']}").status_code == 204
    assert anyone.get(f"/api/v1/comments?post_id={post['id']}&count=exact").json()["count"] == 1

    # Bookmarks are private.
    mark = created(rob.post("/api/v1/bookmarks", json={"post_id": post["id"], "note": "For the train."}))
    problem(ada.get(f"/api/v1/bookmarks/{mark['id']}"), 404)
    problem(anyone.get("/api/v1/bookmarks"), 401)
    assert ada.get("/api/v1/bookmarks").json()["count"] == 0

    # A post that others refer to stays; one alone goes, and is hidden only.
    problem(ada.delete(path, headers={"if-match": tag}), 409, "in_use")
    answer = ada.post("/api/v1/posts", json={**text, "slug": "a-second"})
    second = created(answer)
    assert ada.delete(f"/api/v1/posts/{second['id']}", headers={"if-match": answer.headers["etag"]}).status_code == 204
    problem(anyone.get(f"/api/v1/posts/{second['id']}"), 404)
    assert anyone.get("/api/v1/posts").json()["count"] == 1


def test_the_commands_of_the_readme_do_what_it_says(shop):
    script = next(block for block in re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S) if "/auth/register" in block)
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script.replace("localhost:8080", f"127.0.0.1:{shop.port}")], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"username":"john"') == 2 and "HTTP/1.1 201 Created" in done.stdout and '"title":"Laptop"' in done.stdout
    assert done.stdout.rstrip().endswith('"results":[]}') and "problems" not in done.stdout
