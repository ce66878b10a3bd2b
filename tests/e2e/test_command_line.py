"""The command line says what is wrong, where, and what to do next; its exit status says which kind of wrong."""
import os
import re
import socket
import subprocess

import pytest
from servers import BINARY, ROOT

SHOP = str(ROOT / "examples" / "shop.json")


def duplex(*words, text=None, **env):
    return subprocess.run([BINARY, *words], input=text, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **env})


@pytest.mark.parametrize(("words", "meant"), [(("serv",), "serve"), (("serve", "--lisen", "x"), "--listen"), (("serve", "--wrokers=2", "x"), "--workers"),
                                              (("users", "crate"), "create"), (("users", "list", "--stroe", "x"), "--store")])
def test_a_mistyped_word_is_answered_with_the_one_that_was_meant(words, meant):
    done = duplex(*words)
    assert done.returncode == 2 and f'did you mean "{meant}"?' in done.stderr and "--help" in done.stderr


def test_a_word_like_no_other_gets_no_guess():
    done = duplex("serve", "--database", "x")
    assert done.returncode == 2 and "there is no option --database\n" in done.stderr


def test_version_is_told_either_way():
    assert duplex("version").stdout == duplex("--version").stdout == f"duplex {re.search(r'version: .([0-9.]+)', (ROOT / 'meson.build').read_text()).group(1)}\n"


def test_the_help_says_where_the_docs_are_and_what_the_exit_status_means():
    assert "/docs" in duplex("--help").stdout
    text = duplex("serve", "--help").stdout
    assert "browser" in text and "Exit status" in text


def test_a_port_that_is_taken_is_named_and_nothing_is_served(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = duplex("serve", SHOP, "--listen", address, "--store", f"sqlite:{tmp_path / 'x.db'}")
    assert done.returncode == 1 and done.stdout == ""
    assert f"cannot listen on {address}: another program is listening there" in done.stderr
    assert done.stderr.endswith("not started: nothing was served\n")


@pytest.mark.parametrize(("text", "place"), [('{"models": {', ":1:13: "), ("{}\n}", ":2:1: "), ("", ":1:1: ")])
def test_a_broken_file_is_located(tmp_path, text, place):
    path = tmp_path / "d.json"
    path.write_text(text)
    for command in ("check", "serve", "openapi"):
        done = duplex(command, str(path))
        assert done.returncode == 3 and f"{path}{place}" in done.stderr, done.stderr
        assert done.stdout == ""


def test_a_file_that_is_not_there_and_a_variable_that_is_not_set_are_named(tmp_path):
    done = duplex("serve", str(tmp_path / "nope.json"))
    assert done.returncode == 3 and "nope.json: there is no such file" in done.stderr
    path = tmp_path / "d.json"
    path.write_text('{"server": {"secret": "${NOT_SET_ANYWHERE}"}}')
    done = duplex("check", str(path))
    assert done.returncode == 3 and f"{path}:1:23: /server/secret: the variable NOT_SET_ANYWHERE is not set" in done.stderr


def test_the_database_of_another_program_is_left_alone(tmp_path):
    path = tmp_path / "other.db"
    path.write_text("not a database at all, but somebody's text\n" * 100)
    done = duplex("serve", SHOP, "--listen", "127.0.0.1:0", "--store", f"sqlite:{path}")
    assert done.returncode == 3 and "cannot be used" in done.stderr
    assert path.read_text().startswith("not a database")


def test_a_store_that_is_no_store_is_told_once(tmp_path):
    done = duplex("users", "list", "--store", "shop.db")
    assert done.returncode == 1 and 'write "sqlite:FILE"' in done.stderr and len(done.stderr.splitlines()) == 1
    done = duplex("users", "list", "--store", f"sqlite:{tmp_path / 'nope.db'}")
    assert done.returncode == 1 and "nope.db" in done.stderr
    assert not (tmp_path / "nope.db").exists()


def test_a_password_that_is_refused_is_answered_with_the_rules(tmp_path):
    words = ("users", "create", "--username", "root", "--email", "root@example.com", "--password-stdin", "--store", f"sqlite:{tmp_path / 'x.db'}")
    done = duplex(*words, text="short\n")
    assert done.returncode == 3 and "at least 12 characters" in done.stderr
    definition = tmp_path / "d.json"
    definition.write_text('{"identity": {"password": {"min_length": 20}}}')
    done = duplex(*words, "--definition", str(definition), text="four wise owls\n")
    assert done.returncode == 3 and "at least 20 characters" in done.stderr
