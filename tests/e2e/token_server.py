"""A server of tokens and of what they open, for tests of clients. Refresh tokens rotate: each is good once, and one that is used a second
time revokes its whole family, as RFC 9700 section 4.14.2 wants servers to do."""
import base64
import collections
import http.server
import json
import secrets
import threading
import time
import urllib.parse


class TokenServer:
    """`exchanges` are the requests for tokens as (grant, status); `hits` the calls as (status, token)."""

    def __init__(self, lifetime=3600, rotate=True, delay=0.0):
        self.lifetime, self.rotate, self.delay = lifetime, rotate, delay
        self.lock = threading.Lock()
        self.access = {}  # token -> (family, ends)
        self.refresh = {}  # token -> family
        self.spent = {}  # token -> family
        self.exchanges, self.hits, self.requests = [], [], []
        self.families = 0
        self.script = collections.deque()  # answers of the token endpoint, before it works by itself: (status, body, headers)
        self.api_script = collections.deque()
        self.answer = None  # changes the body of a token's answer
        self.release = threading.Event()
        self.release.set()
        self.device_polls = 0
        self.device_pending = 2
        self.codes = {}  # code -> (challenge, redirect_uri)
        self.revoked = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def reply(self, status, body, headers=()):
                raw = body if isinstance(body, bytes) else json.dumps(body).encode()
                if any(name == "Date" for name, _ in headers):
                    self.send_response_only(status)
                else:
                    self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                if not any(name.lower() == "content-type" for name, _ in headers):
                    self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def handle_any(self):
                size = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(size)
                url = urllib.parse.urlsplit(self.path)
                with outer.lock:
                    outer.requests.append((self.command, self.path, dict(self.headers), body))
                try:
                    outer.serve(self, url, body)
                except (BrokenPipeError, ConnectionResetError):
                    pass

            do_GET = do_POST = do_PUT = do_DELETE = handle_any

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

        self.http = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def stop(self):
        self.release.set()
        self.http.shutdown()
        self.http.server_close()

    # --- tokens

    def issue(self, family=None, lifetime=None, scope="read"):
        if family is None:
            self.families += 1
            family = self.families
        access, refresh = f"at-{family}-{secrets.token_hex(12)}", f"rt-{family}-{secrets.token_hex(12)}"
        lifetime = self.lifetime if lifetime is None else lifetime
        self.access[access] = (family, time.time() + lifetime)
        self.refresh[refresh] = family
        return {"access_token": access, "refresh_token": refresh, "token_type": "Bearer", "expires_in": lifetime, "scope": scope}

    def revoke_family(self, family):
        self.access = {t: v for t, v in self.access.items() if v[0] != family}
        self.refresh = {t: f for t, f in self.refresh.items() if f != family}

    def expire_all(self):
        """Every access token is refused from now on; refresh tokens stay good."""
        with self.lock:
            self.access = {}

    def renew(self, token):
        if token in self.spent:
            self.revoke_family(self.spent[token])
            return None
        family = self.refresh.get(token)
        if family is None:
            return None
        answer = self.issue(family)
        if self.rotate:
            self.spent[token] = family
            del self.refresh[token]
        else:
            del self.refresh[answer["refresh_token"]]
            answer["refresh_token"] = token
        return answer

    def exchange(self, form):
        grant = form.get("grant_type", "")
        if grant == "refresh_token":
            return self.renew(form.get("refresh_token"))
        if grant == "authorization_code":
            import hashlib
            challenge, redirect = self.codes.pop(form.get("code"), (None, None))
            made = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).rstrip(b"=").decode()
            return self.issue() if challenge and challenge == made and redirect == form.get("redirect_uri") else None
        if grant == "urn:ietf:params:oauth:grant-type:device_code":
            return self.issue()
        return self.issue()

    def token(self, handler, body, query):
        text = body.decode() or query
        kind = handler.headers.get("Content-Type", "")
        form = json.loads(text) if "json" in kind else dict(urllib.parse.parse_qsl(text, keep_blank_values=True))
        self.release.wait(30)
        if self.delay:
            time.sleep(self.delay)
        with self.lock:
            if self.script:
                status, answer, *headers = self.script.popleft()
                self.exchanges.append((form.get("grant_type"), status))
                if answer is None:
                    handler.close_connection = True
                    return handler.connection.close()
                return handler.reply(status, answer, headers[0] if headers else ())
            if form.get("grant_type", "").endswith("device_code"):
                self.device_polls += 1
                if self.device_polls <= self.device_pending:
                    return handler.reply(400, {"error": "authorization_pending" if self.device_polls > 1 else "slow_down"})
            answer = self.exchange(form)
            self.exchanges.append((form.get("grant_type"), 200 if answer else 400))
            if answer and self.answer:
                answer = self.answer(answer)
        return handler.reply(200 if answer else 400, answer or {"error": "invalid_grant", "error_description": "it is spent"})

    # --- the rest

    def call(self, handler, url):
        with self.lock:
            if self.api_script:
                status, answer, *headers = self.api_script.popleft()
                return handler.reply(status, answer, headers[0] if headers else ())
            token = self.token_in(handler, url)
            good = token in self.access and self.access[token][1] > time.time()
            self.hits.append((200 if good else 401, token))
        return handler.reply(200 if good else 401, {"ok": good, "token": token})

    @staticmethod
    def token_in(handler, url):
        header = handler.headers.get("Authorization", "")
        query = dict(urllib.parse.parse_qsl(url.query))
        return header.removeprefix("Bearer ") or handler.headers.get("X-Session") or query.get("access_token")

    def serve(self, handler, url, body):
        if url.path == "/token":
            return self.token(handler, body, url.query)
        if url.path == "/login":
            with self.lock:
                self.exchanges.append(("login", 200))
                return handler.reply(200, {"data": {"session": {"id": self.issue()["access_token"]}, "ends": (time.time() + self.lifetime) * 1000}})
        if url.path == "/device":
            return handler.reply(200, {"device_code": "dc", "user_code": "WDJB-MJHT", "verification_uri": self.url + "/activate", "interval": 0.05,
                                       "expires_in": 60})
        if url.path == "/authorize":
            query = dict(urllib.parse.parse_qsl(url.query))
            code = secrets.token_hex(8)
            with self.lock:
                self.codes[code] = (query.get("code_challenge"), query.get("redirect_uri"))
            target = query["redirect_uri"] + "?" + urllib.parse.urlencode({"code": code, "state": query["state"]})
            return handler.reply(302, {}, [("Location", target)])
        if url.path == "/revoke":
            form = dict(urllib.parse.parse_qsl(body.decode()))
            with self.lock:
                self.revoked.append(form.get("token"))
            return handler.reply(200, {})
        return self.call(handler, url)
