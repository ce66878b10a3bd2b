"""A port of the public Autobahn test suite's cases for servers: framing, pings, reserved bits, opcodes, fragments, UTF-8, closing, limits,
compression. Each case has the number that it has there, what the client sends, and what must come back. Counts and sizes of chapters 9, 12
and 13 are bounded. The messages are our own."""
import zlib

import pytest

import ws_client
from ws_client import BINARY, CLOSE, PING, PONG, TEXT, close, deflate, frame

KAPPA = "Hello-µ@ßöäüàá-UTF-8!!".encode()
CASES = []  # (number, pieces to send, how: None whole or a step, frames expected before the connection ends)


def case(number, sent, expected, step=None, codes=(1000,)):
    """`expected`: data frames and pongs that must come, in order; then a close frame with one of `codes` (None: without one) or nothing."""
    CASES.append(pytest.param(sent, expected, step, codes, id=number))


def ok(number, sent, expected, step=None):
    """What is proper is answered; the client then closes with 1000."""
    case(number, [*sent, close(1000)], expected, step)


def broken(number, sent, expected=(), code=1002, step=None):
    """What breaks a rule fails the connection, after what came before it has been answered."""
    case(number, sent, list(expected), step, (code,))


# 1: framing
SIZES = [0, 125, 126, 127, 128, 65535, 65536]
for kind, opcode, byte in ((1, TEXT, b"*"), (2, BINARY, b"\xfe")):
    for i, size in enumerate(SIZES, 1):
        ok(f"1.{kind}.{i}", [frame(opcode, byte * size)], [(opcode, byte * size)])
    ok(f"1.{kind}.8", [frame(opcode, byte * 65536)], [(opcode, byte * 65536)], step=997)

# 2: pings and pongs
ok("2.1", [frame(PING)], [(PONG, b"")])
ok("2.2", [frame(PING, b"Hello, world!")], [(PONG, b"Hello, world!")])
ok("2.3", [frame(PING, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff")], [(PONG, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff")])
ok("2.4", [frame(PING, b"\xfe" * 125)], [(PONG, b"\xfe" * 125)])
broken("2.5", [frame(PING, b"\xfe" * 126)])
ok("2.6", [frame(PING, b"\xfe" * 125)], [(PONG, b"\xfe" * 125)], step=1)
ok("2.7", [frame(PONG)], [])
ok("2.8", [frame(PONG, b"unsolicited")], [])
ok("2.9", [frame(PONG, b"unsolicited"), frame(PING, b"ping")], [(PONG, b"ping")])
ok("2.10", [frame(PING, b"payload-%d" % i) for i in range(10)], [(PONG, b"payload-%d" % i) for i in range(10)])
ok("2.11", [frame(PING, b"payload-%d" % i) for i in range(10)], [(PONG, b"payload-%d" % i) for i in range(10)], step=1)

# 3: reserved bits (without an extension that gives them a meaning)
broken("3.1", [frame(TEXT, b"small", rsv=1)])
broken("3.2", [frame(TEXT, b"small"), frame(TEXT, b"small", rsv=2), frame(PING)], [(TEXT, b"small")])
broken("3.3", [frame(TEXT, b"small"), frame(TEXT, b"small", rsv=3), frame(PING)], [(TEXT, b"small")])
broken("3.4", [frame(TEXT, b"small"), frame(TEXT, b"small", rsv=4), frame(PING)], [(TEXT, b"small")], step=1)
broken("3.5", [frame(BINARY, b"\x00\xff", rsv=5)])
broken("3.6", [frame(PING, b"x", rsv=6)])
broken("3.7", [frame(CLOSE, b"", rsv=7)])

# 4: opcodes that mean nothing
for i, opcode in enumerate(range(3, 8), 1):
    before = [] if i < 3 else [frame(TEXT, b"Hello")]
    broken(f"4.1.{i}", [*before, frame(opcode, b"" if i % 2 else b"reserved"), frame(PING)], [(TEXT, b"Hello")] if before else [])
for i, opcode in enumerate(range(11, 16), 1):
    before = [] if i < 3 else [frame(TEXT, b"Hello")]
    broken(f"4.2.{i}", [*before, frame(opcode, b"" if i % 2 else b"reserved"), frame(PING)], [(TEXT, b"Hello")] if before else [])

# 5: fragments
two, whole = [frame(TEXT, b"fragment1", fin=False), frame(0, b"fragment2")], (TEXT, b"fragment1fragment2")
broken("5.1", [frame(PING, b"fragment1", fin=False), frame(0, b"fragment2")])
broken("5.2", [frame(PONG, b"fragment1", fin=False), frame(0, b"fragment2")])
ok("5.3", two, [whole])
ok("5.4", two, [whole])
ok("5.5", two, [whole], step=1)
pinged = [two[0], frame(PING, b"ping"), two[1]]
ok("5.6", pinged, [(PONG, b"ping"), whole])
ok("5.7", pinged, [(PONG, b"ping"), whole])
ok("5.8", pinged, [(PONG, b"ping"), whole], step=1)
for i, fin, step in ((9, True, None), (10, True, None), (11, True, 1), (12, False, None), (13, False, None), (14, False, 1)):
    broken(f"5.{i}", [frame(0, b"non-continuation", fin=fin), frame(TEXT, b"Hello")], step=step)
broken("5.15", [*two, frame(0, b"fragment3", fin=False), frame(TEXT, b"fragment4")], [whole])
for i, fin in ((16, False), (17, True)):
    broken(f"5.{i}", [frame(0, b"fragment1", fin=fin), frame(TEXT, b"fragment2", fin=False), frame(0, b"fragment3")] * 2)
broken("5.18", [frame(TEXT, b"fragment1", fin=False), frame(TEXT, b"fragment2")])
five = [frame(TEXT, b"fragment1", fin=False), frame(0, b"fragment2", fin=False), frame(PING, b"pongme 1!"), frame(0, b"fragment3", fin=False),
        frame(0, b"fragment4", fin=False), frame(PING, b"pongme 2!"), frame(0, b"fragment5")]
five_back = [(PONG, b"pongme 1!"), (PONG, b"pongme 2!"), (TEXT, b"fragment1fragment2fragment3fragment4fragment5")]
ok("5.19", five, five_back)
ok("5.20", five, five_back, step=1)

# 6: UTF-8
ok("6.1.1", [frame(TEXT)], [(TEXT, b"")])
ok("6.1.2", [frame(TEXT, fin=False), frame(0, fin=False), frame(0)], [(TEXT, b"")])
ok("6.1.3", [frame(TEXT, fin=False), frame(0, b"middle frame payload", fin=False), frame(0)], [(TEXT, b"middle frame payload")])
ok("6.2.1", [frame(TEXT, KAPPA)], [(TEXT, KAPPA)])
ok("6.2.2", [frame(TEXT, KAPPA[:12], fin=False), frame(0, KAPPA[12:])], [(TEXT, KAPPA)])
bytewise = [frame(TEXT if i == 0 else 0, KAPPA[i:i + 1], fin=i == len(KAPPA) - 1) for i in range(len(KAPPA))]
ok("6.2.3", bytewise, [(TEXT, KAPPA)])
kosme = "κόσμε".encode()
ok("6.2.4", [frame(TEXT if i == 0 else 0, kosme[i:i + 1], fin=i == len(kosme) - 1) for i in range(len(kosme))], [(TEXT, kosme)])
invalid = kosme + b"\xed\xa0\x80edited"
broken("6.3.1", [frame(TEXT, invalid)], code=1007)
broken("6.3.2", [frame(TEXT if i == 0 else 0, invalid[i:i + 1], fin=i == len(invalid) - 1) for i in range(len(invalid))], code=1007)
# Fail fast: the rest of the message never comes.
broken("6.4.1", [frame(TEXT, kosme, fin=False), frame(0, b"\xf4\x90\x80\x80", fin=False)], code=1007)
broken("6.4.2", [frame(TEXT, kosme + b"\xf4", fin=False), frame(0, b"\x90", fin=False)], code=1007)
broken("6.4.3", [frame(TEXT, kosme + b"\xf4\x90\x80\x80edited")[:-8]], code=1007)
broken("6.4.4", [frame(TEXT, kosme + b"\xf4\x90\x80\x80edited")[:-8]], code=1007, step=1)
MIXED = {
    "6.5": ["d092", "cebae1bdb9cf83cebcceb5"], "6.6": [kosme[:size].hex() for size in range(1, len(kosme) + 1)],
    "6.7": ["00", "c280", "e0a080", "f0908080"], "6.9": ["7f", "dfbf", "efbfbf", "f48fbfbf"],
    "6.11": ["ed9fbf", "ee8080", "efbfbd", "f48fbfbf"],
    "6.22": [chr(plane << 16 | last).encode().hex() for plane in range(17) for last in (0xfffe, 0xffff)],
    "6.23": ["efbfb9", "efbfba", "efbfbb", "efbfbc", "efbfbd", "efbfbe", "efbfbf"],
}
for number, rows in MIXED.items():
    for i, row in enumerate(rows, 1):
        text = bytes.fromhex(row)
        try:
            text.decode()
        except UnicodeDecodeError:
            broken(f"{number}.{i}", [frame(TEXT, text)], code=1007)
        else:
            ok(f"{number}.{i}", [frame(TEXT, text)], [(TEXT, text)])
INVALID = {
    "6.8": ["f888808080", "fc8480808080"], "6.10": ["f7bfbfbf", "fbbfbfbfbf", "fdbfbfbfbfbf"], "6.12": ["80", "bf", "80bf", "80bf80", "80bf80bf", "80bf80bf80",
                                                                                            "80bf80bf80bf", "".join("%02x" % b for b in range(128, 192))],
    "6.13": ["".join("%02x20" % b for b in range(192, 224)), "".join("%02x20" % b for b in range(224, 240)), "".join("%02x20" % b for b in range(240, 248)),
             "".join("%02x20" % b for b in range(248, 252)), "fc20fd20"],
    "6.14": ["c0", "e080", "f08080", "f8808080", "fc80808080", "df", "efbf", "f7bfbf", "fbbfbfbf", "fdbfbfbfbf"],
    "6.15": ["c0e080f08080f8808080fc80808080dfefbff7bfbffbbfbfbffdbfbfbfbf"], "6.16": ["fe", "ff", "fefeffff"],
    "6.17": ["c0af", "e080af", "f08080af", "f8808080af", "fc80808080af"], "6.18": ["c1bf", "e09fbf", "f08fbfbf", "f887bfbfbf", "fc83bfbfbfbf"],
    "6.19": ["c080", "e08080", "f0808080", "f880808080", "fc8080808080"], "6.20": ["eda080", "edadbf", "edae80", "edafbf", "edb080", "edbe80", "edbfbf"],
    "6.21": ["eda080edb080", "eda080edbfbf", "edadbfedb080", "edadbfedbfbf", "edae80edb080", "edae80edbfbf", "edafbfedb080", "edafbfedbfbf"],
}
for number, rows in INVALID.items():
    for i, row in enumerate(rows, 1):
        broken(f"{number}.{i}", [frame(TEXT, bytes.fromhex(row))], code=1007)

# 7: closing
ok("7.1.1", [frame(TEXT, b"Hello World!")], [(TEXT, b"Hello World!")])
case("7.1.2", [close(1000), close(1000)], [])
case("7.1.3", [close(1000), frame(PING, b"late")], [])
case("7.1.4", [close(1000), frame(TEXT, b"late")], [])
case("7.1.5", [two[0], close(1000), two[1]], [])
case("7.1.6", [frame(TEXT, b"BAsd7&jh23" * 26 * 1024), close(1000), frame(PING)], [(TEXT, b"BAsd7&jh23" * 26 * 1024)])
case("7.3.1", [frame(CLOSE)], [], codes=(1005,))
broken("7.3.2", [frame(CLOSE, b"a")])
case("7.3.3", [close(1000)], [])
case("7.3.4", [close(1000, b"Hello World!")], [])
case("7.3.5", [close(1000, b"*" * 123)], [])
broken("7.3.6", [close(1000, b"*" * 124)])
broken("7.5.1", [close(1000, invalid)], code=1007)
for i, code in enumerate((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999), 1):
    case(f"7.7.{i}", [close(code)], [], codes=(code,))
for i, code in enumerate((0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999), 1):
    broken(f"7.9.{i}", [close(code)])
broken("7.13.1", [close(5000)])  # informational there; section 7.4.2 leaves codes over 4999 without a meaning
broken("7.13.2", [close(65535)])

# 9: limits and performance, bounded
for kind, opcode in ((1, TEXT), (2, BINARY)):
    for i, kib in enumerate((64, 256, 1024, 4096), 1):
        ok(f"9.{kind}.{i}", [frame(opcode, b"*" * (kib << 10))], [(opcode, b"*" * (kib << 10))])
for kind, opcode in ((3, TEXT), (4, BINARY)):
    for i, size in enumerate((64, 256, 1024, 4096, 16384, 65536), 1):
        count = (1 << 20) // size
        parts = [frame(opcode if n == 0 else 0, b"*" * size, fin=n == count - 1) for n in range(count)]
        ok(f"9.{kind}.{i}", [b"".join(parts)], [(opcode, b"*" * (1 << 20))])
for kind, opcode in ((5, TEXT), (6, BINARY)):
    for i, step in enumerate((64, 128, 256, 512, 1024, 2048), 1):
        ok(f"9.{kind}.{i}", [frame(opcode, b"*" * (256 << 10))], [(opcode, b"*" * (256 << 10))], step=step)
for kind, opcode in ((7, TEXT), (8, BINARY)):
    for i, size in enumerate((0, 16, 64, 256, 1024, 4096), 1):
        ok(f"9.{kind}.{i}", [frame(opcode, b"*" * size) * 200], [(opcode, b"*" * size)] * 200)
ok("10.1.1", [frame(TEXT if n == 0 else 0, b"*" * min(1300, 65536 - n), fin=n + 1300 >= 65536) for n in range(0, 65536, 1300)], [(TEXT, b"*" * 65536)])


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = ws_client.start(tmp_path_factory.mktemp("echo"))
    yield running
    assert running.stop() == 0


def outcome(peer):
    frames = peer.everything()
    closes = [code for kind, code in frames if kind == CLOSE]
    assert len(closes) == 1 and frames[-1][0] == CLOSE, "one close frame, and nothing behind it"
    return frames[:-1], closes[0]


@pytest.mark.parametrize("sent, expected, step, codes", CASES)
def test_case(server, sent, expected, step, codes):
    with ws_client.Peer(server, "/plain") as peer:
        for piece in [b"".join(sent)] if step is None and sum(map(len, sent)) < 100000 else sent:
            peer.chop(piece, step or len(piece) or 1)
        got, code = outcome(peer)
        assert got == expected
        assert code in codes


# 12: compression of messages of many sizes; 13: what is negotiated.
PARAMETERS = ["permessage-deflate", "permessage-deflate; client_no_context_takeover", "permessage-deflate; server_no_context_takeover",
              "permessage-deflate; client_max_window_bits", "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9",
              "permessage-deflate; server_max_window_bits=15", "permessage-deflate; server_no_context_takeover; server_max_window_bits=10"]
LENGTHS = [16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072]


def sample(kind, size):
    line = {"1": b'{"name": "value", "n": 0123456789},\n', "2": b"lorem ipsum dolor sit amet "}.get(kind)
    if line:
        return (line * (size // len(line) + 1))[:size]
    return zlib.compress(bytes(i * i % 251 for i in range(size * 2)), 9)[:size] if kind == "3" else bytes(size)


def converse(server, offer, bits, message, opcode, count, cut=None):
    with ws_client.Peer(server, "/echo", offer) as peer:
        agreed = peer.fields["sec-websocket-extensions"]
        assert "server_no_context_takeover" in agreed and "client_no_context_takeover" in agreed
        packed = deflate(message, bits)
        for _ in range(count):
            if cut:
                pieces = [packed[at:at + cut] for at in range(0, len(packed), cut)]
                peer.send(b"".join(frame(opcode if i == 0 else 0, p, fin=i == len(pieces) - 1, rsv=0 if i else 4) for i, p in enumerate(pieces)))
            else:
                peer.send(frame(opcode, packed, rsv=4))
            assert peer.message() == (opcode, message)
        peer.send(close(1000))
        assert outcome(peer) == ([], 1000)


@pytest.mark.parametrize("kind", ["1", "2", "3", "4", "5"])
@pytest.mark.parametrize("index", range(1, len(LENGTHS) * 2 - 1))
def test_case_12(server, kind, index):
    size = LENGTHS[(index - 1) % len(LENGTHS)]
    opcode = TEXT if kind in "12" else BINARY
    converse(server, "permessage-deflate", 15, sample(kind, size), opcode, 20, 997 if index > len(LENGTHS) else None)


@pytest.mark.parametrize("index", range(1, len(LENGTHS) + 1))
@pytest.mark.parametrize("kind, offer", list(enumerate(PARAMETERS, 1)))
def test_case_13(server, kind, offer, index):
    converse(server, offer, 9 if "client_max_window_bits=9" in offer else 15, sample("1", LENGTHS[index - 1]), TEXT, 10)


def test_cases_are_counted():
    total = len(CASES) + 5 * (len(LENGTHS) * 2 - 2) + len(PARAMETERS) * len(LENGTHS)
    print(f"\n{total} Autobahn cases: {len(CASES)} of chapters 1 to 10, {total - len(CASES)} of 12 and 13")
    assert total > 400
