"""h2spec judges HTTP/2: its generic, http2 and hpack sections in strict mode, in the clear and over TLS. Every test passes but those named here."""
import re
import subprocess

import pytest
from servers import ROOT

H2SPEC = ROOT / "build-extra" / "bin" / "h2spec"
TESTS = 147

# nghttp2 takes a stream identifier below the last one for a closed stream, and answers what comes on it so.
BY_DESIGN = {"Sends stream identifier that is numerically smaller than previous"}
# In the clear, HTTP/1.1 is spoken at the same port: what is no preface of HTTP/2 is a bad request of HTTP/1.1 and answered as one before the connection is closed.
BY_HTTP1 = {"Sends invalid connection preface"}

pytestmark = pytest.mark.skipif(not H2SPEC.exists(), reason="h2spec could not be installed; tools/install-extra says why")


def judge(port, *options):
    done = subprocess.run([H2SPEC, "generic", "http2", "hpack", "--strict", "-h", "127.0.0.1", "-p", str(port), "-P", "/nowhere", "-o", "3", *options], capture_output=True, text=True, timeout=600, check=False)
    text = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    failed = set(re.findall(r"× \d+: (.*)", text))
    counts = re.search(r"(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed", text)
    assert counts, text[-3000:] + done.stderr
    return failed, tuple(map(int, counts.groups())), text


def test_http2_in_the_clear(serve):
    failed, counts, text = judge(serve({}).port)
    assert failed == BY_DESIGN | BY_HTTP1, text[-6000:]
    assert counts == (TESTS, TESTS - 2, 0, 2)


def test_http2_over_tls(serve, tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"], check=True, capture_output=True)
    (tmp_path / "key.pem").chmod(0o600)
    certificate = {"certificate": str(tmp_path / "cert.pem"), "key": str(tmp_path / "key.pem")}
    server = serve({"server": {"listen": [{"address": "127.0.0.1:0", "tls": True}], "tls": {"certificates": [certificate]}}}, program=("serve", "definition.json"))
    failed, counts, text = judge(server.port, "-t", "-k")
    assert failed == BY_DESIGN, text[-6000:]
    assert counts == (TESTS, TESTS - 1, 0, 1)
