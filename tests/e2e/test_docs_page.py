"""/docs: served from the binary alone, closed to other origins, and usable in a browser, on a phone too."""
import gzip
import json
import re

import pytest
from browser import browser  # noqa: F401
from servers import PASSWORD, ROOT, Client, problem, register

# How a page can make a browser ask another origin: markup, styles, scripts.
OUTSIDE = re.compile(r"""(?:(?:src|href|action|poster)\s*=\s*["']?|url\(\s*["']?|@import\s+["']?|fetch\(\s*["'`]|import\(?\s*["'])(?:https?:)?//""", re.I)


@pytest.fixture
def blog(serve, tmp_path):
    return serve(ROOT / "examples" / "blog.json", "--store", f"sqlite:{tmp_path / 'blog.db'}")


def assets(page):
    found = re.findall(r'(?:src|href)="(/docs/assets/[0-9a-f]{12}/[\w.-]+)"', page)
    assert {path.rsplit("/", 1)[1] for path in found} == {"swagger-ui.css", "docs.css", "swagger-ui-bundle.js", "docs.js"}
    return found


def test_the_page_and_its_assets_are_served_with_their_types(shop):
    client = Client(shop)
    page = client.get("/docs")
    assert page.status_code == 200 and page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-cache"
    for path in assets(page.text):
        answer = client.get(path)
        assert answer.status_code == 200 and answer.content
        assert answer.headers["content-type"] == ("text/css" if path.endswith(".css") else "text/javascript") + "; charset=utf-8"
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert "Apache License" in client.get(assets(page.text)[0].rsplit("/", 1)[0] + "/licenses.txt").text


def test_the_policy_lets_the_page_ask_its_own_origin_alone(shop):
    policy = dict(part.strip().split(" ", 1) for part in Client(shop).get("/docs").headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in str(policy) and "http" not in str(policy)


def test_nothing_of_the_page_leads_to_another_origin(shop):
    client = Client(shop)
    page = client.get("/docs").text
    assert not OUTSIDE.search(page)
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=", page), "the policy would refuse it"
    for path in assets(page):
        if not path.endswith("swagger-ui-bundle.js"):  # a library of 1.5 MB that names many addresses; the browser test sees what it asks for
            assert not OUTSIDE.search(client.get(path).text), path


def test_assets_are_compressed_for_whoever_takes_it(shop):
    client = Client(shop)
    for path in ["/docs", "/openapi.json", *assets(client.get("/docs").text)]:
        plain = client.get(path, headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers and "accept-encoding" in plain.headers["vary"].lower()
        packed = client.get(path, headers={"accept-encoding": "br, gzip"}, stream=True)
        raw = packed.raw.read(decode_content=False)
        assert packed.headers["content-encoding"] == "gzip" and len(raw) < len(plain.content)
        assert gzip.decompress(raw) == plain.content


def test_assets_have_entity_tags(shop):
    client = Client(shop)
    for path in ["/docs", "/openapi.json", *assets(client.get("/docs").text)]:
        first = client.get(path)
        again = client.get(path, headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
        assert client.get(path, headers={"if-none-match": '"another"'}).status_code == 200
        assert client.head(path).headers["etag"] == first.headers["etag"]


def test_the_servers_address_and_a_slash_too_many_lead_to_the_page(shop):
    for path in ("/", "/docs/"):
        answer = Client(shop).get(path, allow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (302, "/docs")
    assert Client(shop).get("/").url.endswith("/docs")


def test_the_page_can_be_switched_off(serve):
    server = serve({"server": {"docs": False, "store": "sqlite:x.db"}})
    for path in ("/", "/docs", "/docs/", "/openapi.json"):
        problem(Client(server).get(path), 404, "not_found")


OPERATION = """document.querySelector('.opblock[id^="operations-%s-"][id$="%s"]')"""


def open_operation(browser, tag, name):
    at = OPERATION % (tag, name)
    browser.wait(at)
    browser.evaluate(f"{at}.querySelector('.opblock-summary-control').click()")
    browser.wait(f"{at}.querySelector('button.execute')")
    return at


def execute(browser, at):
    """Presses Execute; the status that the page shows, and the body."""
    browser.evaluate(f"{at}.querySelector('button.execute').click()")
    status = browser.wait(f"{at}.querySelector('.live-responses-table tbody .response-col_status')?.innerText")
    return int(status.split()[0]), browser.wait(f"{at}.querySelector('.live-responses-table .highlight-code')?.innerText")


def log_in(browser, name, password):
    browser.wait("document.querySelector('#login:not([hidden])')")
    browser.evaluate(f"""{{ const form = document.querySelector('#login'); form.username.value = {json.dumps(name)}; form.password.value = {json.dumps(password)};
                           form.requestSubmit(); }}""")


def test_a_person_logs_in_and_tries_operations_out(blog, browser):
    register(blog, "rob")
    browser.look_like(1280, 900)
    browser.go(blog.url + "/")
    assert browser.evaluate("document.title") in ("API reference", "Blog: API reference")
    at = open_operation(browser, "bookmarks", "list")
    assert browser.evaluate("document.title") == "Blog: API reference"
    assert execute(browser, at)[0] == 401
    log_in(browser, "rob", "not the password")
    assert "Login failed" in browser.wait("document.querySelector('#notice:not([hidden])')?.textContent")
    assert browser.complaints and all("401" in c for c in browser.complaints), browser.complaints
    browser.complaints.clear()
    log_in(browser, "rob", PASSWORD)
    assert browser.wait("document.querySelector('#who:not([hidden])')?.innerText").startswith("Logged in as rob")
    status, body = execute(browser, open_operation(browser, "auth", "me"))
    assert status == 200 and '"rob"' in body
    browser.evaluate("document.querySelector('#logout').click()")
    browser.wait("document.querySelector('#login:not([hidden])')")
    assert [u for u in browser.requests if not u.startswith((blog.url + "/", "data:"))] == []
    assert browser.complaints == []
    assert browser.evaluate("localStorage.length + sessionStorage.length + document.cookie.length") == 0


def test_filters_that_compare_are_folded_away_until_asked_for(blog, browser):
    browser.look_like(1280, 900)
    browser.go(blog.url + "/docs")
    at = open_operation(browser, "posts", "list")
    names = f"[...{at}.querySelectorAll('tr[data-param-name]')].map((row) => row.dataset.paramName)"
    browser.wait(f"{names}.includes('published_at')")  # the page fills its table after the button is there
    assert {"page", "sort", "expand", "title", "published_at"} <= set(browser.evaluate(names))
    assert not {"min_published_at", "title[like]"} & set(browser.evaluate(names))
    browser.evaluate(f"{at}.querySelector('.more-filters').click()")
    browser.wait(f"{names}.includes('title[like]')")
    assert "min_published_at" in browser.evaluate(names)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone_and_follows_its_colours(blog, browser, scheme):
    browser.look_like(390, 844, scheme)
    browser.go(blog.url + "/docs")
    at = open_operation(browser, "comments", "list")
    assert execute(browser, at)[0] == 200
    assert browser.evaluate("document.documentElement.scrollWidth") <= 390
    red, green, blue = map(int, re.findall(r"\d+", browser.evaluate("getComputedStyle(document.querySelector('#reference .swagger-ui')).backgroundColor"))[:3])
    assert (red + green + blue < 200) == (scheme == "dark")
    assert browser.evaluate("Math.min(...[...document.querySelectorAll('#login input, #reference input')].filter((i) => i.offsetParent).map((i) => parseFloat(getComputedStyle(i).fontSize)))") >= 16
    assert browser.complaints == []
