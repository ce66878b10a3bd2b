"""docs/internet.md does what it says: its definition serves, its deploy hook brings a renewed certificate in, and likely mistakes are told with a way out."""
import json
import os
import re
import shutil
import socket
import ssl
import subprocess

import pytest
from servers import BINARY, ROOT
from test_edge import EdgeServer

PAGE = (ROOT / "docs" / "internet.md").read_text()
NAME = "api.example.com"
MOVED = ("/etc/duplex", "/var/lib/acme", "/var/lib/duplex")


def words(*command, **more):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60, check=False, **more)


def block(language, after):
    """The first block of a language behind a piece of the page."""
    return re.search(rf"```{language}\n(.*?)```", PAGE[PAGE.index(after):], re.S).group(1)


def test_the_page_shows_the_packaged_definition():
    assert block("json", "## The definition") == (ROOT / "packaging" / "api.json").read_text()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def start(folder, definition):
    """A redirect must know where it leads, so the system can't pick this port when the server starts: when another has taken it meanwhile, it is tried anew."""
    for left in range(9, -1, -1):
        (folder / "etc/duplex/api.json").write_text(definition.replace("*:443", f"127.0.0.1:{free_port()}").replace("*:80", "127.0.0.1:0"))
        try:
            return EdgeServer(folder, folder / "etc/duplex/api.json")
        except RuntimeError as error:
            if not left or "another program is listening" not in str(error):
                raise
            (folder / "log").unlink()


@pytest.fixture
def site(tmp_path):
    """The page's server, in a folder in place of the machine's, at ports that are free."""
    challenge = tmp_path / "var/lib/acme/.well-known/acme-challenge"
    for folder in (challenge, tmp_path / "var/lib/duplex", tmp_path / "etc/duplex/tls"):
        folder.mkdir(parents=True)
    assert words(BINARY, "cert", "self-signed", "--out", tmp_path / "etc/duplex/tls", NAME).returncode == 0
    (challenge / "token").write_text("token.proof")
    text = block("json", "## The definition")
    for place in MOVED:
        text = text.replace(place, f"{tmp_path}{place}")
    server = start(tmp_path, text)
    yield server
    assert server.stop() == 0


def curl(server, url, *more):
    ports = [word for index in (0, 1) for word in ("--resolve", f"{NAME}:{server.where(index)[1]}:127.0.0.1")]
    done = words("curl", "-sSi", "-m", "30", "--cacert", server.folder / "etc/duplex/tls/certificate.pem", *ports, *more, url)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_s_definition_serves_redirects_and_proves_the_name(site):
    secure, clear = (f"{scheme}://{NAME}:{site.where(index)[1]}" for index, scheme in enumerate(("https", "http")))
    answer = curl(site, secure + "/api/v1/posts")
    assert answer.startswith("HTTP/2 200") and "strict-transport-security: max-age=31536000" in answer and '"count":0' in answer
    answer = curl(site, clear + "/api/v1/posts?page=1")
    assert answer.startswith("HTTP/1.1 308") and f"location: {secure}/api/v1/posts?page=1" in answer
    assert curl(site, clear + "/.well-known/acme-challenge/token", "-L").endswith("\n\ntoken.proof")
    assert curl(site, secure + "/auth/register", "-d", "{}", "-H", "content-type: application/json").startswith(("HTTP/2 403", "HTTP/2 404"))
    assert not [r for r in site.events() if r["level"] in ("warn", "error") and r["event"] != "running_as_root"]


def presented(server):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(server.where(0)) as sock, context.wrap_socket(sock, server_hostname=NAME) as tls:
        return ssl.DER_cert_to_PEM_cert(tls.getpeercert(True))


def test_the_page_s_deploy_hook_brings_a_renewed_certificate_in_and_a_wrong_pair_changes_nothing(site):
    lineage = site.folder / "live"
    assert words(BINARY, "cert", "self-signed", "--out", lineage, NAME).returncode == 0
    shutil.copy(lineage / "certificate.pem", lineage / "fullchain.pem")
    shutil.copy(lineage / "key.pem", lineage / "privkey.pem")
    hook = block("sh", "## A certificate from an authority").replace("/etc/duplex", f"{site.folder}/etc/duplex").replace("-g duplex ", "")
    (site.folder / "hook").write_text(hook)
    (site.folder / "bin").mkdir()
    (site.folder / "bin/duplex").symlink_to(os.path.abspath(BINARY))
    env = dict(os.environ, PATH=f"{site.folder}/bin:{os.environ['PATH']}", RENEWED_LINEAGE=str(lineage))
    before, renewed = presented(site), (lineage / "fullchain.pem").read_text()
    assert before != renewed
    done = words("sh", site.folder / "hook", env=env)
    assert done.returncode == 0, done.stderr
    assert presented(site) == renewed
    (lineage / "fullchain.pem").write_text(before)
    done = words("sh", site.folder / "hook", env=env)
    assert done.returncode == 3 and "is not that of the certificate" in done.stderr
    assert presented(site) == renewed


TLS = {"address": "127.0.0.1:0", "tls": True}
PAIR = {"certificate": "certificate.pem", "key": "key.pem"}
MISTAKES = {
    "a certificate that is not there": ({"listen": [TLS], "tls": {"certificates": [{**PAIR, "certificate": "fullchain.pem"}]}}, "certificates/0/certificate", "there is no such file", "relative"),
    "a key of another certificate": ({"listen": [TLS], "tls": {"certificates": [{**PAIR, "key": "other/key.pem"}]}}, "certificates/0/key", "is not that of the certificate", "give the key"),
    "key and certificate swapped": ({"listen": [TLS], "tls": {"certificates": [{"certificate": "key.pem", "key": "certificate.pem"}]}}, "wrong way round"),
    "TLS without a certificate": ({"listen": [TLS]}, "/server/listen/0", "duplex cert self-signed"),
    "a certificate without TLS": ({"tls": {"certificates": [PAIR]}}, '"tls": true'),
    "a redirect without TLS": ({"listen": [{"address": "127.0.0.1:0", "redirect": "https"}]}, "leads nowhere", '"tls": true'),
    "a redirect that is no word": ({"listen": [{"address": "127.0.0.1:0", "redirect": True}]}, "/server/listen/0/redirect", 'write "https"'),
    "a redirect to nothing that is known": ({"listen": [{"address": "127.0.0.1:0", "redirect": "http"}]}, 'write "https"'),
    "an object where a list stands": ({"listen": {"address": "127.0.0.1:0"}}, "/server/listen", 'write [{"address":"*:443","tls":true}'),
    "certificates that are no list": ({"tls": {"certificates": PAIR}}, 'write [{"certificate":"certificate.pem","key":"key.pem"}]'),
    "seconds without a unit": ({"hsts": {"max_age": 31536000}}, 'write "365d"'),
    "a setting that is none": ({"lisen": "127.0.0.1:0"}, 'did you mean "listen"'),
    "development mode in public": ({"listen": "0.0.0.0:0", "mode": "development"}, "/server/mode", "127.0.0.1"),
    "a host's name": ({"listen": "example.com:443"}, "names are not looked up", "*:"),
    "a port alone": ({"listen": ":8080"}, "*:8080"),
    "a store in a folder that is not there": ({"listen": "127.0.0.1:0", "store": "sqlite:data/api.db"}, "data/api.db.key", "make the folder", "server.store"),
    "a socket in a folder that is not there": ({"listen": "unix:run/api.sock"}, "unix:run/api.sock", "the folder does not exist"),
    "a user who is not there": ({"listen": "127.0.0.1:0", "user": "nobody-of-this-name"}, "/server/user", "useradd"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_likely_mistake_is_told_with_its_way_out(name, tmp_path):
    server, *said = MISTAKES[name]
    for folder in (".", "other"):
        assert words(BINARY, "cert", "self-signed", "--out", tmp_path / folder).returncode == 0
    (tmp_path / "api.json").write_text(json.dumps({"server": server}))
    done = words(BINARY, "serve", "api.json", cwd=tmp_path)
    assert done.returncode in (1, 3) and done.stdout == ""
    for part in said:
        assert part in done.stderr, done.stderr


def test_a_port_that_is_taken_is_told(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        (tmp_path / "api.json").write_text(json.dumps({"server": {"listen": f"127.0.0.1:{taken.getsockname()[1]}", "store": "sqlite::memory:"}}))
        done = words(BINARY, "serve", "api.json", cwd=tmp_path)
    assert done.returncode == 1 and "another program is listening there" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_what_a_user_without_rights_may_not_do_is_told(tmp_path):
    tmp_path.chmod(0o755)
    for parent in list(tmp_path.parents)[:2]:
        parent.chmod(0o755)
    assert words(BINARY, "cert", "self-signed", cwd=tmp_path).returncode == 0
    for server, said in (({"listen": [TLS], "tls": {"certificates": [PAIR]}}, "cannot read key.pem: permission is denied"),
                         ({"listen": "127.0.0.1:0"}, "let the user that duplex runs as write to the folder")):
        (tmp_path / "api.json").write_text(json.dumps({"server": server}))
        done = words(BINARY, "serve", "api.json", cwd=tmp_path, user=65534, group=65534, extra_groups=[])
        assert done.returncode == 3 and said in done.stderr, done.stderr
