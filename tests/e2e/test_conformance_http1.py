"""HTTP/1.1's framing and grammar as one table: bytes, and the verdict on them (RFC 9110, RFC 9112), in the clear and over TLS.

A request that is refused has one answer, then the connection ends, and nothing behind it is ever taken for a request. One that is accepted
has its answer and body, and the request behind it is found where it begins. Where the RFC leaves a choice, the strict one is expected: what
two readers might frame differently is refused."""
import pytest

from hostile import LIVEZ, Raw, Target

BODY = b'{"text":"a"}'  # 12 bytes, c in hex
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


class Refused:
    """One answer with this status, and the end."""

    def __init__(self, status):
        self.status = status

    def check(self, raw, method):
        answer = raw.answer(method)
        assert answer is not None, "closed without a word"
        assert answer.status == self.status, answer
        assert answer.fields.get(b"connection") == b"close", answer.fields
        assert raw.ended(), f"something behind the refusal was answered: {raw.data!r}"


class Kept:
    """This answer, then that of the request behind, and the connection goes on."""

    def __init__(self, status, holds=b""):
        self.status, self.holds = status, holds

    def check(self, raw, method):
        answer = raw.answer(method)
        assert answer is not None, "closed without a word"
        assert answer.status == self.status and self.holds in answer.body, answer
        behind = raw.answer()
        assert behind is not None and behind.status == 200 and behind.body == b'{"status":"ok"}', behind
        assert raw.send(LIVEZ) and raw.answer().status == 200


class Last(Kept):
    """This answer, and the end as the client asked for it: what stands behind is not read."""

    def check(self, raw, method):
        answer = raw.answer(method)
        assert answer is not None and answer.status == self.status and self.holds in answer.body, answer
        assert raw.ended(), f"something behind the last request was answered: {raw.data!r}"


class Behind(Refused):
    """An answer of 200 first: what stands behind it is refused."""

    def check(self, raw, method):
        answer = raw.answer(method)
        assert answer is not None and answer.status == 200, answer
        super().check(raw, method)


BAD, UNKNOWN, VERSION, MADE, OK, NONE = Refused(400), Refused(501), Refused(505), Kept(201, b'"text":"a"'), Kept(200), Kept(404)


def get(*fields, line=b"GET /livez HTTP/1.1", host=b"Host: x"):
    return b"\r\n".join([line, *([host] if host is not None else []), *fields, b"", b""])


def post(*fields, body=BODY, line=b"POST /api/v1/things HTTP/1.1"):
    return get(b"Content-Type: application/json", *fields, line=line) + body


def length(value, body=BODY, *more):
    return post(b"Content-Length:" + value, *more, body=body)


def coding(value, *more, name=b"Transfer-Encoding:", body=b"c\r\n" + BODY + b"\r\n0\r\n\r\n"):
    return post(name + value, *more, body=body)


def chunks(body):
    return coding(b" chunked", body=body)


def line(text):
    return get(line=text)


ONE, END = b"c\r\n" + BODY + b"\r\n", b"0\r\n\r\n"
CASES = {
    # --- Content-Length against Transfer-Encoding: both at once is an attack or a mistake (RFC 9112 section 6.3, 3)
    "CL.TE": (BAD, coding(b" chunked", b"Content-Length: 5", body=END + SMUGGLED)),
    "TE.CL": (BAD, post(b"Content-Length: 4", b"Transfer-Encoding: chunked", body=b"5c\r\n" + SMUGGLED + END)),
    "CL.0 and TE": (BAD, coding(b" chunked", b"Content-Length: 0")),
    "TE of gzip and CL": (BAD, post(b"Transfer-Encoding: gzip", b"Content-Length: 12")),
    "TE of identity and CL": (BAD, post(b"Transfer-Encoding: identity", b"Content-Length: 12")),
    "an empty TE and CL": (BAD, post(b"Transfer-Encoding:", b"Content-Length: 12")),
    "TE and a malformed CL": (BAD, coding(b" chunked", b"Content-Length: x")),
    # --- Transfer-Encoding, disguised
    "chunked": (MADE, coding(b" chunked")),
    "CHUNKED": (MADE, coding(b" CHUNKED")),
    "transfer-encoding": (MADE, coding(b" chunked", name=b"transfer-encoding:")),
    "spaces around chunked": (MADE, coding(b"   chunked  ")),
    "a tab before chunked": (MADE, coding(b"\tchunked")),
    "a tab behind chunked": (BAD, coding(b" chunked\t")),  # white space by RFC 9110, too, and an old disguise: parsers differ on it
    "no space before chunked": (MADE, coding(b"chunked")),
    "chunked twice, in two fields": (UNKNOWN, coding(b" chunked", b"Transfer-Encoding: chunked")),
    "chunked twice, in one": (UNKNOWN, coding(b" chunked, chunked")),
    "chunked and identity": (UNKNOWN, coding(b" chunked", b"Transfer-Encoding: identity")),
    "identity and chunked": (UNKNOWN, coding(b" identity", b"Transfer-Encoding: chunked")),
    "identity": (UNKNOWN, coding(b" identity")),
    "identity, chunked": (UNKNOWN, coding(b" identity, chunked")),
    "gzip, chunked": (UNKNOWN, coding(b" gzip, chunked")),
    "chunked, gzip": (UNKNOWN, coding(b" chunked, gzip")),
    "an empty element before chunked": (UNKNOWN, coding(b" , chunked")),
    "an empty element behind chunked": (UNKNOWN, coding(b" chunked,")),
    "chunked with a parameter": (UNKNOWN, coding(b" chunked;q=0.5")),
    "chunked in quotes": (UNKNOWN, coding(b' "chunked"')),
    "xchunked": (UNKNOWN, coding(b" xchunked")),
    "chunkedx": (UNKNOWN, coding(b" chunkedx")),
    "chunk": (UNKNOWN, coding(b" chunk")),
    "chunked with a letter from Turkey": (UNKNOWN, coding(b" chun\xc4\xb1ked")),
    "no coding": (UNKNOWN, coding(b"")),
    "a vertical tab before chunked": (BAD, coding(b" \x0bchunked")),
    "a form feed before chunked": (BAD, coding(b" \x0cchunked")),
    "a vertical tab behind chunked": (BAD, coding(b" chunked\x0b")),
    "a NUL behind chunked": (BAD, coding(b" chunked\0")),
    "a no-break space before chunked": (UNKNOWN, coding(b" \xa0chunked")),
    "a bare CR behind chunked": (BAD, coding(b" chunked\r")),
    "a bare LF behind chunked": (BAD, coding(b" chunked\nX: y")),
    "chunked on a folded line": (BAD, coding(b"\r\n chunked")),
    "chunked on a line folded by a tab": (BAD, coding(b"\r\n\tchunked")),
    "space before the colon of TE": (BAD, coding(b" chunked", name=b"Transfer-Encoding :")),
    "a tab before the colon of TE": (BAD, coding(b" chunked", name=b"Transfer-Encoding\t:")),
    "space before TE": (BAD, coding(b" chunked", name=b" Transfer-Encoding:")),
    "a NUL in TE's name": (BAD, coding(b" chunked", name=b"Transfer\0-Encoding:")),
    "a vertical tab behind TE's name": (BAD, coding(b" chunked", name=b"Transfer-Encoding\x0b:")),
    "TE in HTTP/1.0": (BAD, post(b"Transfer-Encoding: chunked", body=ONE + END, line=b"POST /api/v1/things HTTP/1.0")),
    # another name: there is no body, and what follows is a request, which is none
    "Transfer_Encoding": (Kept(415), get(b"Transfer_Encoding: chunked", line=b"POST /api/v1/things HTTP/1.1")),
    "chunks without a coding": (Behind(501), get() + ONE + END),
    # --- Content-Length
    "a length": (MADE, length(b" 12")),
    "a length with zeros before it": (MADE, length(b" 0000000012")),
    "a length with spaces around": (MADE, length(b"  12  ")),
    "a length with a tab before": (MADE, length(b"\t12")),
    "a length with a tab behind": (BAD, length(b" 12\t")),
    "no length": (Kept(400), post(body=b"")),
    "length 0": (Kept(400), length(b" 0", b"")),
    "an empty length": (BAD, length(b"")),
    "a negative length": (BAD, length(b" -12")),
    "a signed length": (BAD, length(b" +12")),
    "a hexadecimal length": (BAD, length(b" 0xc")),
    "a length with a point": (BAD, length(b" 12.0")),
    "a length with an exponent": (BAD, length(b" 1e1")),
    "a length with letters behind": (BAD, length(b" 12abc")),
    "a length in two words": (BAD, length(b" 1 2")),
    "a length in quotes": (BAD, length(b' "12"')),
    "a length with underscores": (BAD, length(b" 1_2")),
    "a length of other digits": (BAD, length(" １２".encode())),
    "a length with a NUL": (BAD, length(b" 12\0")),
    "a length with a vertical tab": (BAD, length(b" \x0b12")),
    "a length with a bare CR": (BAD, length(b" 12\r")),
    "a length on a folded line": (BAD, length(b"\r\n 12")),
    "two equal lengths": (BAD, length(b" 12", BODY, b"Content-Length: 12")),
    "two lengths": (BAD, length(b" 12", BODY, b"Content-Length: 0")),
    "a list of equal lengths": (BAD, length(b" 12, 12")),
    "a list of lengths": (BAD, length(b" 12, 0")),
    "a length and an empty one": (BAD, length(b" 12", BODY, b"Content-Length:")),
    "space before the colon of a length": (BAD, post(b"Content-Length : 12")),
    "a length of 2^64": (BAD, length(b" 18446744073709551616")),
    "a length of 2^64 + 12": (BAD, length(b" 18446744073709551628")),
    "a length of 2^63": (Refused(413), length(b" 9223372036854775808")),
    "a length of forty digits": (BAD, length(b" " + b"9" * 40)),
    "a GET with a body": (OK, get(b"Content-Length: 12") + BODY),
    "a GET whose body is a request": (OK, get(b"Content-Length: %d" % len(SMUGGLED)) + SMUGGLED),
    "a GET with a chunked body": (OK, get(b"Transfer-Encoding: chunked") + ONE + END),
    "a HEAD with a body that is a request": (OK, get(b"Content-Length: %d" % len(SMUGGLED), line=b"HEAD /livez HTTP/1.1") + SMUGGLED),
    "a body that looks like a request": (Kept(400), length(b" %d" % len(SMUGGLED), SMUGGLED)),
    "a body for nobody": (NONE, post(b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED, line=b"POST /nowhere HTTP/1.1")),
    # --- chunks
    "two chunks": (MADE, chunks(b"6\r\n" + BODY[:6] + b"\r\n6\r\n" + BODY[6:] + b"\r\n" + END)),
    "a chunk size in capitals": (MADE, chunks(b"C\r\n" + BODY + b"\r\n" + END)),
    "a chunk size with zeros before it": (MADE, chunks(b"00000000000c\r\n" + BODY + b"\r\n" + b"000\r\n\r\n")),
    "chunks that are a request": (Kept(400), chunks(b"%x\r\n" % len(SMUGGLED) + SMUGGLED + b"\r\n" + END)),
    "no chunk": (Kept(400), chunks(END)),
    "a chunk size of nothing": (BAD, chunks(b"\r\n" + BODY + b"\r\n" + END)),
    "a chunk size with a plus": (BAD, chunks(b"+c\r\n" + BODY + b"\r\n" + END)),
    "a negative chunk size": (BAD, chunks(b"-c\r\n" + BODY + b"\r\n" + END)),
    "a chunk size with 0x": (BAD, chunks(b"0xc\r\n" + BODY + b"\r\n" + END)),
    "a chunk size with 0X": (BAD, chunks(b"0Xc\r\n" + BODY + b"\r\n" + END)),
    "a chunk size with a space before": (BAD, chunks(b" c\r\n" + BODY + b"\r\n" + END)),
    "a chunk size with a space behind": (BAD, chunks(b"c \r\n" + BODY + b"\r\n" + END)),
    "a chunk size with a tab behind": (BAD, chunks(b"c\t\r\n" + BODY + b"\r\n" + END)),
    "a chunk size with an underscore": (BAD, chunks(b"0_c\r\n" + BODY + b"\r\n" + END)),
    "a chunk size with a letter": (BAD, chunks(b"cg\r\n" + BODY + b"\r\n" + END)),
    "a chunk size with a NUL": (BAD, chunks(b"c\0\r\n" + BODY + b"\r\n" + END)),
    "a chunk size of 2^64 + 12": (BAD, chunks(b"1000000000000000c\r\n" + BODY + b"\r\n" + END)),
    "a chunk size of 32 digits": (BAD, chunks(b"f" * 32 + b"\r\n" + BODY + b"\r\n" + END)),
    "a chunk of 2^64 - 1": (Refused(413), chunks(b"f" * 16 + b"\r\n" + b"x" * 2048)),
    "a chunk size ended by LF": (BAD, chunks(b"c\n" + BODY + b"\r\n" + END)),
    "a chunk size ended by CR": (BAD, chunks(b"c\r" + BODY + b"\r\n" + END)),
    "a chunk size ended by CR CR LF": (BAD, chunks(b"c\r\r\n" + BODY + b"\r\n" + END)),
    "a chunk ended by LF": (BAD, chunks(b"c\r\n" + BODY + b"\n" + END)),
    "a chunk ended by CR": (BAD, chunks(b"c\r\n" + BODY + b"\r" + END)),
    "a chunk without an end": (BAD, chunks(b"c\r\n" + BODY + END)),
    "a chunk longer than its size": (BAD, chunks(b"c\r\n" + BODY + b"x\r\n" + END)),
    "a chunk whose end is two other bytes": (BAD, chunks(b"c\r\n" + BODY + b"xx" + END)),
    "a last chunk ended by LF LF": (BAD, chunks(ONE + b"0\n\n")),
    "a last chunk ended by CR LF LF": (BAD, chunks(ONE + b"0\r\n\n")),
    "a last chunk and a request at once": (BAD, chunks(ONE + b"0\r\n" + SMUGGLED)[:-2] + b"X y\r\n\r\n"),
    # --- chunk extensions: read over, bounded, and with no line break hidden in them
    "an extension": (MADE, chunks(b"c;a\r\n" + BODY + b"\r\n" + END)),
    "an extension with a value": (MADE, chunks(b"c;a=b;c=d\r\n" + BODY + b"\r\n0;z\r\n\r\n")),
    "an extension in quotes": (MADE, chunks(b'c;a="b c"\r\n' + BODY + b"\r\n" + END)),
    "an extension with a quoted pair": (MADE, chunks(b'c;a="\\""\r\n' + BODY + b"\r\n" + END)),
    "an extension with an LF": (BAD, chunks(b"c;a\n" + BODY + b"\r\n" + END)),
    "an extension with a quoted line break": (BAD, chunks(b'c;a="\r\n"\r\n' + BODY + b"\r\n" + END)),
    "an extension with a bare CR": (BAD, chunks(b"c;a\rb\r\n" + BODY + b"\r\n" + END)),
    "an extension with a NUL": (BAD, chunks(b"c;a\0\r\n" + BODY + b"\r\n" + END)),
    "an extension with an open quote": (BAD, chunks(b'c;a="\r\n' + BODY + b"\r\n" + END)),
    "an extension at its cap": (MADE, chunks(b"c;" + b"a" * 256 + b"\r\n" + BODY + b"\r\n" + END)),
    "an extension over its cap": (BAD, chunks(b"c;" + b"a" * 257 + b"\r\n" + BODY + b"\r\n" + END)),
    "a chunk of one byte with a long extension, again and again": (BAD, chunks((b"1;" + b"a" * 250 + b"\r\nx\r\n") * 200 + END)),
    # --- trailers
    "a trailer": (MADE, chunks(ONE + b"0\r\nX: y\r\n\r\n")),
    "a trailer that frames: Content-Length": (BAD, chunks(ONE + b"0\r\nContent-Length: 50\r\n\r\n")),
    "a trailer that frames: Transfer-Encoding": (BAD, chunks(ONE + b"0\r\nTransfer-Encoding: chunked\r\n\r\n")),
    "a trailer that routes: Host": (MADE, chunks(ONE + b"0\r\nHost: evil\r\n\r\n")),
    "a trailer that ends the connection": (MADE, chunks(ONE + b"0\r\nConnection: close\r\n\r\n")),
    "a trailer that is folded": (BAD, chunks(ONE + b"0\r\nX: y\r\n z\r\n\r\n")),
    "a trailer with space before its colon": (BAD, chunks(ONE + b"0\r\nX : y\r\n\r\n")),
    "a trailer ended by LF": (BAD, chunks(ONE + b"0\r\nX: y\n\r\n")),
    "a trailer without a colon": (BAD, chunks(ONE + b"0\r\nXy\r\n\r\n")),
    "a trailer without a name": (BAD, chunks(ONE + b"0\r\n: y\r\n\r\n")),
    "a trailer with a NUL": (BAD, chunks(ONE + b"0\r\nX: \0\r\n\r\n")),
    "a hundred trailers": (MADE, chunks(ONE + b"0\r\n" + b"X: y\r\n" * 100 + b"\r\n")),
    "a trailer too many": (Refused(431), chunks(ONE + b"0\r\n" + b"X: y\r\n" * 101 + b"\r\n")),
    "a trailer over the cap": (Refused(431), chunks(ONE + b"0\r\nX: " + b"y" * 16384 + b"\r\n\r\n")),
    # --- the request line
    "one blank line before": (OK, b"\r\n" + get()),
    "two blank lines before": (BAD, b"\r\n\r\n" + get()),
    "an LF before": (BAD, b"\n" + get()),
    "a space before the method": (BAD, b" " + get()),
    "two spaces behind the method": (BAD, line(b"GET  /livez HTTP/1.1")),
    "a tab behind the method": (BAD, line(b"GET\t/livez HTTP/1.1")),
    "two spaces before the version": (BAD, line(b"GET /livez  HTTP/1.1")),
    "a space behind the version": (BAD, line(b"GET /livez HTTP/1.1 ")),
    "a space in the target": (BAD, line(b"GET /li vez HTTP/1.1")),
    "a tab in the target": (BAD, line(b"GET /li\tvez HTTP/1.1")),
    "a NUL in the target": (BAD, line(b"GET /livez\0 HTTP/1.1")),
    "a control in the target": (BAD, line(b"GET /livez\x01 HTTP/1.1")),
    "a byte over 127 in the target": (BAD, line(b"GET /livez\xff HTTP/1.1")),
    "a bare CR in the target": (BAD, line(b"GET /livez\rX HTTP/1.1")),
    "a line ended by LF": (BAD, b"GET /livez HTTP/1.1\nHost: x\r\n\r\n"),
    "a line ended by CR": (BAD, b"GET /livez HTTP/1.1\rHost: x\r\n\r\n"),
    "a line ended by CR CR LF": (BAD, b"GET /livez HTTP/1.1\r\r\nHost: x\r\n\r\n"),
    # --- methods
    "a method nobody knows": (UNKNOWN, line(b"BREW /livez HTTP/1.1")),
    "a method in small letters": (UNKNOWN, line(b"get /livez HTTP/1.1")),
    "a method that begins as a known one": (UNKNOWN, line(b"GETS /livez HTTP/1.1")),
    "half a method": (UNKNOWN, line(b"GE /livez HTTP/1.1")),
    "a method of WebDAV": (UNKNOWN, line(b"PROPFIND /livez HTTP/1.1")),
    "a method of 10,000 letters": (UNKNOWN, line(b"A" * 10000 + b" /livez HTTP/1.1")),
    "a method that is no token": (BAD, line(b"G{T /livez HTTP/1.1")),
    "a method with a NUL": (BAD, line(b"G\0T /livez HTTP/1.1")),
    "a method with a byte over 127": (BAD, line(b"G\xc9T /livez HTTP/1.1")),
    "CONNECT": (UNKNOWN, line(b"CONNECT x:443 HTTP/1.1")),
    "CONNECT to a path": (Refused(501), line(b"CONNECT /livez HTTP/1.1")),
    "TRACE": (Kept(405), line(b"TRACE /livez HTTP/1.1")),
    "the greeting of HTTP/2 behind a request": (Behind(505), get() + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "half a greeting of HTTP/2": (VERSION, b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"),
    # --- versions
    "HTTP/1.0": (Last(200), line(b"GET /livez HTTP/1.0")),
    "HTTP/1.0 that wants to go on": (OK, get(b"Connection: keep-alive", line=b"GET /livez HTTP/1.0")),
    "HTTP/1.0 without Host": (Last(200), get(line=b"GET /livez HTTP/1.0", host=None)),
    "HTTP/1.2": (VERSION, line(b"GET /livez HTTP/1.2")),
    "HTTP/1.9": (VERSION, line(b"GET /livez HTTP/1.9")),
    "HTTP/2.0": (VERSION, line(b"GET /livez HTTP/2.0")),
    "HTTP/0.9": (VERSION, line(b"GET /livez HTTP/0.9")),
    "HTTP/0.9 without a version": (VERSION, line(b"GET /livez")),
    "HTTP/1.10": (BAD, line(b"GET /livez HTTP/1.10")),
    "HTTP/01.1": (VERSION, line(b"GET /livez HTTP/01.1")),
    "HTTP/1,1": (BAD, line(b"GET /livez HTTP/1,1")),
    "HTTP/1": (BAD, line(b"GET /livez HTTP/1")),
    "http/1.1": (BAD, line(b"GET /livez http/1.1")),
    "HTTPS/1.1": (BAD, line(b"GET /livez HTTPS/1.1")),
    "RTSP/1.0": (BAD, line(b"GET /livez RTSP/1.0")),
    "a version with a space in it": (VERSION, line(b"GET /livez HTTP/ 1.1")),
    # --- forms of the target
    "absolute-form": (OK, line(b"GET http://x/livez HTTP/1.1")),
    "absolute-form of another host": (OK, line(b"GET http://other:81/livez HTTP/1.1")),
    "absolute-form without a path": (Kept(302), line(b"GET http://x HTTP/1.1")),
    "absolute-form without Host": (BAD, get(line=b"GET http://x/livez HTTP/1.1", host=None)),
    "absolute-form with a user": (BAD, line(b"GET http://u:p@x/livez HTTP/1.1")),
    "absolute-form without an authority": (BAD, line(b"GET http:///livez HTTP/1.1")),
    "absolute-form of another scheme": (BAD, line(b"GET ftp://x/livez HTTP/1.1")),
    "absolute-form with a port of letters": (BAD, line(b"GET http://x:y/livez HTTP/1.1")),
    "authority-form": (BAD, line(b"GET x:80 HTTP/1.1")),
    "a path without a slash": (BAD, line(b"GET livez HTTP/1.1")),
    "an asterisk for GET": (BAD, line(b"GET * HTTP/1.1")),
    "an asterisk for OPTIONS": (Kept(204), line(b"OPTIONS * HTTP/1.1")),
    "a fragment": (BAD, line(b"GET /livez#x HTTP/1.1")),
    "a backslash": (NONE, line(b"GET /livez\\x HTTP/1.1")),
    "a broken escape": (Kept(400), line(b"GET /livez%zz HTTP/1.1")),
    "an escaped line break": (Kept(404), line(b"GET /livez%0d%0aX:%20y HTTP/1.1")),
    # --- Host
    "no Host": (BAD, get(host=None)),
    "two Hosts": (BAD, get(b"Host: x")),
    "two different Hosts": (BAD, get(b"Host: y")),
    "an empty Host": (OK, get(host=b"Host:")),
    "Host with a port": (OK, get(host=b"Host: x:8080")),
    "Host of IPv6": (OK, get(host=b"Host: [::1]:8080")),
    "Host with a path": (BAD, get(host=b"Host: x/y")),
    "Host with a user": (BAD, get(host=b"Host: a@x")),
    "Host with a space": (BAD, get(host=b"Host: x y")),
    "Host with a comma": (BAD, get(host=b"Host: x, y")),
    "Host with two ports": (BAD, get(host=b"Host: x:1:2")),
    "Host with a port of letters": (BAD, get(host=b"Host: x:y")),
    "Host of IPv6 without brackets": (BAD, get(host=b"Host: ::1")),
    "Host with something behind its bracket": (BAD, get(host=b"Host: [::1]x")),
    "Host with an open bracket": (BAD, get(host=b"Host: [::1")),
    "Host with space before its colon": (BAD, get(host=b"Host : x")),
    "Host with space before it, alone": (BAD, get(host=b" Host: x")),
    "Host with a quote": (BAD, get(host=b'Host: x"y')),
    # --- fields
    "a field without a value": (OK, get(b"X:")),
    "a field with a byte over 127": (OK, get(b"X: caf\xe9")),
    "a field with tabs in it": (OK, get(b"X: a\tb")),
    "a field twice": (OK, get(b"X: a", b"x: b")),
    "a folded field": (BAD, get(b"X: a\r\n b")),
    "a field folded by a tab": (BAD, get(b"X: a\r\n\tb")),
    "a folded first field": (BAD, get(host=b" X: y\r\nHost: x")),
    "a field with a NUL": (BAD, get(b"X: a\0b")),
    "a field with a bell": (BAD, get(b"X: a\x07b")),
    "a field with DEL": (BAD, get(b"X: a\x7fb")),
    "a field with a bare CR": (BAD, get(b"X: a\rb")),
    "a field ended by LF": (BAD, get(b"X: a\nY: b")),
    "a field without a colon": (BAD, get(b"X")),
    "a field without a name": (BAD, get(b": y")),
    "a field name with a space": (BAD, get(b"X Y: z")),
    "a field name with a space behind": (BAD, get(b"X : z")),
    "a field name with brackets": (BAD, get(b"X(y): z")),
    "a field name with a byte over 127": (BAD, get(b"X\xe9: z")),
    "a head ended by LF": (BAD, b"GET /livez HTTP/1.1\r\nHost: x\r\n\n"),
    "a head ended by CR": (BAD, b"GET /livez HTTP/1.1\r\nHost: x\r\n\rX"),
    # --- Expect
    "100-continue with the body behind it": (MADE, length(b" 12", BODY, b"Expect: 100-continue")),
    "100-Continue in other letters": (MADE, length(b" 12", BODY, b"expect: 100-CONTINUE")),
    "100-continue without a body": (OK, get(b"Expect: 100-continue")),
    "another expectation": (Refused(417), length(b" 12", BODY, b"Expect: 200-maybe")),
    "100-continue and more": (Refused(417), length(b" 12", BODY, b"Expect: 100-continue, x")),
    "an empty expectation": (Refused(417), length(b" 12", BODY, b"Expect:")),
    # --- Upgrade: what is not agreed to is ignored, and the body keeps its frame
    "h2c": (OK, get(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA")),
    "h2c with a body that is a request": (OK, get(b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: %d" % len(SMUGGLED)) + SMUGGLED),
    "websocket where there is none": (OK, get(b"Connection: Upgrade", b"Upgrade: websocket")),
    "websocket with a key": (OK, get(b"Connection: upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: " + b"A" * 22 + b"==")),
    "websocket with a body": (MADE, length(b" 12", BODY, b"Connection: Upgrade", b"Upgrade: websocket")),
    "websocket with a chunked body": (MADE, coding(b" chunked", b"Connection: Upgrade", b"Upgrade: websocket")),
    "TLS/1.0": (OK, get(b"Connection: Upgrade", b"Upgrade: TLS/1.0")),
    "an upgrade of CONNECT": (UNKNOWN, get(b"Connection: Upgrade", b"Upgrade: websocket", line=b"CONNECT x:80 HTTP/1.1")),
    # --- Connection
    "close": (Last(200), get(b"Connection: close")),
    "close among others, in other letters": (Last(200), get(b"Connection: x, CLOSE")),
    "close in a second field": (Last(200), get(b"Connection: keep-alive", b"Connection: close")),
    "a length that Connection names": (MADE, length(b" 12", BODY, b"Connection: Content-Length")),
    "a coding that Connection names": (MADE, coding(b" chunked", b"Connection: Transfer-Encoding")),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = Target(tmp_path_factory.mktemp("server"), limits={"body": "1KiB"}, log={"requests": True})
    yield running
    running.finish()
    paths = {record["path"] for record in running.events("request") if "path" in record}
    assert "/nowhere" in paths and not [path for path in paths if "smuggled" in path], "what is no request was taken for one"


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
@pytest.mark.parametrize("name", CASES)
def test_the_verdict_is_as_expected(server, name, tls):
    verdict, data = CASES[name]
    behind = LIVEZ if type(verdict) is Kept else SMUGGLED
    method = data.lstrip().split(b" ", 1)[0]
    with Raw(server, tls) as raw:
        cut = len(data) // 2 if tls else len(data)  # in one piece, and in two records
        raw.send(data[:cut])
        raw.send(data[cut:] + behind)
        verdict.check(raw, method)
