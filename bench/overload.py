"""What an overloaded server does: load from outside at multiples of what it can answer, with its protection and without. Writes bench/overload.svg: the 99th
percentile of the latency of what was answered, and how many requests a second were answered and refused."""
import pathlib
import subprocess

import load

MULTIPLES = (0.5, 0.8, 1.0, 1.5, 2.0, 3.0)
CLIENTS = 8000
PATH = "/api/v1/items?page_size=100&count=none"


def definition(turn):
    model = {"type": "object", "required": ["title"], "properties": {"title": {"type": "string"}, "price": {"type": "number"}}}
    return {"server": {"mode": "production", "log": {"requests": False}, "docs": False, "compression": {"enabled": False}, "overload": {"turn": turn}, "limits": {"connections_each": 0}},
            "models": {"Item": model}, "resources": {"items": {"model": "Item", "access": {"default": "public"}, "bulk": {"cap": 1000}}}}


def offered(folder, url, rate, seconds=6):
    """Answers with 200 and with 503 a second, and the p99 of the former's latency in milliseconds; the first second does not count."""
    log = pathlib.Path(folder) / "overload.log"
    log.unlink(missing_ok=True)
    subprocess.run(["taskset", "-c", "1", "h2load", "--h1", "-t1", f"-c{CLIENTS}", "-m1", f"--rps={max(1, round(rate / CLIENTS))}", f"-D{seconds}", f"--log-file={log}", url + PATH],
                   capture_output=True, check=True, timeout=seconds + 120)
    rows = [tuple(map(int, line.split("\t")[:3])) for line in log.read_text().splitlines()]
    begin = min(row[0] for row in rows) + 1_000_000
    rows = [row for row in rows if row[0] >= begin]
    times = sorted(micros for _, status, micros in rows if status == 200)
    other = sum(status not in (200, 503) for _, status, _ in rows)
    if other:
        raise RuntimeError(f"{other} answers were neither 200 nor 503")
    span = seconds - 1
    return len(times) / span, sum(status == 503 for _, status, _ in rows) / span, times[len(times) * 99 // 100] / 1000 if times else 0


def measure(folder, duplex, turn):
    path = pathlib.Path(folder) / turn
    path.mkdir()
    with duplex(str(path), definition(turn)) as process:
        process.post("/api/v1/items", [{"title": f"Laptop {i}", "price": i} for i in range(200)])
        full = load.wrk(process.url + PATH, 3)[0]
        return full, [offered(path, process.url, full * multiple) for multiple in MULTIPLES]


def polyline(points, colour, dash=""):
    text = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{text}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'


def panel(left, title, series, top):
    """One chart: series is a list of (label, colour, dash, values at MULTIPLES)."""
    width, height, base = 330, 220, 260
    parts = [f'<text x="{left}" y="20" font-weight="bold">{title}</text>', f'<rect x="{left}" y="{base - height}" width="{width}" height="{height}" fill="none" stroke="#999"/>']
    for i in range(5):
        y = base - height * i / 4
        parts.append(f'<line x1="{left}" y1="{y}" x2="{left + width}" y2="{y}" stroke="#ddd"/><text x="{left - 6}" y="{y + 4}" text-anchor="end">{top * i / 4:,.0f}</text>')
    for multiple in MULTIPLES:
        x = left + width * multiple / MULTIPLES[-1]
        parts.append(f'<text x="{x}" y="{base + 16}" text-anchor="middle">{multiple:g}</text>')
    for at, (label, colour, dash, values) in enumerate(series):
        points = [(left + width * m / MULTIPLES[-1], base - height * min(v, top) / top) for m, v in zip(MULTIPLES, values)]
        style = ' stroke-dasharray="5 4"' if dash else ""
        parts.append(polyline(points, colour, style))
        y = base + 36 + 16 * at
        parts.append(f'<line x1="{left}" y1="{y - 4}" x2="{left + 24}" y2="{y - 4}" stroke="{colour}" stroke-width="2"{style}/><text x="{left + 30}" y="{y}">{label}</text>')
    return "".join(parts)


def draw(path, protected, bare):
    latency = max(row[2] for row in protected + bare) * 1.1
    rate = max(row[0] + row[1] for row in protected + bare) * 1.1
    charts = panel(70, "p99 of what is answered, ms", [("protected", "#0a6", False, [r[2] for r in protected]), ("without", "#c33", True, [r[2] for r in bare])], latency)
    charts += panel(500, "requests a second", [("answered", "#0a6", False, [r[0] for r in protected]), ("refused at once (503)", "#888", False, [r[1] for r in protected]),
                                               ("answered, without protection", "#c33", True, [r[0] for r in bare])], rate)
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 330" font-family="sans-serif" font-size="12"><rect width="860" height="330" fill="#fff"/>{charts}'
                    '<text x="430" y="325" text-anchor="middle">offered load, as a multiple of what one worker can answer</text></svg>\n')


def row_overload(folder, table, duplex):
    full, protected = measure(folder, duplex, "100ms")
    _, bare = measure(folder, duplex, "1h")
    draw(pathlib.Path(__file__).resolve().parent / "overload.svg", protected, bare)
    for multiple, ours, theirs in zip(MULTIPLES, protected, bare):
        print(f"  {multiple} x {full:,.0f}/s: protected {ours[0]:,.0f}/s answered, {ours[1]:,.0f}/s refused, p99 {ours[2]:.0f} ms; without {theirs[0]:,.0f}/s, p99 {theirs[2]:.0f} ms", flush=True)
    worst, last = max(row[2] for row in protected), protected[-1]
    table.add(f"p99 of what is answered, at up to {MULTIPLES[-1]:g} x the load it can answer", f"{worst:.0f} ms ({last[0]:,.0f}/s answered, {last[1]:,.0f}/s refused)",
              f"without protection {max(row[2] for row in bare):.0f} ms", None, "≤ 300 ms", worst <= 300)
