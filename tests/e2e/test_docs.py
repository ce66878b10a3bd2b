"""The documents say what the program does: the reference is made from it, and every example definition in them is accepted."""
import json
import re
import shutil
import subprocess

import pytest
from servers import BINARY, ROOT

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def test_the_reference_page_is_what_the_program_says():
    done = subprocess.run([ROOT / "tools" / "make-reference", "--check", BINARY], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def examples():
    for page in PAGES:
        if page.name == "internet.md":
            continue  # it names files of a whole machine: test_internet.py runs it
        for number, block in enumerate(re.findall(r"^```json\n(.*?)^```", page.read_text(), re.M | re.S)):
            yield pytest.param(block, id=f"{page.name}-{number}")


@pytest.mark.parametrize("block", examples())
def test_examples_in_the_documents_are_valid_json_and_definitions_are_accepted(block, tmp_path):
    document = json.loads(block)
    if not isinstance(document, dict) or not {"models", "resources", "apis"} & set(document):
        return
    path = tmp_path / "example.json"
    path.write_text(block)
    done = subprocess.run([BINARY, "check", str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_the_handlers_that_are_shown_compile(tmp_path):
    if not shutil.which("cc"):
        pytest.skip("there is no compiler")
    blocks = re.findall(r"^```c\n(.*?)^```", (ROOT / "docs" / "websocket.md").read_text(), re.M | re.S)
    (tmp_path / "shown.c").write_text('#include "exchange/sse.h"\n#include "exchange/websocket.h"\n' + "\n".join(blocks))
    words = ["cc", "-std=gnu17", "-Wall", "-Wno-unused", "-Werror", "-fsyntax-only", f"-I{ROOT / 'src'}", f"-I{ROOT / 'include'}", str(tmp_path / "shown.c")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_the_bound_struct_that_is_shown_compiles_as_c99(tmp_path):
    if not shutil.which("cc"):
        pytest.skip("there is no compiler")
    blocks = re.findall(r"^```c\n(.*?)^```", (ROOT / "docs" / "client" / "models.md").read_text(), re.M | re.S)
    assert blocks
    (tmp_path / "shown.c").write_text("\n".join(blocks))
    words = ["cc", "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{ROOT / 'include'}", str(tmp_path / "shown.c")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def anchors(page):
    """Of its headings, as GitHub makes them."""
    titles = re.findall(r"^#+ +(.*)$", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_links_between_the_documents_lead_somewhere():
    for page in [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "src" / "README.md"]:
        for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text()):
            leads_to = page.parent / target if target else page
            assert leads_to.exists(), f"{page.name} links to {target}"
            assert not anchor or anchor in anchors(leads_to), f"{page.name} links to {target}#{anchor}"


def test_every_endpoint_path_of_the_example_is_in_its_openapi_document():
    document = json.loads(subprocess.run([BINARY, "openapi", str(ROOT / "examples" / "shop.json")], capture_output=True, text=True, timeout=60, check=True).stdout)
    resources = json.loads((ROOT / "examples" / "shop.json").read_text())["resources"]
    for name in resources:
        assert set(document["paths"][f"/api/v1/{name}"]) >= {"get", "post"}
        assert set(document["paths"][f"/api/v1/{name}/{{id}}"]) >= {"get", "put", "patch", "delete"}
