"""The peers that duplex is measured beside, each doing the same work: nginx and h2o (a fixed answer over each protocol, files), FastAPI (a row by id from
SQLite, JWT checked)."""
import pathlib
import sqlite3

NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.err;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 100000000;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{
        listen 127.0.0.1:{port};
        location / {{ default_type application/json; return 200 '{body}'; }}
    }}
}}
"""

# Four ports: HTTP/1.1 and HTTP/2, each in the clear and over TLS. Files down by sendfile, up by PUT.
NGINX_ENGINE = """
daemon off;
worker_processes 1;
pid {folder}/nginx-engine.pid;
error_log {folder}/nginx-engine.err;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000000;
    http2_max_concurrent_streams 256;
    client_body_temp_path {folder}/files; proxy_temp_path {folder}; fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
    ssl_certificate {folder}/cert.pem;
    ssl_certificate_key {folder}/key.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_tickets on;
    server {{
        listen 127.0.0.1:{ports[0]};
        listen 127.0.0.1:{ports[1]} ssl;
        listen 127.0.0.1:{ports[2]} http2;
        listen 127.0.0.1:{ports[3]} ssl http2;
        location = /fixed {{ default_type application/json; return 200 '{body}'; }}
        location /files/ {{ root {folder}; dav_methods PUT; client_max_body_size 2g; }}
    }}
}}
"""

# h2o answers from a file that it keeps open; both protocols on each port.
H2O = """
num-threads: 1
pid-file: {folder}/h2o.pid
error-log: {folder}/h2o.err
http2-max-concurrent-requests-per-connection: 256
hosts:
  "default":
    listen:
      host: 127.0.0.1
      port: {ports[0]}
    listen:
      host: 127.0.0.1
      port: {ports[1]}
      ssl:
        certificate-file: {folder}/cert.pem
        key-file: {folder}/key.pem
    paths:
      "/files":
        file.dir: {folder}/files
"""

# The same item, the same kind of token, the same checks, on uvloop and httptools. The path operation is a plain `def`, as FastAPI's documentation says for
# a database driver that blocks; `async def` on a blocking driver, which it warns of but which costs less CPU, is measured too.
FASTAPI = '''
import os, sqlite3, typing
import jwt
from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel

app = FastAPI()
db = sqlite3.connect(os.environ["BENCH_DB"], check_same_thread=False, isolation_level=None)
SECRET = os.environ["BENCH_SECRET"]


class Item(BaseModel):
    id: int
    title: str
    price: float
    created_at: str
    updated_at: str
    owner_id: int


def caller(request: Request) -> int:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer":
        raise HTTPException(401)
    try:
        return int(jwt.decode(token, SECRET, algorithms=["HS256"])["sub"])
    except jwt.PyJWTError:
        raise HTTPException(401)


@app.get("/api/v1/items/{item_id}", response_model=Item)
def read(item_id: int, user: int = Depends(caller)):
    return find(item_id, user)


@app.get("/blocking/items/{item_id}", response_model=Item)
async def read_blocking(item_id: int, user: int = Depends(caller)):
    return find(item_id, user)


def find(item_id: int, user: int):
    row = db.execute("SELECT id, title, price, created_at, updated_at, owner_id FROM items WHERE id = ? AND owner_id = ?", (item_id, user)).fetchone()
    if row is None:
        raise HTTPException(404)
    return Item(id=row[0], title=row[1], price=row[2], created_at=row[3], updated_at=row[4], owner_id=row[5])
'''


def write_nginx(folder, port, body='{"status":"ok"}'):
    path = pathlib.Path(folder) / "nginx.conf"
    path.write_text(NGINX.format(folder=folder, port=port, body=body))
    return ["nginx", "-e", f"{folder}/nginx.err", "-p", str(folder), "-c", str(path)]


def write_nginx_engine(folder, ports, body):
    path = pathlib.Path(folder) / "nginx-engine.conf"
    path.write_text(NGINX_ENGINE.format(folder=folder, ports=ports, body=body))
    return ["nginx", "-e", f"{folder}/nginx-engine.err", "-p", str(folder), "-c", str(path)]


def write_h2o(folder, ports):
    path = pathlib.Path(folder) / "h2o.yaml"
    path.write_text(H2O.format(folder=folder, ports=ports))
    return ["h2o", "-m", "worker", "-c", str(path)]


def write_fastapi(folder, port, rows):
    """Returns the command and its environment; the table holds `rows` items of owner 1."""
    folder = pathlib.Path(folder)
    (folder / "peer_app.py").write_text(FASTAPI)
    db = sqlite3.connect(folder / "peer.db")
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, title TEXT, price REAL, created_at TEXT, updated_at TEXT, owner_id INTEGER)")
    moment = "2026-01-01T00:00:00.000000Z"
    db.executemany("INSERT INTO items VALUES (?,?,?,?,?,1)", ((i, f"Laptop {i}", 999.99, moment, moment) for i in range(1, rows + 1)))
    db.commit()
    db.close()
    command = ["/usr/bin/python3", "-m", "uvicorn", "peer_app:app", "--host", "127.0.0.1", "--port", str(port), "--loop", "uvloop", "--http", "httptools",
               "--no-access-log", "--log-level", "warning"]
    secret = "bench-secret-bench-secret-bench-secret-0123456789"
    return command, {"BENCH_DB": str(folder / "peer.db"), "BENCH_SECRET": secret}, secret
