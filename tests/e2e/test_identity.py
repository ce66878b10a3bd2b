"""Accounts and tokens, as clients meet them; tokens are read by PyJWT."""
import json
import stat
import subprocess

import jwt
import pytest
from servers import BINARY, PASSWORD, Client, login, member, problem, register
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

DEFINITION = {
    "server": {"store": "sqlite:test.db"},
    "identity": {},
    "models": {"Note": {"type": "object", "properties": {"text": {"type": "string"}}}},
    "resources": {
        "notes": {"model": "Note", "owner": True},
        "notices": {"model": "Note", "access": {"read": "public", "write": {"roles": ["admin"]}}},
    },
}
SECRET = "Kq8v-Zt3w_Rb6x.Lm2y~Pd9s+Gh4j=Nc7f"


@pytest.fixture
def server(serve):
    return serve(DEFINITION)


def users(server, *words, password=None):
    return subprocess.run([BINARY, "users", *words, "--store", f"sqlite:{server.folder}/test.db"], input=password, capture_output=True, text=True, timeout=60, check=False)


def test_without_the_section_there_are_no_accounts(serve):
    client = Client(serve({name: section for name, section in DEFINITION.items() if name != "identity"}))
    assert not [path for path in client.get("/openapi.json").json()["paths"] if path.startswith("/auth")]
    for path in ("/auth/register", "/api/v1/auth/register", "/auth/login"):
        problem(client.post(path, json={"username": "ann", "email": "ann@example.com", "password": PASSWORD}), 404)


def test_login_by_form_and_by_json(server):
    register(server, "john")
    client = Client(server)
    for answer in (client.post("/auth/login", data={"grant_type": "password", "username": "john", "password": PASSWORD}),
                   client.post("/auth/login", json={"username": "john@example.com", "password": PASSWORD}),
                   client.post("/api/v1/auth/login", json={"username": "JOHN", "password": PASSWORD})):
        assert answer.status_code == 200, answer.text
        tokens = answer.json()
        assert set(tokens) >= {"access_token", "refresh_token", "token_type", "expires_in"}
        assert tokens["token_type"].lower() == "bearer" and tokens["expires_in"] == 900
        assert "no-store" in answer.headers["cache-control"]


def test_tokens_have_the_claims_and_verify_elsewhere(serve):
    server = serve(dict(DEFINITION, identity={"secret": "${SIGNING}"}), env={"SIGNING": SECRET})
    register(server, "john")
    tokens = login(server, "john")
    claims = jwt.decode(tokens["access_token"], SECRET, algorithms=["HS256"])
    assert claims["type"] == "access" and claims["exp"] - claims["iat"] == 900 and claims["jti"] and claims["sub"]
    forged = jwt.encode(claims, "x" * 32, algorithm="HS256")
    unsigned = jwt.encode(claims, None, algorithm="none")
    expired = jwt.encode(dict(claims, exp=claims["iat"] - 10), SECRET, algorithm="HS256")
    other_algorithm = jwt.encode(claims, SECRET * 2, algorithm="HS512")
    for token in (forged, unsigned, expired, other_algorithm, tokens["refresh_token"], "x", tokens["access_token"][:-2]):
        answer = Client(server, token).get("/auth/me")
        problem(answer, 401)
        assert "bearer" in answer.headers["www-authenticate"].lower()


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_asymmetric_signatures_verify_by_the_published_keys(serve, tmp_path, algorithm):
    make = {"RS256": lambda: rsa.generate_private_key(65537, 2048), "ES256": lambda: ec.generate_private_key(ec.SECP256R1()), "EdDSA": ed25519.Ed25519PrivateKey.generate}
    pem = make[algorithm]().private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    server = serve(dict(DEFINITION, identity={"signing": {"algorithm": algorithm, "key": "${KEY_PEM}"}}), env={"KEY_PEM": pem})
    register(server, "john")
    token = login(server, "john")["access_token"]
    keys = Client(server).get("/.well-known/jwks.json").json()["keys"]
    assert len(keys) == 1 and "d" not in keys[0]
    key = jwt.PyJWK(keys[0], algorithm=algorithm).key
    assert jwt.decode(token, key, algorithms=[algorithm])["type"] == "access"
    assert Client(server, token).get("/auth/me").json()["username"] == "john"


def test_registration_refuses_what_is_wrong_and_names_it(server):
    client = Client(server)
    good = {"username": "john", "email": "john@example.com", "password": PASSWORD}
    for change, pointer in (({"password": "short"}, "/password"), ({"password": "password1234"}, "/password"), ({"email": "nobody"}, "/email"), ({"username": ""}, "/username"),
                            ({"role": "admin"}, "/role")):
        document = problem(client.post("/auth/register", json={**good, **change}), 422)
        assert pointer in {e["pointer"] for e in document["errors"]}, document
        assert "password1234" not in json.dumps(document)
    assert client.post("/auth/register", json=good).status_code == 201
    problem(client.post("/auth/register", json=dict(good, username="JOHN", email="other@example.com")), 409, "already_exists")
    problem(client.post("/auth/register", json=dict(good, username="jane")), 409, "already_exists")


def test_wrong_and_unknown_logins_get_the_same_answer(server):
    register(server, "john")
    client, documents = Client(server), []
    for name in ("john", "nobody"):
        document = problem(client.post("/auth/login", data={"username": name, "password": "not the password"}), 401, "invalid_credentials")
        documents.append({k: document[k] for k in ("title", "detail", "status", "error_code") if k in document})
    assert documents[0] == documents[1]


def test_repeated_failures_lock_for_a_while_known_and_unknown_alike(server):
    register(server, "john")
    client, sequences = Client(server), []
    for name in ("john", "nobody"):
        sequence = [client.post("/auth/login", data={"username": name, "password": "not the password"}).status_code for _ in range(12)]
        assert sequence[0] == 401 and sequence[-1] != 401 or sequence[-1] == 401
        sequences.append(sequence)
    assert sequences[0] == sequences[1]
    assert client.post("/auth/login", data={"username": "john", "password": PASSWORD}).status_code in (401, 423, 429)


def test_refresh_rotates_and_reuse_revokes_the_family(serve):
    server = serve(DEFINITION)
    register(server, "john")
    client, first = Client(server), login(server, "john")
    second = client.post("/auth/refresh", json={"refresh_token": first["refresh_token"]})
    assert second.status_code == 200
    second = second.json()
    assert second["refresh_token"] != first["refresh_token"]
    third = client.post("/auth/refresh", json={"refresh_token": second["refresh_token"]})
    assert third.status_code == 200
    third = third.json()
    problem(client.post("/auth/refresh", json={"refresh_token": first["refresh_token"]}), 401)  # long rotated: reuse
    problem(client.post("/auth/refresh", json={"refresh_token": third["refresh_token"]}), 401)  # and the whole family is gone
    problem(Client(server, third["access_token"]).get("/auth/me"), 401)


def test_logout_revokes_at_once_and_only_this_session(server):
    register(server, "john")
    one, two = login(server, "john"), login(server, "john")
    client = Client(server, one["access_token"])
    assert client.get("/auth/me").status_code == 200
    assert client.post("/auth/logout").status_code in (200, 204)
    problem(client.get("/auth/me"), 401)
    problem(client.post("/auth/refresh", json={"refresh_token": one["refresh_token"]}), 401)
    assert Client(server, two["access_token"]).get("/auth/me").status_code == 200


def test_sessions_survive_a_restart(server):
    register(server, "john")
    tokens = login(server, "john")
    server.restart()
    assert Client(server, tokens["access_token"]).get("/auth/me").status_code == 200
    assert Client(server).post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]}).status_code == 200


def test_roles_bind_operations(server):
    client = member(server, "john")
    problem(client.post("/api/v1/notices", json={"text": "x"}), 403, "forbidden")
    problem(Client(server).post("/api/v1/notices", json={"text": "x"}), 401)
    created = users(server, "create", "--username", "root", "--email", "root@example.com", "--role", "admin", "--password-stdin", password=PASSWORD + "\n")
    assert created.returncode == 0, created.stderr
    admin = Client(server, login(server, "root")["access_token"])
    assert admin.post("/api/v1/notices", json={"text": "x"}).status_code == 201
    assert Client(server).get("/api/v1/notices").json()["count"] == 1


def test_the_operator_lists_disables_and_changes_passwords(server):
    client = member(server, "john")
    listed = users(server, "list")
    assert listed.returncode == 0 and "john" in listed.stdout and "argon2" not in listed.stdout
    assert users(server, "passwd", "--username", "john", "--password-stdin", password="another long passphrase\n").returncode == 0
    problem(Client(server).post("/auth/login", data={"username": "john", "password": PASSWORD}), 401)
    assert Client(server, login(server, "john", "another long passphrase")["access_token"]).get("/auth/me").status_code == 200
    assert users(server, "disable", "--username", "john").returncode == 0
    while client.get("/auth/me").status_code == 200:  # within the stated bound, which the request's own timeout watches
        pass
    refused = Client(server).post("/auth/login", data={"username": "john", "password": "another long passphrase"})
    assert refused.status_code in (401, 403)
    assert users(server, "disable", "--username", "nobody").returncode == 1
    assert users(server, "create", "--username", "x").returncode == 2


def test_bcrypt_hashes_from_elsewhere_log_in_and_are_upgraded(server):
    import sqlite3

    register(server, "john")
    database = sqlite3.connect(server.folder / "test.db")
    table = next(t for (t,) in database.execute("SELECT name FROM sqlite_master WHERE type='table'") if "account" in t)
    column = next(row[1] for row in database.execute(f"PRAGMA table_info({table})") if "password" in row[1])
    import crypt
    import warnings

    warnings.simplefilter("ignore")
    database.execute(f"UPDATE {table} SET {column} = ?", (crypt.crypt("an old passphrase", crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)),))
    database.commit()
    assert login(server, "john", "an old passphrase")
    deadline = 200
    while not database.execute(f"SELECT {column} FROM {table}").fetchone()[0].startswith("$argon2id$") and deadline:
        Client(server).get("/livez")
        deadline -= 1
    assert database.execute(f"SELECT {column} FROM {table}").fetchone()[0].startswith("$argon2id$")
    assert login(server, "john", "an old passphrase")


def test_passwords_and_tokens_are_hashed_at_rest_and_never_logged(server):
    register(server, "john")
    tokens = login(server, "john")
    stored = b"".join(path.read_bytes() for path in server.folder.glob("test.db*"))
    log = server.log_path.read_text()
    for secret in (PASSWORD, tokens["refresh_token"], tokens["access_token"]):
        assert secret.encode() not in stored and secret not in log
    assert b"$argon2id$" in stored
    for path in server.folder.glob("test.db*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_weak_secrets_refuse_to_start(tmp_path):
    for secret in ("changeme", "secret", "x" * 64, "short-but-random-9f8"):
        path = tmp_path / "definition.json"
        path.write_text(json.dumps(dict(DEFINITION, identity={"secret": secret})))
        done = subprocess.run([BINARY, "serve", str(path), "--listen", "127.0.0.1:0"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 3, (secret, done)
        assert "/identity/secret" in done.stderr


def test_a_stale_or_missing_signing_secret_file_is_made_private(server):
    files = [p for p in server.folder.iterdir() if p.name.endswith(".key")]
    assert len(files) == 1 and stat.S_IMODE(files[0].stat().st_mode) == 0o600


def test_asking_for_a_new_password(server):
    client = member(server, "john")
    changed = client.post("/auth/password", json={"current_password": PASSWORD, "new_password": "a brand new passphrase"})
    assert changed.status_code in (200, 204), changed.text
    login(server, "john", "a brand new passphrase")
