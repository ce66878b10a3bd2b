"""Accounts and tokens, as those meet them who mean harm."""
import base64
import concurrent.futures
import hashlib
import hmac
import json
import signal
import socket
import sqlite3
import stat
import subprocess
import threading
import time

import jwt
import pytest
from servers import BINARY, PASSWORD, Client, login, problem, register

SECRET = "Kq8v-Zt3w_Rb6x.Lm2y~Pd9s+Gh4j=Nc7f"
CHEAP = {"memory_kib": 64, "passes": 1, "lanes": 1}
DEFINITION = {
    "server": {"store": "sqlite:test.db", "workers": 2},
    "identity": {"secret": SECRET, "password": {"cost": CHEAP}},
    "models": {"Note": {"type": "object", "properties": {"text": {"type": "string"}}}},
    "resources": {"notes": {"model": "Note", "owner": True}},
}


def definition(**identity):
    return dict(DEFINITION, identity={**DEFINITION["identity"], **identity})


@pytest.fixture
def server(serve):
    return serve(DEFINITION)


def users(server, *words, password=None):
    return subprocess.run([BINARY, "users", *words, "--store", f"sqlite:{server.folder}/test.db"], input=password, capture_output=True, timeout=60, check=False)


def me(server, token):
    return Client(server, token).get("/auth/me").status_code


def raw_status(server, *lines):
    with socket.create_connection((server.host, server.port), timeout=30) as connection:
        connection.sendall("\r\n".join((*lines, "connection: close", "", "")).encode())
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return int(answer.split(b" ", 2)[1])


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(header, claims, secret=SECRET):
    """A token with any bytes for header and claims, and a good signature."""
    parts = ".".join(b64(part if isinstance(part, bytes) else json.dumps(part).encode()) for part in (header, claims))
    return parts + "." + b64(hmac.new(secret.encode(), parts.encode(), hashlib.sha256).digest())


# --- tokens ---------------------------------------------------------------------------------------------------------------


def test_a_signed_token_is_still_refused_for_its_header_or_its_claims(server):
    register(server, "john")
    token = login(server, "john")["access_token"]
    header, claims = jwt.get_unverified_header(token), jwt.decode(token, SECRET, algorithms=["HS256"])
    assert me(server, sign(header, claims)) == 200
    bad = [
        (dict(header, crit=["b64"], b64=False), claims),
        (dict(header, crit=[]), claims),
        (dict(header, alg="hs256"), claims),
        (dict(header, alg="none"), claims),
        (dict(header, alg=["HS256"]), claims),
        (b'{"alg":"none","alg":"HS256"}', claims),
        (b"[]", claims),
        (header, dict(claims, type="refresh")),
        (header, dict(claims, exp=str(claims["exp"]))),
        (header, {k: v for k, v in claims.items() if k != "exp"}),
        (header, dict(claims, nbf=claims["exp"])),
        (header, dict(claims, sub=1)),
        (header, dict(claims, sub="2")),
        (header, dict(claims, sid="x" * 36)),
        (header, json.dumps(claims).replace("{", '{"sub":"1",', 1).encode()),
    ]
    for tampered_header, tampered_claims in bad:
        assert me(server, sign(tampered_header, tampered_claims)) == 401, (tampered_header, tampered_claims)
    embedded = dict(header, jwk={"kty": "oct", "k": b64(b"x" * 32)})
    assert me(server, sign(embedded, claims, "x" * 32)) == 401


def test_a_token_has_one_spelling(server):
    register(server, "john")
    token = login(server, "john")["access_token"]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert [c for c in alphabet if me(server, token[:-1] + c) == 200] == [token[-1]]
    for other in (token + "=", token + ".", token + ".x", token.replace(".", "=.", 1), "a." * 8000, token[:-1]):
        assert me(server, other) == 401, other


def test_two_authorization_fields_are_refused(server):
    register(server, "john")
    good = "authorization: Bearer " + login(server, "john")["access_token"]
    head = ("GET /auth/me HTTP/1.1", "host: x")
    assert raw_status(server, *head, good) == 200
    for second in (good, "authorization: Bearer x", "authorization: Basic eDp5"):
        assert raw_status(server, *head, good, second) == 401
        assert raw_status(server, *head, second, good) == 401
