#!/usr/bin/env python3
"""What understanding traffic costs: a site of this program's own is captured through Sluice until the ring holds the
flows (default 100,000, about 1 GB of bodies), and then the tools are asked over MCP on one kept connection. For each: the
time of an answer as the client sees it, and the CPU time that Sluice spent on it. Sluice's memory before and after.

Usage: ./dev bench analysis [--flows N] [--write]
"""
import argparse
import http.client
import json
import os
import pathlib
import random
import socket
import socketserver
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import loopback  # noqa: E402
import report  # noqa: E402

VARIANTS = 64  # different answers of each kind of endpoint
AT_ONCE = 50   # requests on the wire without an answer


def words(chance, count):
    return " ".join(chance.choice("amber basil cedar delta ember fjord grove heron inlet jetty".split()) for _ in range(count))


def item(chance, index):
    return {"id": index, "sku": f"{chance.getrandbits(64):016x}", "name": words(chance, 3), "price": chance.randint(100, 99999) / 100,
            "tags": [words(chance, 1) for _ in range(3)], "stock": chance.randint(0, 500), "note": words(chance, 20),
            "made": f"2026-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}T10:00:00Z", "parent": None}


def json_answer(value):
    body = json.dumps(value).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


class Site:
    """Forty endpoints of four kinds; about 10 KB for each answer."""
    KINDS = ("products", "orders", "customers", "reviews", "stores", "suppliers", "carts", "invoices", "shipments", "events")

    def __init__(self):
        chance = random.Random(1)
        self.lists = [json_answer({"items": [item(chance, i) for i in range(48)], "page": v, "total": 9999}) for v in range(VARIANTS)]
        self.items = [json_answer({**item(chance, v), "related": [item(chance, i) for i in range(24)]}) for v in range(VARIANTS)]
        rare = item(chance, 0) | {"note": "a needleinhay of the benchmark"}
        self.rare = json_answer({"items": [rare], "page": 0, "total": 1})
        self.large = json_answer({"items": [item(chance, i) for i in range(32_000)]})  # 10 MB
        rows = "".join(f'<tr class="row r{i % 7}" data-n="{i}"><td><a href="/p/{i}">{words(chance, 4)}</a></td><td>{i}</td></tr>'
                       for i in range(47_000))  # 5 MB
        page = f"<html><body><table id=big><tbody>{rows}</tbody></table></body></html>".encode()
        self.page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (len(page), page)

    def answer(self, target):
        if target == "/large":
            return self.large
        if target == "/page":
            return self.page
        if target == "/api/products?rare=1":
            return self.rare
        number = sum(target.encode()) % VARIANTS
        return self.lists[number] if "?" in target else self.items[number]

    def request(self, index):
        """(method, target, body) of the flow with this number."""
        kind = self.KINDS[index % len(self.KINDS)]
        shape = index // len(self.KINDS) % 4
        if shape == 0:
            return "GET", f"/api/{kind}?page={index % 97}&limit=48", b""
        if shape == 1:
            return "GET", f"/api/{kind}/{index % 7919}", b""
        if shape == 2:
            return "GET", f"/api/{kind}/{index % 4001}/history/2026-0{index % 9 + 1}-11", b""
        return "POST", f"/api/{kind}", json.dumps({"name": f"n{index}", "count": index % 50, "express": index % 2 == 0}).encode()


def serve_site(site):
    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            held = b""
            while True:
                while b"\r\n\r\n" not in held:
                    more = self.request.recv(1 << 16)
                    if not more:
                        return
                    held += more
                head, _, held = held.partition(b"\r\n\r\n")
                lower = head.lower()
                at = lower.find(b"content-length:")
                length = int(lower[at + 15:].split(b"\r\n", 1)[0]) if at >= 0 else 0
                while len(held) < length:
                    held += self.request.recv(1 << 16)
                held = held[length:]
                self.request.sendall(site.answer(head.split(b" ", 2)[1].decode()))

    class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
        daemon_threads = True
        request_queue_size = 128

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def capture(proxy, port, requests):
    """Sends the requests through the proxy, AT_ONCE at a time, and reads their answers to the end."""
    wire = socket.create_connection(("127.0.0.1", proxy))
    wire.settimeout(60)
    reader = wire.makefile("rb", 1 << 20)
    for start in range(0, len(requests), AT_ONCE):
        batch = requests[start:start + AT_ONCE]
        wire.sendall(b"".join(
            f"{method} http://localhost:{port}{target} HTTP/1.1\r\nHost: localhost:{port}\r\nAccept: application/json\r\n"
            f"Authorization: Bearer benchmark0token0benchmark\r\nContent-Length: {len(body)}\r\n"
            f"{'Content-Type: application/json' if body else 'X-No-Body: 1'}\r\n\r\n".encode() + body
            for method, target, body in batch))
        for _ in batch:
            length = 0
            while (line := reader.readline()) != b"\r\n":
                if not line:
                    raise RuntimeError("the proxy closed the connection")
                if line.lower().startswith(b"content-length:"):
                    length = int(line[15:])
            reader.read(length)
    wire.close()


class Sluice:
    def __init__(self, program, directory, flows):
        ready = directory / "ready.json"
        self.process = subprocess.Popen(
            [program, "serve", "--home", str(directory / "home"), "--proxy-port", "0", "--control-port", "0", "--ready-file", str(ready),
             "--quiet", "--workers", "1", "--toolset", "all", "--ring-exchanges", str(flows * 2), "--ring-mb", "1024",
             "--spool-mb", "4096"], stderr=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while not ready.exists():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("Sluice did not start")
            time.sleep(0.02)
        self.ready = json.loads(ready.read_text())
        control = self.ready["control"]
        self.path = "/" + control["mcp"].split("/", 3)[3]
        self.wire = http.client.HTTPConnection(control["mcp"].split("/")[2], timeout=300)

    def cpu(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mib(self, name="VmRSS"):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) / 1024
        return 0

    def call(self, tool, **arguments):
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": tool, "arguments": arguments, "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
                                                            "io.modelcontextprotocol/clientCapabilities": {}}}}
        self.wire.request("POST", self.path, json.dumps(message), {
            "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
            "Authorization": "Bearer " + self.ready["token"], "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call",
            "Mcp-Name": tool})
        text = self.wire.getresponse().read().decode()
        if not text.startswith("{"):
            text = next(line[5:] for line in reversed(text.splitlines()) if line.startswith("data:"))
        result = json.loads(text)["result"]
        if result.get("isError"):
            raise RuntimeError(f"{tool}: {result['content'][0]['text']}")
        return result["structuredContent"]

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


class Rows:
    def __init__(self, sluice):
        self.sluice = sluice
        self.lines = []

    def timed(self, name, wanted, calls):
        """`calls`: functions; the answers' times and the CPU time of one."""
        times, before = [], self.sluice.cpu()
        for call in calls:
            start = time.perf_counter()
            call()
            times.append((time.perf_counter() - start) * 1000)
        cpu = (self.sluice.cpu() - before) * 1000 / len(times)
        times.sort()
        p95 = times[min(len(times) - 1, int(len(times) * 0.95))]
        self.lines.append((name, len(times), statistics.median(times), p95, cpu, wanted))
        print(f"{name}: p50 {statistics.median(times):.1f} ms, p95 {p95:.1f} ms, CPU {cpu:.2f} ms ({wanted})", file=sys.stderr, flush=True)

    def said(self, name, text, wanted):
        self.lines.append((name, text, wanted))
        print(f"{name}: {text} ({wanted})", file=sys.stderr, flush=True)

    def table(self):
        out = ["| What | calls | p50 ms | p95 ms | CPU ms a call | wanted |", "|---|---|---|---|---|---|"]
        for line in self.lines:
            if len(line) == 6:
                name, count, p50, p95, cpu, wanted = line
                out.append(f"| {name} | {count} | {p50:.1f} | {p95:.1f} | {cpu:.2f} | {wanted} |")
            else:
                out.append(f"| {line[0]} | | | | {line[1]} | {line[2]} |")
        return "\n".join(out)


def pages(sluice, tool, count, **arguments):
    """Functions that each read the next page, from the newest on."""
    cursor = [None]

    def one():
        answer = sluice.call(tool, **arguments, **({"cursor": cursor[0]} if cursor[0] else {}))
        cursor[0] = answer.get("next_cursor")
    return [one] * count


def sending(sluice, rows, identifier):
    """Requests a second that fuzzing and replay reach, and the CPU time that Sluice spends on each."""
    for name, send in (
            ("fuzz_endpoint, a request", lambda: sluice.call(
                "fuzz_endpoint", flow_id=identifier, target_param="page", param_type="query", payload_category="sqli",
                payloads=[f"p{i}" for i in range(1000)], concurrency=16, rate=0, budget=1100)["sent"]),
            ("proxy_replay_session, a request", lambda: sluice.call(
                "proxy_replay_session", session_id=sluice.recorded, mode="execute", limit=1000, concurrency=16)["executedCount"])):
        before, start = sluice.cpu(), time.perf_counter()
        sent = send()
        seconds, cpu = time.perf_counter() - start, sluice.cpu() - before
        rows.said(name, f"{sent / seconds:.0f}/s on the machine as it was, CPU {cpu * 1e6 / sent:.0f} µs each", "2,000/s")


def measure(sluice, port, flows, rows):
    rows.said("memory with all flows captured", f"{sluice.memory_mib():.0f} MiB", "")
    found = []
    rows.timed("search_traffic, the first of all: nothing is indexed yet", "",
               [lambda: found.append(sluice.call("search_traffic", query="rare=1")["result"][0]["id"])])
    rare = found[0]
    large = sluice.call("search_traffic", query="/large", limit=1)["result"][0]["id"]
    page = sluice.call("search_traffic", query="/page", limit=1)["result"][0]["id"]
    listed = sluice.call("search_traffic", query="/api/products?page=", limit=1)["result"][0]["id"]
    rows.timed("get_traffic_summary, pages of 20", "p95 < 20", pages(sluice, "get_traffic_summary", 200))
    rows.timed("search_traffic, a host, pages of 50", "p95 < 20", pages(sluice, "search_traffic", 100, domain="localhost"))
    rows.timed("search_traffic, a term in every URL", "p95 < 20", pages(sluice, "search_traffic", 100, query="/api/"))
    rows.timed("search_traffic, a term in every body", "p95 < 20", pages(sluice, "search_traffic", 100, query="heron inlet"))
    rows.timed("search_traffic, a rare term: pages through all", "p95 < 20", pages(sluice, "search_traffic", 200, query="needleinhay"))
    rows.timed("inspect_flow, whole bodies", "", [lambda: sluice.call("inspect_flow", flow_id=rare, full_body=True)] * 100)
    rows.timed("get_api_patterns, all flows", "< 1,000", [lambda: sluice.call("get_api_patterns")] * 5)
    rows.timed("export_openapi_spec, all flows", "< 3,000", [lambda: sluice.call("export_openapi_spec")] * 5)
    rows.timed("detect_auth_pattern, all flows", "", [lambda: sluice.call("detect_auth_pattern")] * 3)
    for path in ("$.items[?@.price<2].name", "$..sku"):
        rows.timed(f"extract_from_flow, {path} of 10 MB", "< 100",
                   [lambda path=path: sluice.call("extract_from_flow", flow_id=large, json_path=path, limit=100)] * 10)
    for selector in ("tr.r3 > td:first-child a", "td a[href$='99']"):
        rows.timed(f"extract_from_flow, {selector} of 5 MB", "< 200",
                   [lambda selector=selector: sluice.call("extract_from_flow", flow_id=page, css_selector=selector, limit=100)] * 10)
    sending(sluice, rows, listed)
    time.sleep(10)
    rows.said("memory ten seconds after all of it", f"{sluice.memory_mib():.0f} MiB, at most {sluice.memory_mib('VmHWM'):.0f}", "flat")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sluice", required=True)
    parser.add_argument("--flows", type=int, default=100_000)
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    args = parser.parse_args()
    loopback.enter()
    site = Site()
    port = serve_site(site)
    with tempfile.TemporaryDirectory(prefix="sluice-bench.", dir=os.environ.get("TMPDIR")) as directory:
        sluice = Sluice(args.sluice, pathlib.Path(directory), args.flows)
        try:
            proxy = sluice.ready["proxy"]["port"]
            capture(proxy, port, [("GET", "/api/products?rare=1", b"")])
            sluice.recorded = sluice.call("proxy_session_start", session_name="bench", capture_profile="full")["session"]["id"]
            capture(proxy, port, [site.request(i * 4) for i in range(1000)])
            sluice.call("proxy_session_stop")
            start, before = time.perf_counter(), sluice.cpu()
            capture(proxy, port, [site.request(i) for i in range(args.flows)])
            capture(proxy, port, [("GET", "/large", b""), ("GET", "/page", b"")])
            print(f"captured in {time.perf_counter() - start:.1f} s, CPU {sluice.cpu() - before:.1f} s", file=sys.stderr, flush=True)
            time.sleep(1)
            rows = Rows(sluice)
            kept = sluice.call("proxy_status")["capture"]
            rows.said("flows captured", f"{kept['exchanges']}, {kept['bodiesCut']} bodies cut", "")
            measure(sluice, port, args.flows, rows)
        finally:
            sluice.stop()
    print(rows.table())
    if args.write:
        report.write("\n".join([report.header(f"{args.flows:,} flows"), "", rows.table(), ""]), "analysis")


if __name__ == "__main__":
    main()
