"""libduplex as others meet it: installed into an empty folder, found by pkg-config and CMake, used by programs that know its headers alone.

It is installed from the build directory of the program under test; with sanitizers, the programs here are built with them, too.
"""
import http.server
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import threading
import urllib.parse

import pytest
from servers import BINARY, ROOT

BUILD = pathlib.Path(BINARY).parent
HEADERS = sorted((ROOT / "include" / "duplex").glob("*.h"))
EXAMPLES = ROOT / "examples" / "client"
PROBES = ROOT / "tests" / "tools" / "library"
GITHUB = ROOT / "examples" / "github.json"
MESON = {o["name"]: o["value"] for o in json.loads((BUILD / "meson-info" / "intro-buildoptions.json").read_text())}
SANITIZED = MESON["b_sanitize"] != "none"
SANITIZE = [f"-fsanitize={MESON['b_sanitize']}"] if SANITIZED else []
COMPILE_LINE = json.loads((BUILD / "compile_commands.json").read_text())[0]["command"].split()
CC = next(w for w in COMPILE_LINE if pathlib.Path(w).name != "ccache")
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", *SANITIZE]


def run(command, **more):
    return subprocess.run([str(w) for w in command], capture_output=True, text=True, timeout=300, check=False, **more)


def ran(command, **more):
    done = run(command, **more)
    assert done.returncode == 0, f"{shlex.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


class Installed:
    """What `meson install --destdir` made, and how programs are built with it and run."""

    def __init__(self, folder):
        ran(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", folder])
        self.prefix = pathlib.Path(f"{folder}{MESON['prefix']}")
        self.lib = self.prefix / MESON["libdir"]
        self.include = self.prefix / MESON["includedir"]
        self.man = self.prefix / MESON["mandir"]
        self.shared = self.lib / "libduplex.so.0"
        self.static = self.lib / "libduplex.a"

    def pkg_config(self, *words):
        return ran(["pkg-config", *words], env={**os.environ, "PKG_CONFIG_PATH": str(self.lib / "pkgconfig")}).split()

    def compile(self, source, out, package="duplex", more=(), compiler=CC, standard="-std=c99"):
        """Builds one source as its manual says: with what pkg-config gives."""
        ran([compiler, standard, "-D_POSIX_C_SOURCE=200809L", *STRICT, source, "-o", out, *self.pkg_config("--cflags", "--libs", package), *more])
        return out

    def environment(self, **more):
        return {**os.environ, "LD_LIBRARY_PATH": str(self.lib), **more}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    return Installed(tmp_path_factory.mktemp("installed"))


# --- a server

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        path = urllib.parse.urlsplit(self.path).path
        self.server.seen.append(path)
        if path.startswith("/users/"):
            self.answer(200, {"login": path[7:], "id": 9007199254740993, "name": None, "public_repos": 8, "node_id": "of later"})
        elif path.startswith("/rates/"):
            self.answer(200, {"rate": 1.25})
        elif path == "/orders" and self.headers["authorization"] != "Bearer t0ken":
            self.answer(401, {})
        elif path == "/orders":
            self.answer(200, {"orders": [1, 2]})
        else:
            self.answer(404, {})

    def do_POST(self):
        self.server.seen.append(self.path)
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        good = form.get("grant_type") == ["client_credentials"] and form.get("scope") == ["orders.read"]
        self.answer(200 if good else 400, {"access_token": "t0ken", "token_type": "Bearer", "expires_in": 3600} if good else {"error": "invalid_request"})


@pytest.fixture
def server():
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.daemon_threads = True
    made.seen = []
    made.url = f"http://127.0.0.1:{made.server_port}"
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


# --- what can be seen of it

def declared():
    """The functions that the headers export."""
    text = "\n".join(re.sub(r"/\*.*?\*/", "", h.read_text(), flags=re.S) for h in HEADERS)
    text = re.sub(r"^#define.*", "", text, flags=re.M)
    return set(re.findall(r"DX_API\b[^;(]*?\b(dx_\w+)\s*\(", text))


def symbols(*command):
    found = set()
    for line in ran(command).splitlines():
        words = line.split()
        if len(words) == 3 and words[1] != "A":
            found.add(words[2])
    return found


def test_the_shared_library_exports_what_the_headers_declare_and_nothing_else(installed):
    exported = symbols("nm", "-D", "--defined-only", installed.shared)
    assert {name.split("@")[0] for name in exported} == declared()
    assert {name.split("@")[-1] for name in exported} == {"DUPLEX_0"}


def test_the_static_library_shows_what_the_headers_declare_and_nothing_else(installed):
    assert symbols("nm", "-g", "--defined-only", installed.static) == declared()


def test_the_umbrella_header_includes_every_other():
    text = (ROOT / "include" / "duplex" / "duplex.h").read_text()
    assert set(re.findall(r'^#include "duplex/(\w+\.h)"', text, re.M)) == {h.name for h in HEADERS} - {"duplex.h"}


def test_every_header_is_installed(installed):
    assert {h.name for h in (installed.include / "duplex").iterdir()} == {h.name for h in HEADERS}


@pytest.mark.parametrize("header", [h.name for h in HEADERS])
@pytest.mark.parametrize("language", ["gcc -std=c99", "clang -std=c99", "gcc -std=c17", "clang++ -x c++ -std=c++11", "clang++ -x c++ -std=c++20"])
def test_a_header_compiles_alone_without_a_warning(installed, header, language, tmp_path):
    source = tmp_path / "x.c"
    source.write_text(f"#include <duplex/{header}>\n#include <duplex/{header}>\nint main(void) {{ return 0; }}\n")
    ran([*language.split(), "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I", installed.include, "-fsyntax-only", source])


def test_the_shared_library_has_a_soname_no_path_of_this_machine_and_nothing_undefined(installed):
    dynamic = ran(["readelf", "-dW", installed.shared])
    assert "[libduplex.so.0]" in dynamic and "RPATH" not in dynamic and "RUNPATH" not in dynamic and "TEXTREL" not in dynamic
    assert "BIND_NOW" in dynamic
    if not SANITIZED:
        assert "undefined" not in ran(["ldd", "-r", installed.shared])


@pytest.mark.skipif(SANITIZED, reason="sanitizers bring initialisers")
def test_nothing_happens_when_the_library_is_loaded(installed):
    assert not re.search(r"\.(init_array|ctors|preinit_array)\b", ran(["readelf", "-SW", installed.static]))


# What the library keeps for the whole process, by the reason. No more is to be added without one that is as good.
KEPT = {
    "heap": {"unusual", "own", "later_too", "seen", "victim", "failed"},  # the program's allocator, the tests' faults
    "randomness and the key of hashes": {"generation", "pool", "process_key", "has_key", "completed", "once"},
    "libcurl is started once": {"started", "once"},
    "a thread's compressors and the key to them": {"key", "has_key", "once"},
    "contexts of PCRE2, made once": {"shared_lock", "shared_now", "wrong_label_pattern"},
    "numbers that only have to differ": {"last", "slots_taken"},
    "constant, though not declared so": {"functions"},
    "an address that stands for a name being taken": {"mark"},
    "the server's, of rooms that both ends share; the library never writes to them": {"problem_writer", "lowest", "sink", "sink_ctx", "lag"},
}


@pytest.mark.skipif(SANITIZED, reason="sanitizers bring variables")
def test_writable_variables_are_few_and_each_has_its_reason(installed):
    found = set()
    for line in ran(["objdump", "-t", installed.static]).splitlines():
        entry = re.match(r"[0-9a-f]+ .{7} (\.data|\.bss|\.tdata|\.tbss|\.data\.rel\.local)\s+[0-9a-f]+ +(?:\.hidden )?(\S+)$", line)
        if entry and not entry.group(2).startswith("."):
            found.add(entry.group(2).split(".")[0])
    assert "unusual" in found
    more = sorted(found - set().union(*KEPT.values()))
    assert not more, "variables that keep state for the whole process: make them const, give the reason, or an object to live in"


def test_the_library_calls_nothing_that_is_the_programs_alone(installed):
    """Standard streams, signals, the end of the process, the locale, the environment's change."""
    words = "stdout stderr stdin printf puts putchar perror signal sigaction atexit __cxa_atexit exit _exit setlocale setenv putenv unsetenv srand system"
    imported = {line.split()[-1].split("@")[0] for line in ran(["nm", "-u", installed.static]).splitlines() if line.strip()}
    assert "malloc" in imported
    wrong = imported & ({*words.split(), "fprintf", "__printf_chk", "__fprintf_chk", "__vfprintf_chk"})
    assert not wrong


# --- how others find it

def first_call(installed, server, program, *words):
    done = run([program, GITHUB, "octocat"], env=installed.environment(GITHUB_API=server.url, **dict(words)))
    assert (done.returncode, done.stdout, done.stderr) == (0, "octocat has the number 9007199254740993\n", "")
    assert server.seen == ["/users/octocat"]


def needs_libduplex(installed, program):
    return "libduplex.so.0" in ran(["readelf", "-d", program])


def test_pkg_config_names_are_relative_to_where_the_files_are(installed):
    assert (installed.lib / "pkgconfig" / "duplex.pc").read_text().startswith("prefix=${pcfiledir}/"), \
        "this build directory is older than the setting: meson configure DIR -Dpkgconfig.relocatable=true, or ./run clean"


def test_a_c_program_is_built_by_pkg_config_with_the_shared_library(installed, server, tmp_path):
    program = installed.compile(EXAMPLES / "first_call.c", tmp_path / "first_call")
    assert needs_libduplex(installed, program)
    first_call(installed, server, program)


def test_a_c_program_is_built_by_pkg_config_with_the_static_library(installed, server, tmp_path):
    program = installed.compile(EXAMPLES / "first_call.c", tmp_path / "first_call", "duplex-static")
    assert not needs_libduplex(installed, program)
    first_call(installed, server, program)


def test_a_cpp_program_is_built_by_pkg_config(installed, server, tmp_path):
    if MESON["b_sanitize"] != "none" and "clang" not in CC:
        pytest.skip("gcc's sanitizers, and no g++")
    program = installed.compile(PROBES / "plus.cc", tmp_path / "plus", compiler="clang++", standard="-std=c++11")
    first_call(installed, server, program)


def test_pkg_config_knows_every_library_below_for_a_wholly_static_program(installed):
    linked = set(installed.pkg_config("--static", "--libs", "duplex"))
    needed = re.findall(r"Shared library: \[lib([\w+-]+?)(?:-0)?\.so", ran(["readelf", "-dW", installed.shared]))
    names = {f"-l{n}" for n in needed if n not in ("c", "asan", "tsan", "ubsan", "gcc_s", "m")}
    assert "-lcurl" in names and names <= linked, names - linked
    assert installed.pkg_config("--libs", "duplex") == [f"-L{installed.lib}", "-lduplex"] or "-lcurl" not in installed.pkg_config("--libs", "duplex")


CMAKE = """cmake_minimum_required(VERSION 3.18)
project(consumer C CXX)
find_package(duplex @version@ REQUIRED)
add_executable(shared "@first@")
target_link_libraries(shared PRIVATE duplex::duplex)
add_executable(static "@first@")
target_link_libraries(static PRIVATE duplex::duplex_static)
add_executable(plus "@plus@")
target_link_libraries(plus PRIVATE duplex::duplex)
"""


def cmake(installed, folder, version):
    source = folder / "source"
    source.mkdir()
    text = CMAKE.replace("@version@", version).replace("@first@", str(EXAMPLES / "first_call.c")).replace("@plus@", str(PROBES / "plus.cc"))
    (source / "CMakeLists.txt").write_text(text)
    compilers = ["-DCMAKE_C_COMPILER=" + CC, "-DCMAKE_CXX_COMPILER=" + ("clang++" if "clang" in CC or not shutil.which("g++") else "g++")]
    flags = [f"-DCMAKE_C_FLAGS={' '.join(SANITIZE)}", f"-DCMAKE_CXX_FLAGS={' '.join(SANITIZE)}"]
    return run(["cmake", "-S", source, "-B", folder / "build", f"-DCMAKE_PREFIX_PATH={installed.prefix}", *compilers, *flags])


def test_programs_are_built_by_cmake(installed, server, tmp_path):
    if SANITIZED and "clang" not in CC and not shutil.which("g++"):
        pytest.skip("gcc's sanitizers, and no g++")
    done = cmake(installed, tmp_path, "0.1")
    assert done.returncode == 0, done.stderr
    ran(["cmake", "--build", tmp_path / "build"])
    for name in ("shared", "static", "plus"):
        server.seen.clear()
        program = tmp_path / "build" / name
        assert needs_libduplex(installed, program) == (name != "static")
        first_call(installed, server, program)


@pytest.mark.parametrize("version", ["0.0.1", "0.2", "1.0"])
def test_cmake_is_not_given_a_version_that_does_not_fit(installed, tmp_path, version):
    done = cmake(installed, tmp_path, version)
    assert done.returncode != 0 and "duplexConfig.cmake, version: 0.1.0" in done.stderr


def test_a_program_with_functions_of_the_same_names_as_inside_links_the_static_library(installed, tmp_path):
    program = installed.compile(PROBES / "own_names.c", tmp_path / "own_names", "duplex-static")
    assert ran([program], env=installed.environment()) == "6 0.1.0\n"


# --- how it behaves as a guest

def test_all_memory_goes_through_the_programs_allocator_and_back(installed, server, tmp_path):
    program = installed.compile(PROBES / "allocator.c", tmp_path / "allocator", more=["-lcurl"])
    said = ran([program, GITHUB], env=installed.environment(GITHUB_API=server.url))
    allocations, kept, grown, foreign, late, curls = map(int, re.findall(r"-?\d+", said))
    assert allocations > 100 and foreign == 0 and grown == 0 and curls == 1
    assert late == 10  # DX_ERROR_ARGUMENT
    assert kept < 1024  # what is made once for the process


def test_calls_that_fail_say_nothing_and_touch_no_signal(installed, tmp_path):
    program = installed.compile(PROBES / "failing.c", tmp_path / "failing")
    done = run([program], env=installed.environment())
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(MESON["b_sanitize"] == "thread", reason="TSan takes no threads after a fork")
def test_a_child_of_fork_opens_clients_of_its_own(installed, server, tmp_path):
    program = installed.compile(PROBES / "forking.c", tmp_path / "forking")
    ran([program, GITHUB], env=installed.environment(GITHUB_API=server.url))
    assert len(server.seen) == 2  # the parent's second was cached


# --- the examples: (arguments, a pattern of all that they print). One that is not here is built only.

RUNS = {
    "first_call": ([GITHUB, "octocat"], r"octocat has the number 9007199254740993\n"),
    "async_poll": ([GITHUB, "a", "b", "c"], r"([abc]: 8 repositories\n){3}"),
    "models": ([GITHUB, "octocat"], r'octocat \(no name\) has the number 9007199254740993\n\{"id":9007199254740993,"login":"octocat","name":"Somebody Else",'
                                    r'"public_repos":8,"node_id":"of later"\}\n'),
    "cache_and_limits": ([EXAMPLES / "cache_and_limits.json"], r"eur: 1.25, fetched\neur: 1.25, cached\neur: 1.25, fetched\nchf: rate_limited, in the phase \w+; again in \d+ ms\n"),
    "oauth2": ([EXAMPLES / "oauth2.json"], r"(2 orders, the token took [\d.]+ ms\n){3}"),
}


@pytest.mark.parametrize("name", sorted(p.stem for p in EXAMPLES.glob("*.c")))
def test_an_example_is_built_with_the_installed_library_and_runs(installed, server, tmp_path, name):
    program = installed.compile(EXAMPLES / f"{name}.c", tmp_path / name)
    if name not in RUNS:
        return
    words, wanted = RUNS[name]
    env = installed.environment(GITHUB_API=server.url, BANK_API=server.url, SHOP_API=server.url, SHOP_CLIENT="me", SHOP_SECRET="s3cret", XDG_STATE_HOME=str(tmp_path))
    done = run([program, *words], env=env, cwd=tmp_path)
    if 'no auth of the type "oauth2"' in done.stderr:
        pytest.skip("this tree has no OAuth 2 yet")
    assert done.returncode == 0 and re.fullmatch(wanted, done.stdout), done.stdout + done.stderr
    if name == "oauth2":
        assert server.seen == ["/token", "/orders", "/orders", "/orders"]


def test_the_overviews_first_program_is_the_first_example():
    code = re.search(r"```c\n(.*?)```", (ROOT / "docs" / "client" / "overview.md").read_text(), re.S).group(1)
    example = re.sub(r"^//.*\n", "", (EXAMPLES / "first_call.c").read_text(), flags=re.M)
    assert code == example
    assert len(re.search(r"int main.*", code, re.S).group().splitlines()) <= 15


# --- the manual pages

def test_every_function_has_a_page_that_names_it(installed):
    for name in declared():
        text = (installed.man / "man3" / f"{name}.3").read_text()
        alias = re.match(r"\.so (man3/\w+\.3)\n$", text)
        page = (installed.man / alias.group(1)).read_text() if alias else text
        assert re.search(rf"^\.SH NAME\n.*\b{name}\b.* \\- .", page, re.M), name
        for heading in ("SYNOPSIS", "DESCRIPTION", "RETURN VALUE", "THREAD SAFETY", "AVAILABILITY", "SEE ALSO"):
            assert f".SH {heading}\n" in page, f"{name}: {heading}"


def test_the_pages_are_without_a_warning(installed):
    pages = [p for p in installed.man.rglob("*.[135]") if not p.read_text().startswith(".so ")]
    assert {"libduplex.3", "dx_client.3", "dx_call.3", "dx_response.3", "dx_arg.3", "dx_error.3", "dx_loop.3", "duplex.1", "duplex.json.5"} <= {p.name for p in pages}
    assert ran(["mandoc", "-T", "lint", "-W", "warning", *pages]) == ""


def test_shells_find_their_completion(installed):
    data = installed.prefix / MESON["datadir"]
    for place in ("bash-completion/completions/duplex", "zsh/site-functions/_duplex", "fish/vendor_completions.d/duplex.fish"):
        assert "duplex" in (data / place).read_text()


def test_the_programs_pages_have_every_command_and_every_setting(installed):
    schema = json.loads(ran([BINARY, "schema"]))
    settings = (installed.man / "man5" / "duplex.json.5").read_text()
    for section in (s for s in schema["properties"] if not s.startswith("$")):
        assert f".SH {section.upper()}\n" in settings
    assert "\\fBserver.limits." in settings
    commands = (installed.man / "man1" / "duplex.1").read_text()
    for name in re.findall(r"^  (\S+) +\S", ran([BINARY, "--help"]).split("Commands:")[1].split("\n\n")[0], re.M):
        assert f".SS duplex {name}\n" in commands


# --- ./run install

def test_run_install_says_what_it_takes():
    assert "--prefix FOLDER" in ran([ROOT / "run", "install", "--help"])
    for words in (["--prefixx=/x"], ["--prefix"], ["--prefix", "relative"]):
        done = run([ROOT / "run", "install", *words])
        assert done.returncode == 2 and done.stderr


@pytest.mark.skipif(BUILD != ROOT / "build", reason="it installs from build/")
def test_run_install_puts_everything_below_destdir(tmp_path):
    ran([ROOT / "run", "install", f"DESTDIR={tmp_path}"])
    found = {p.name for p in tmp_path.rglob("*")}
    assert {"duplex", "libduplex.so.0", "libduplex.a", "client.h", "duplex.pc", "duplexConfig.cmake", "duplex.1", "libduplex.3"} <= found
