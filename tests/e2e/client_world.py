"""Servers that were not written here, for the tests of calls: nginx and a FastAPI application, on ports that are free, in a folder of their own."""
import socket
import subprocess
import time

FASTAPI = '''
import typing
from fastapi import Cookie, FastAPI, File, Form, Header, HTTPException, Query, Request, Response, UploadFile
from pydantic import BaseModel

app, things = FastAPI(), {}

class Thing(BaseModel):
    name: str
    price: float = 0
    tags: typing.List[str] = []

@app.post("/things", status_code=201)
def create(thing: Thing):
    things[len(things) + 1] = thing
    return {"id": len(things), **thing.dict()}

@app.get("/things/{id}")
def read(id: int):
    if id not in things:
        raise HTTPException(404, "no such thing")
    return {"id": id, **things[id].dict()}

@app.put("/things/{id}")
def replace(id: int, thing: Thing):
    things[id] = thing
    return {"id": id, **thing.dict()}

@app.delete("/things/{id}", status_code=204)
def remove(id: int):
    del things[id]

@app.get("/search")
def search(q: typing.List[str] = Query([]), limit: int = 10, exact: bool = False):
    return {"q": q, "limit": limit, "exact": exact}

@app.post("/form")
def form(user: str = Form(), roles: typing.List[str] = Form([])):
    return {"user": user, "roles": roles}

@app.post("/upload")
async def upload(note: str = Form(""), file: UploadFile = File()):
    data = await file.read()
    return {"note": note, "name": file.filename, "size": len(data), "sum": sum(data) % 65536}

@app.put("/raw")
async def raw(request: Request):
    size = total = 0
    async for piece in request.stream():
        size += len(piece)
        total += sum(piece)
    return {"size": size, "sum": total % 65536, "type": request.headers.get("content-type")}

@app.get("/echo")
def echo(request: Request, x_odd: str = Header(None), session: str = Cookie(None)):
    return {"odd": x_odd, "session": session, "agent": request.headers.get("user-agent")}
'''

NGINX = '''
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr crit;
events {{ worker_connections 512; }}
http {{
    access_log off; default_type application/json;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    gzip on; gzip_types application/json; gzip_min_length 100;
    server {{
        listen 127.0.0.1:{port}; root {folder}/www; keepalive_requests 50;
        location /moved/ {{ return 301 https://localhost:{tls}/data.json; }}
        location /away/ {{ return 302 http://127.0.0.1:{other}/data.json; }}
        location /put/ {{ return 405; }}
    }}
    server {{ listen 127.0.0.1:{other}; root {folder}/www; }}
    server {{
        listen 127.0.0.1:{tls} ssl http2; root {folder}/www; ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;
        location /secret/ {{ return 200 '{{"proto": "$server_protocol", "key": "$http_x_odd_key"}}'; }}
        location / {{ add_header X-Proto $server_protocol; }}
    }}
    server {{
        listen 127.0.0.1:{mutual} ssl; root {folder}/www; ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;
        ssl_client_certificate {folder}/client.pem; ssl_verify_client on;
        location /who {{ return 200 '{{"who": "$ssl_client_s_dn"}}'; }}
    }}
}}
'''


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def wait_for_port(port, process):
    for _ in range(3000):
        assert process.poll() is None, "it ended"
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise TimeoutError(port)


def make_certificate(folder, name, *extra):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.pem", *extra], check=True, capture_output=True)


class Nginx:
    def __init__(self, folder):
        self.folder = folder
        self.port, self.other, self.tls, self.mutual = (free_port() for _ in range(4))
        (folder / "www").mkdir()
        (folder / "www" / "data.json").write_text('{"items": [' + ", ".join(str(n) for n in range(2000)) + "]}")
        (folder / "www" / "big.bin").write_bytes(bytes(range(256)) * 4096 * 8)
        make_certificate(folder, "server", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
        make_certificate(folder, "client")
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=self.port, other=self.other, tls=self.tls, mutual=self.mutual))
        self.process = subprocess.Popen(["/usr/sbin/nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"], stderr=open(folder / "log", "wb"))
        wait_for_port(self.mutual, self.process)

    def stop(self):
        self.process.terminate()
        self.process.wait()


class FastApi:
    def __init__(self, folder):
        (folder / "service.py").write_text(FASTAPI)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(["/usr/bin/python3", "-m", "uvicorn", "--log-level", "critical", "--port", str(self.port), "service:app"], cwd=folder)
        wait_for_port(self.port, self.process)

    def stop(self):
        self.process.terminate()
        self.process.wait()
