"""What the README's first screen promises, typed as a user would type it: curl and jq."""
import json
import subprocess

from servers import BINARY, ROOT


def sh(server, script):
    """Runs a script with the example's address replaced by the server's."""
    script = script.replace("http://localhost:8080", server.url).replace("localhost:8080", f"127.0.0.1:{server.port}")
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


REGISTER = """curl -s localhost:8080/auth/register -d '{"username":"john","email":"john@example.com","password":"correct horse battery"}' -H 'content-type: application/json'"""
LOGIN = """TOKEN=$(curl -s localhost:8080/auth/login -d 'username=john&password=correct horse battery' | jq -r .access_token)\n"""


def test_register_login_me_and_create_with_curl(shop):
    account = json.loads(sh(shop, REGISTER))
    assert account["username"] == "john" and "password" not in json.dumps(account)
    me = json.loads(sh(shop, LOGIN + """curl -s localhost:8080/auth/me -H "authorization: Bearer $TOKEN" """))
    assert (me["username"], me["email"]) == ("john", "john@example.com")
    created = sh(shop, LOGIN + """curl -si localhost:8080/api/v1/items -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' -d '{"title":"Laptop","price":999.99}'""")
    head, body = created.replace("\r\n", "\n").split("\n\n", 1)
    fields = {line.split(":", 1)[0].lower(): line.split(":", 1)[1].strip() for line in head.splitlines()[1:]}
    item = json.loads(body)
    assert head.startswith("HTTP/1.1 201 ")
    assert fields["location"] == f"/api/v1/items/{item['id']}"
    assert fields["etag"].startswith('"')
    assert (item["title"], item["price"]) == ("Laptop", 999.99)


def test_changes_are_followed_with_curl(shop):
    sh(shop, REGISTER.replace("john", "mary"))
    script = LOGIN.replace("john", "mary") + """
    post() { curl -s localhost:8080/api/v1/items -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' -d '{"title":"Laptop","price":999.99}'; }
    post > /dev/null
    (curl -sN localhost:8080/api/v1/items/changes -H "authorization: Bearer $TOKEN" -H 'last-event-id: 0' || true) | grep -m 1 '^data: .*Laptop'"""
    assert json.loads(sh(shop, script).removeprefix("data: "))["row"]["title"] == "Laptop"


def test_the_products_query_of_the_readme(shop):
    answer = json.loads(sh(shop, """curl -s 'localhost:8080/api/v1/products?category=electronics&min_price=100&max_price=1000&sort=-price&page=2&page_size=20'"""))
    assert set(answer) == {"count", "next", "previous", "results"}


def test_openapi_and_docs_are_there(shop):
    document = json.loads(sh(shop, "curl -s localhost:8080/openapi.json"))
    assert document["openapi"].startswith("3.1")
    assert "/api/v1/items" in document["paths"] and "/auth/login" in document["paths"]
    page = sh(shop, "curl -s http://localhost:8080/docs")
    assert "<html" in page.lower() and "https://" not in page.split("</head>")[0]


def test_every_command_has_help_with_an_example():
    for command in ("serve", "check", "openapi", "schema", "users"):
        done = subprocess.run([BINARY, command, "--help"], capture_output=True, text=True, timeout=60, check=True)
        assert done.stdout.startswith(f"Usage: duplex {command}") and "Example" in done.stdout


def test_wrong_usage_exits_2_and_says_where_help_is():
    for words in ([], ["serv"], ["serve"], ["serve", "--lisen", "x"], ["check", "a", "b"], ["serve", "x", "--workers", "many"]):
        done = subprocess.run([BINARY, *words], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 2, (words, done)
        assert "help" in done.stderr
    assert 'did you mean "serve"' in subprocess.run([BINARY, "serv"], capture_output=True, text=True, timeout=60, check=False).stderr


def test_check_accepts_the_example_and_schema_describes_it():
    example = ROOT / "examples" / "shop.json"
    assert subprocess.run([BINARY, "check", str(example)], timeout=60, check=False).returncode == 0
    import jsonschema

    schema = json.loads(subprocess.run([BINARY, "schema"], capture_output=True, text=True, timeout=60, check=True).stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(json.loads(example.read_text()))
