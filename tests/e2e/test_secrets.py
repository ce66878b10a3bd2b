"""`duplex secrets` and sealed values: tokens that others make open here and the reverse, servers open what is sealed, keys are replaced
without a break, and nothing that was sealed shows up in what is printed or logged."""
import json
import os
import pty
import re
import select
import subprocess

import pytest
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from servers import BINARY, member

SECRET = "mN3vQ9xK2rT7wZ4bH8jL6pY1sD5fG0cA-sealed"


def secrets(*words, given="", folder=None, **env):
    """The command, without keys but those of `env`."""
    surroundings = {k: v for k, v in os.environ.items() if not k.startswith("DUPLEX_SEAL")}
    binary = isinstance(given, bytes)
    return subprocess.run([BINARY, "secrets", *words], input=given, capture_output=True, text=not binary, timeout=60, check=False, cwd=folder,
                          env={**surroundings, **env})


def keys():
    return Fernet.generate_key().decode()


def definition(secret, **more):
    return {"server": {"secret": secret, "store": "sqlite:d.db"}, "models": {"Item": {"type": "object", "properties": {"title": {"type": "string"}}}},
            "resources": {"items": {"model": "Item"}}, **more}


def check(path, **env):
    surroundings = {k: v for k, v in os.environ.items() if not k.startswith("DUPLEX_SEAL")}
    return subprocess.run([BINARY, "check", str(path)], capture_output=True, text=True, timeout=60, check=False, env={**surroundings, **env})


# --- both ways with another implementation


@pytest.mark.parametrize("text", ["x", "fifteen bytes..", "sixteen bytes...", "with ümlauts and \"quotes\"\nand lines", "x" * 100_000])
def test_what_we_seal_others_open_and_the_reverse(text):
    key = keys()
    done = secrets("seal", given=text, DUPLEX_SEAL_KEYS=key)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"encrypted:gAAAAA[\w-]+={0,2}\n", done.stdout)
    token = done.stdout.strip().removeprefix("encrypted:")
    assert Fernet(key).decrypt(token.encode(), ttl=600).decode() == text  # the time in it is right, too
    theirs = Fernet(key).encrypt(text.encode()).decode()
    for words, given in (((), "encrypted:" + theirs + "\n"), ((), theirs), *([((theirs,), "")] if len(theirs) < 9999 else [])):
        done = secrets("open", *words, given=given, DUPLEX_SEAL_KEYS=key)
        assert (done.returncode, done.stdout) == (0, text), done.stderr


def test_bytes_go_through_as_they_are():
    key, data = keys(), bytes(range(256)) + b"\n\n"
    sealed = secrets("seal", given=data, DUPLEX_SEAL_KEYS=key).stdout
    assert Fernet(key).decrypt(sealed.strip()[10:]) == data[:-1]
    assert secrets("open", given=sealed, DUPLEX_SEAL_KEYS=key).stdout == data[:-1]
    sealed = secrets("seal", given=b"typed\r\n", DUPLEX_SEAL_KEYS=key).stdout
    assert secrets("open", given=sealed, DUPLEX_SEAL_KEYS=key).stdout == b"typed"


def test_rings_mean_what_multifernet_means():
    old, new = keys(), keys()
    theirs = Fernet(old).encrypt(b"of May").decode()
    done = secrets("open", theirs, DUPLEX_SEAL_KEYS=f"{new}, {old}")
    assert (done.returncode, done.stdout) == (0, "of May")
    ours = secrets("seal", given="of June", DUPLEX_SEAL_KEYS=f"{new},{old}").stdout.strip()[10:].encode()
    assert Fernet(new).decrypt(ours) == MultiFernet([Fernet(old), Fernet(new)]).decrypt(ours) == b"of June"
    with pytest.raises(InvalidToken):
        Fernet(old).decrypt(ours)


def test_others_take_our_keys(tmp_path):
    done = secrets("keygen")
    assert done.returncode == 0 and done.stderr == ""
    assert Fernet(done.stdout.strip()).decrypt(Fernet(done.stdout.strip()).encrypt(b"x")) == b"x"
    done = secrets("keygen", "--out", "seal.keys", folder=tmp_path)
    assert done.returncode == 0 and "DUPLEX_SEAL_KEY_FILE=seal.keys" in done.stdout
    key = (tmp_path / "seal.keys").read_text()
    assert key.strip() not in done.stdout and (tmp_path / "seal.keys").stat().st_mode & 0o777 == 0o600
    sealed = secrets("seal", "--key-file", "seal.keys", given="x", folder=tmp_path).stdout
    assert Fernet(key.strip()).decrypt(sealed.strip()[10:].encode()) == b"x"
    done = secrets("keygen", "--out", "seal.keys", folder=tmp_path)
    assert done.returncode == 3 and "is there already" in done.stderr and (tmp_path / "seal.keys").read_text() == key


# --- the command


def test_a_terminal_is_asked_twice_and_shows_nothing():
    key = keys()
    mine, theirs = pty.openpty()
    with subprocess.Popen([BINARY, "secrets", "seal"], stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, text=True,
                          env={**os.environ, "DUPLEX_SEAL_KEYS": key}) as process:
        os.close(theirs)
        seen = b""
        for prompt in (b"secret: ", b"once more: "):
            while prompt not in seen:
                assert select.select([mine], [], [], 30)[0], seen
                seen += os.read(mine, 100)
            os.write(mine, b"hunter2\n")
        out = process.communicate(timeout=30)[0]
    while select.select([mine], [], [], 0)[0]:
        try:
            seen += os.read(mine, 100)
        except OSError:  # the other end is gone
            break
    os.close(mine)
    assert b"hunter2" not in seen
    assert Fernet(key).decrypt(out.strip()[10:].encode()) == b"hunter2"


@pytest.mark.parametrize(("words", "status", "told"), [
    ((), 2, "expected an action"), (("sael",), 2, 'did you mean "seal"?'), (("seal", "hunter2"), 2, "reads the secret from standard input"),
    (("keygen", "x"), 2, "--out FILE"), (("keygen", "--key-file", "x"), 2, "takes no --key-file"), (("seal", "--out", "x"), 2, "takes no --out"),
    (("open", "a", "b"), 2, "one sealed value"), (("rotate",), 2, "expected files"), (("seal",), 3, "`duplex secrets keygen` makes one"),
    (("open",), 3, "DUPLEX_SEAL_KEYS"), (("seal", "--key-file", "nope"), 3, "nope: there is no such file")])
def test_wrong_words_and_missing_keys_are_told(words, status, told, tmp_path):
    done = secrets(*words, folder=tmp_path)
    assert (done.returncode, done.stdout) == (status, "") and told in done.stderr and "hunter2" not in done.stderr


def test_what_does_not_open_is_told():
    key = keys()
    theirs = Fernet(keys()).encrypt(b"hunter2").decode()
    done = secrets("open", theirs, DUPLEX_SEAL_KEYS=key)
    assert (done.returncode, done.stdout) == (1, "") and "no key that is given opens it" in done.stderr
    done = secrets("open", "encrypted:hunter2", DUPLEX_SEAL_KEYS=key)
    assert (done.returncode, done.stdout) == (1, "") and "no Fernet token" in done.stderr and "hunter2" not in done.stderr
    done = secrets("seal", given="\n", DUPLEX_SEAL_KEYS=key)
    assert (done.returncode, done.stdout) == (3, "") and "nothing to seal" in done.stderr
    done = secrets("seal", given="x", DUPLEX_SEAL_KEYS=key + ",hunter2")
    assert (done.returncode, done.stdout) == (3, "") and "key 2 is no key" in done.stderr and "hunter2" not in done.stderr


def test_a_file_of_keys_that_others_may_read_is_refused(tmp_path):
    (tmp_path / "k").write_text(keys())
    (tmp_path / "k").chmod(0o640)
    done = secrets("seal", "--key-file", "k", given="x", folder=tmp_path)
    assert done.returncode == 3 and "open to others than its owner (mode 640); chmod 600 k" in done.stderr
    (tmp_path / "k").chmod(0o400)
    assert secrets("seal", "--key-file", "k", given="x", folder=tmp_path).returncode == 0


# --- rotation


def test_rotate_seals_anew_and_leaves_every_other_byte(tmp_path):
    old, new = keys(), keys()
    (tmp_path / "seal.keys").write_text(f"{new}\n{old}  # of May\n")
    (tmp_path / "seal.keys").chmod(0o600)
    first, second, done_already, name = (Fernet(k).encrypt(t).decode() for k, t in ((old, b"one"), (old, b"two"), (new, b"three"), (old, b"four")))
    layout = '{ "a":"encrypted:%s",\r\n\t"encrypted:NAME" : [ "\\"encrypted:x", "encrypted:%s" , 1.50 ],"c": "encrypted:%s", "d": "encrypted:no" }\n\n'.replace("NAME", name)
    path = tmp_path / "d.json"
    path.write_bytes((layout % (first, second, done_already)).encode())
    path.chmod(0o640)
    (tmp_path / "link.json").symlink_to("d.json")
    done = secrets("rotate", "--key-file", "seal.keys", "link.json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "link.json: 2 sealed anew, 1 already by the newest key\n"
    assert 'link.json:2: "encrypted:" is not followed by a Fernet token here; it was left as it is' in done.stderr
    found = re.fullmatch(re.escape(layout).replace("%s", "([^\"]+)").encode(), path.read_bytes())
    tokens = found.groups()
    assert [Fernet(new).decrypt(t) for t in tokens] == [b"one", b"two", b"three"]
    assert tokens[2].decode() == done_already and Fernet(new).extract_timestamp(tokens[0]) == Fernet(old).extract_timestamp(first.encode())
    assert path.stat().st_mode & 0o777 == 0o640 and (tmp_path / "link.json").is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["d.json", "link.json", "seal.keys"]
    inode = path.stat().st_ino
    assert "0 sealed anew, 3 already" in secrets("rotate", "--key-file", "seal.keys", "d.json", folder=tmp_path).stdout
    assert path.stat().st_ino == inode  # not even written


def test_rotate_changes_nothing_when_something_does_not_open(tmp_path):
    old, new = keys(), keys()
    text = '{"a": "encrypted:%s",\n"b": "encrypted:%s"}' % tuple(Fernet(k).encrypt(b"hunter2").decode() for k in (old, keys()))
    (tmp_path / "d.json").write_text(text)
    done = secrets("rotate", "d.json", folder=tmp_path, DUPLEX_SEAL_KEYS=f"{new},{old}")
    assert (done.returncode, done.stdout) == (1, "") and "d.json:2: no key that is given opens" in done.stderr
    assert (tmp_path / "d.json").read_text() == text and "gAAAA" not in done.stderr
    (tmp_path / "d.json").write_text("{nope")
    done = secrets("rotate", "d.json", folder=tmp_path, DUPLEX_SEAL_KEYS=new)
    assert done.returncode == 3 and "d.json:1:2" in done.stderr
    assert secrets("rotate", "none.json", folder=tmp_path, DUPLEX_SEAL_KEYS=new).returncode == 1
    assert os.listdir(tmp_path) == ["d.json"]


# --- definitions


def test_a_server_opens_its_secret_and_shows_it_nowhere(serve):
    old, new = keys(), keys()
    sealed = "encrypted:" + Fernet(old).encrypt(SECRET.encode()).decode()
    server = serve(definition(sealed, identity={}), env={"DUPLEX_SEAL_KEYS": f"{new},{old}"})
    before = member(server, "ann")
    assert before.get("/auth/me").status_code == 200
    rotated = secrets("rotate", str(server.path), DUPLEX_SEAL_KEYS=f"{new},{old}")
    assert "1 sealed anew" in rotated.stdout, rotated.stderr
    server.env["DUPLEX_SEAL_KEYS"] = new
    server.restart()  # with the new key alone, it has the same secret: tokens of before are good
    assert before.get("/auth/me").status_code == 200
    shown = server.log_path.read_text() + before.get("/openapi.json").text + server.path.read_text()
    assert SECRET not in shown and old not in shown and new not in shown


def test_a_plan_compares_what_is_sealed_and_does_not_show_it(serve):
    key = keys()

    def seal(text):
        return "encrypted:" + Fernet(key).encrypt(text.encode()).decode()

    server = serve(definition(seal(SECRET)), env={"DUPLEX_SEAL_KEYS": key})
    server.path.write_text(json.dumps(definition(seal(SECRET[::-1]))))
    done = subprocess.run([BINARY, "plan", str(server.path)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and "/server/secret: (secret) → (secret)" in done.stdout, done.stdout + done.stderr
    server.path.write_text(json.dumps(definition(seal(SECRET))))  # another token of the same secret
    done = subprocess.run([BINARY, "plan", str(server.path)], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "nothing changes\n"


def test_keys_come_from_dotenv_and_its_file_beside_the_definition(tmp_path):
    key = keys()
    (tmp_path / "d.json").write_text(json.dumps(definition("${SEALED}")))
    (tmp_path / "seal.keys").write_text(key + "\n")
    (tmp_path / "seal.keys").chmod(0o600)
    (tmp_path / ".env").write_text(f"DUPLEX_SEAL_KEY_FILE=seal.keys\nSEALED=encrypted:{Fernet(key).encrypt(SECRET.encode()).decode()}\n")
    done = check(tmp_path / "d.json")
    assert done.returncode == 0, done.stderr
    (tmp_path / "seal.keys").chmod(0o644)
    done = check(tmp_path / "d.json")
    assert done.returncode == 3 and "/server/secret: is sealed, and cannot be opened: the file of keys " in done.stderr and "chmod 600" in done.stderr


def test_what_cannot_be_opened_is_located_and_told_without_secrets(tmp_path):
    key, weak = keys(), "hunter2-hunter2"
    path = tmp_path / "d.json"
    token = Fernet(key).encrypt(weak.encode()).decode()
    path.write_text(json.dumps(definition("encrypted:" + token), indent=2))
    for env, told in (({}, "there is no key for sealed values; set DUPLEX_SEAL_KEYS to a key, or DUPLEX_SEAL_KEY_FILE to a file of keys"),
                      ({"DUPLEX_SEAL_KEYS": keys()}, "no key that is given opens this sealed value"),
                      ({"DUPLEX_SEAL_KEYS": "hunter2"}, "DUPLEX_SEAL_KEYS: key 1 is no key"),
                      ({"DUPLEX_SEAL_KEYS": key}, "shorter than 32 bytes")):
        done = check(path, **env)
        assert done.returncode == 3 and "d.json:3:15: /server/secret: " in done.stderr and told in done.stderr, done.stderr
        assert weak not in done.stderr and token not in done.stderr and key not in done.stderr and "hunter2" not in done.stderr
