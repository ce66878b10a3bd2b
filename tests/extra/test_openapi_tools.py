"""What public tools say of the API: the OpenAPI document is valid, and the server answers as the document says."""
import subprocess

from servers import BINARY, ROOT, PASSWORD, login, register

TOOLS = ROOT / "build-extra" / "venv" / "bin"


def test_the_openapi_document_is_valid(tmp_path):
    document = tmp_path / "openapi.json"
    document.write_text(subprocess.run([BINARY, "openapi", str(ROOT / "examples" / "shop.json")], capture_output=True, text=True, timeout=60, check=True).stdout)
    done = subprocess.run([TOOLS / "openapi-spec-validator", "--schema", "3.1.0", str(document)], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_generated_requests_are_answered_as_documented(shop):
    register(shop, "john")
    token = login(shop, "john", PASSWORD)["access_token"]
    # A stream of changes never ends, and what is waited for is an end.
    done = subprocess.run([TOOLS / "schemathesis", "run", f"{shop.url}/openapi.json", "--experimental=openapi-3.1", "-H", f"Authorization: Bearer {token}", "--exclude-path-regex", "logout|password|changes$",
                           "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
                           "--hypothesis-max-examples", "30", "--hypothesis-derandomize", "--hypothesis-suppress-health-check", "all"], capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
