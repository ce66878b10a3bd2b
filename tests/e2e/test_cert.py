"""`duplex cert` makes certificates that clients of others take, leaves what is there alone, and shows what a file holds."""
import hashlib
import json
import os
import re
import ssl
import subprocess

import pytest
from servers import BINARY


def cert(*words, folder):
    return subprocess.run([BINARY, "cert", *words], capture_output=True, text=True, timeout=60, check=False, cwd=folder)


def openssl(*words, folder):
    return subprocess.run(["openssl", *words], capture_output=True, text=True, timeout=60, check=True, cwd=folder).stdout


def test_self_signed_without_a_word_is_for_this_machine(tmp_path):
    done = cert("self-signed", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    text = openssl("x509", "-in", "certificate.pem", "-noout", "-text", folder=tmp_path)
    assert "DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1" in text
    assert "ASN1 OID: prime256v1" in text and "TLS Web Server Authentication" in text and "CA:FALSE" in text
    assert openssl("verify", "-CAfile", "certificate.pem", "certificate.pem", folder=tmp_path).endswith(": OK\n")
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    assert sorted(os.listdir(tmp_path)) == ["certificate.pem", "key.pem"]


def test_names_days_and_folder_are_as_asked_and_the_definition_is_told(tmp_path):
    done = cert("self-signed", "--out", "tls/", "--days=7", "shop.localhost", "*.shop.localhost", "192.0.2.7", "2001:db8::1", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    text = openssl("x509", "-in", "tls/certificate.pem", "-noout", "-text", folder=tmp_path)
    assert "DNS:shop.localhost, DNS:*.shop.localhost, IP Address:192.0.2.7, IP Address:2001:DB8:0:0:0:0:0:1" in text
    told = re.search(r'"server": (\{.*?\n  \})', done.stdout, re.S).group(1)
    definition = tmp_path / "d.json"
    definition.write_text(json.dumps({"resources": {}, "server": json.loads(told)}))
    checked = subprocess.run([BINARY, "check", str(definition)], capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "expires in" in checked.stderr  # within 14 days
    assert "https://shop.localhost:8443/" in done.stdout  # a name that it is for


def test_what_is_there_is_left_alone_but_by_force(tmp_path):
    assert cert("self-signed", folder=tmp_path).returncode == 0
    before = (tmp_path / "key.pem").read_bytes()
    done = cert("self-signed", folder=tmp_path)
    assert done.returncode == 3 and "key.pem is there already; --force replaces it" in done.stderr
    (tmp_path / "key.pem").rename(tmp_path / "kept.pem")
    done = cert("self-signed", folder=tmp_path)
    assert done.returncode == 3 and "certificate.pem is there already" in done.stderr and not (tmp_path / "key.pem").exists()
    (tmp_path / "kept.pem").rename(tmp_path / "key.pem")
    assert cert("self-signed", "--force", folder=tmp_path).returncode == 0
    assert (tmp_path / "key.pem").read_bytes() != before
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600
    assert sorted(os.listdir(tmp_path)) == ["certificate.pem", "key.pem"]


@pytest.mark.parametrize(("words", "told"), [((), "expected an action"), (("shw",), 'did you mean "show"?'), (("self-signed", "--days", "0"), "from 1 to 3650"),
                                             (("self-signed", "--days", "3651"), "from 1 to 3650"), (("self-signed", "a..b"), '"a..b" is neither'),
                                             (("self-signed", "1.2.3.999"), "neither a host name nor"), (("self-signed", "a*.b"), "neither"),
                                             (("self-signed", *(f"h{i}" for i in range(101))), "at most 100 names"), (("show",), "expected one file"),
                                             (("show", "--force", "x"), "takes no options")])
def test_wrong_words_are_told(tmp_path, words, told):
    done = cert(*words, folder=tmp_path)
    assert done.returncode == 2 and told in done.stderr and "--help" in done.stderr
    assert not os.listdir(tmp_path)


def test_a_folder_that_cannot_be_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    done = cert("self-signed", "--out", "file/tls", folder=tmp_path)
    assert done.returncode == 1 and "file/tls: Not a directory" in done.stderr


def test_show_tells_names_validity_key_and_fingerprint(tmp_path):
    assert cert("self-signed", "a.test", "10.0.0.1", folder=tmp_path).returncode == 0
    pem = (tmp_path / "certificate.pem").read_text()
    (tmp_path / "two.pem").write_text(pem + pem)
    done = cert("show", "two.pem", folder=tmp_path)
    assert done.returncode == 0 and done.stdout.count("certificate ") == 2
    assert "names       a.test, 10.0.0.1\n" in done.stdout and "ECDSA P-256" in done.stdout
    assert "(365 days left)" in done.stdout or "(364 days left)" in done.stdout  # whole days: a second may have passed since it was made
    assert hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest() in done.stdout


@pytest.mark.parametrize(("text", "told"), [("hello\n", "PEM form"), ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "PEM form"),
                                            ("", "PEM form"), (None, "more than 1 MiB")])
def test_show_refuses_what_holds_no_certificate(tmp_path, text, told):
    (tmp_path / "x.pem").write_text("x" * ((1 << 20) + 1) if text is None else text)
    done = cert("show", "x.pem", folder=tmp_path)
    assert done.returncode == 1 and told in done.stderr and done.stdout == ""
    assert "nope.pem: No such file" in cert("show", "nope.pem", folder=tmp_path).stderr
