"""mitmproxy's flow files and Wireshark's packets: `sluice sessions export --format mitmproxy|pcapng`, load_traffic_file."""
import base64
import json
import os
import pathlib
import signal
import subprocess
import unittest

from harness import PATIENCE, ToolError, clean_environment, free_port, needs, poll, run, sluice
from test_session_files import VECTORS, Imported


def tnet(value):
    """A typed netstring."""
    if isinstance(value, bool):
        body, kind = str(value).lower().encode(), b"!"
    elif value is None:
        body, kind = b"", b"~"
    elif isinstance(value, int):
        body, kind = str(value).encode(), b"#"
    elif isinstance(value, float):
        body, kind = repr(value).encode(), b"^"
    elif isinstance(value, bytes):
        body, kind = value, b","
    elif isinstance(value, str):
        body, kind = value.encode(), b";"
    elif isinstance(value, dict):
        body, kind = b"".join(tnet(k) + tnet(v) for k, v in value.items()), b"}"
    else:
        body, kind = b"".join(map(tnet, value)), b"]"
    return str(len(body)).encode() + b":" + body + kind


def a_flow(version=21, **more):
    """As mitmproxy 9 to 11 write it; format 17 has `address` for `peername`, `cipher_name` for `cipher`."""
    now = 1772359200.125
    return {"version": version, "type": "http", "id": "b3b0a2b4-0000-4000-8000-000000000001", "error": None, "websocket": None,
            "client_conn": {"peername": ["192.0.2.1", 50000], "sockname": ["192.0.2.2", 8080], "sni": "a.example", "alpn": b"h2",
                            "tls_version": "TLSv1.3", "cipher": "TLS_AES_128_GCM_SHA256", "tls": True, "timestamp_start": now - 1,
                            "proxy_mode": "regular"},
            "server_conn": {"peername": ["192.0.2.80", 443], "address": ["a.example", 443], "tls_version": "TLSv1.3"},
            "request": {"method": b"POST", "scheme": b"https", "host": "a.example", "port": 443, "path": b"/p?q=1", "authority": b"a.example",
                        "http_version": b"HTTP/2.0", "headers": [[b"content-type", b"application/octet-stream"]],
                        "content": b"\x00\xff", "trailers": None, "timestamp_start": now, "timestamp_end": now + 0.01},
            "response": {"status_code": 201, "reason": b"Created", "http_version": b"HTTP/2.0", "headers": [[b"x", b"1"], [b"x", b"2"]],
                         "content": b"made", "trailers": [[b"t", b"3"]], "timestamp_start": now + 0.02, "timestamp_end": now + 0.03}, **more}


class Flows(Imported):
    more_flags = ("--toolset", "all")

    def setUp(self):
        super().setUp()
        self.serve.call("proxy_clear_traffic")

    def take(self, path, **arguments):
        return self.serve.call("load_traffic_file", file_path=str(path), **arguments)

    def flows(self, *flows, name="in.flow"):
        return self.put(b"".join(map(tnet, flows)), name)

    def urls(self):
        return [row["url"].split("/", 3)[3] for row in self.serve.traffic(show_secrets=True)]

    def written(self, session):
        path = self.room / "out.flow"
        self.assertEqual(sluice("sessions", "export", session, path, "--format", "mitmproxy", home=self.serve.home).returncode, 0)
        return path


class Mitmproxy(Flows):
    def dump(self, *flags):
        return run(needs("mitmdump", "mitmproxy"), "--set", f"confdir={self.room}/mitm", *flags, seconds=60, check=0).stdout

    def test_mitmdump_reads_what_is_written_and_its_copy_comes_back(self):
        session = self.everything()
        flows = self.written(session)
        shown = self.dump("-nr", flows, "--set", "flow_detail=1")
        for line in ("POST https://localhost", "<< 200 OK", "-> WebSocket text message", "<- WebSocket binary message", "closed by client: 1000"):
            self.assertIn(line, shown)
        copy = self.room / "copy.flow"
        self.dump("-nr", flows, "-w", copy)
        self.assertEqual(self.take(copy)["imported"], 6)
        rows = self.serve.traffic(show_secrets=True)
        self.assertEqual([row["method"] for row in rows], ["POST", "POST", "GET", "GET", "GET", "GET"])
        octets = self.serve.call("proxy_get_exchange", exchange_id=rows[1]["id"], include=["request_body", "response_body"])["exchange"]
        self.assertEqual(base64.b64decode(octets["request"]["body"]["base64"]), bytes(range(256)) * 5)
        coded = self.serve.call("proxy_get_exchange", exchange_id=rows[2]["id"], include=["response_body"])["exchange"]
        self.assertEqual(coded["response"]["body"]["text"], "gzip says hello\n" * 3)
        socket = self.serve.call("proxy_get_exchange", exchange_id=rows[5]["id"], include=["messages"])["exchange"]
        self.assertEqual(socket["messages"]["items"][0]["text"], "grüße")

    def test_what_mitmdump_recorded_is_loaded(self):
        port, path = free_port(), self.room / "theirs.mitm"
        bare = self.new_origin(plain=True)
        with open(self.room / "log", "wb") as log:
            mitm = subprocess.Popen([needs("mitmdump", "mitmproxy"), "--listen-host", "127.0.0.1", "-p", str(port), "-w", str(path),
                                     "--set", f"confdir={self.room}/mitm"], stdout=log, stderr=log, env=clean_environment())
        def end():
            if mitm.poll() is None:
                mitm.send_signal(signal.SIGINT)
            self.assertIsNotNone(mitm.wait(20 * PATIENCE))
        self.addCleanup(end)

        def get(where, *more):
            return run("curl", "-sS", "--noproxy", "", "--proxy", f"http://127.0.0.1:{port}", f"http://localhost:{bare.port}{where}", *more)
        poll(lambda: get("/hello").returncode == 0, 40, "mitmdump")
        octets = self.room / "octets"
        octets.write_bytes(bytes(range(256)))
        self.assertEqual(get("/echo", "--data-binary", f"@{octets}", "-o", os.devnull).returncode, 0)
        self.assertEqual(get("/gzip", "-o", os.devnull).returncode, 0)
        end()
        self.assertEqual(self.take(path), {"status": "ok", "imported": 3, "skipped": 0, "errors": 0})
        self.assertEqual(self.urls(), ["hello", "echo", "gzip"])
        row = self.serve.traffic(url_filter="/echo")[0]
        body = self.serve.call("proxy_get_exchange", exchange_id=row["id"], include=["response_body"])["exchange"]["response"]["body"]
        self.assertEqual(base64.b64decode(body["base64"]), bytes(range(256)))
        self.assertGreater(row["duration"], -1)


class Load(Flows):
    def test_formats_17_to_21_are_read(self):
        for version in range(17, 22):
            with self.subTest(version):
                flow = a_flow(version)
                if version == 17:
                    client, server = flow["client_conn"], flow["server_conn"]
                    client["address"], client["cipher_name"] = client.pop("peername"), client.pop("cipher")
                    server["ip_address"] = server.pop("peername")
                self.assertEqual(self.take(self.flows(flow))["imported"], 1)
                [row] = self.serve.traffic(show_secrets=True)
                self.assertEqual((row["method"], row["url"], row["status"], row["timestamp"]), ("POST", "https://a.example/p?q=1", 201, 1772359200135))
                exchange = self.serve.call("proxy_get_exchange", exchange_id=row["id"], include=["request_body", "response_body", "connection"])["exchange"]
                self.assertEqual(exchange["tls"]["client"]["sniHostname"], "a.example")
                self.assertEqual(base64.b64decode(exchange["request"]["body"]["base64"]), b"\x00\xff")
                self.assertEqual((exchange["response"]["body"]["text"], exchange["protocol"]), ("made", "h2"))

    def test_another_format_changes_nothing(self):
        self.get("/hello")
        for version in (16, 22, [0, 18, 1]):
            with self.subTest(version), self.assertRaisesRegex(ToolError, "17 to 21"):
                self.take(self.flows(a_flow(), a_flow(version)))
        self.assertEqual(self.urls(), ["hello"])

    def test_W16_a_file_cut_anywhere_changes_nothing(self):
        self.get("/hello")
        whole = tnet(a_flow()) * 2
        for length in {0, 1, 3, 4, 100, len(whole) // 2 - 1, len(whole) // 2 + 1, len(whole) // 2 + 50, len(whole) - 1}:
            with self.subTest(length), self.assertRaises(ToolError):
                self.take(self.put(whole[:length], "cut.flow"))
        for what, content in (("nested", b"".join(b"%d:" % n for n in range(90_000, 0, -1))), ("a huge length", b"99999999999:" + b"x" * 100),
                              ("a longer length", b"9" * 40 + b":"), ("text", b"hello"), ("a NUL", b"\0" * 50)):
            with self.subTest(what), self.assertRaises(ToolError):
                self.take(self.put(content, "bad.flow"))
        self.assertEqual(self.urls(), ["hello"])

    def test_damaged_flows_are_counted_and_the_others_taken(self):
        good = tnet(a_flow())
        broken = good.replace(b"5:https,", b"5:https?")
        deep = b"0:]"
        for _ in range(50):
            deep = str(len(deep)).encode() + b":" + deep + b"]"
        bad = [broken, tnet(7), tnet({}), deep, tnet(a_flow(request=None)), tnet(a_flow(request={**a_flow()["request"], "port": 0})),
               tnet(a_flow(request={**a_flow()["request"], "host": "a b"})), tnet(a_flow(response={}))]
        answer = self.take(self.put(good + b"".join(bad) + good, "some.flow"))
        self.assertEqual((answer["imported"], answer["errors"], answer["skipped"]), (2, len(bad), 0))
        self.assertRegex(answer["warnings"][0], "^Flow #2: ")

    def test_nothing_in_a_flow_writes_lines_of_its_own(self):
        request = {**a_flow()["request"], "path": b"/x\r\nevil: 1", "headers": [[b"a", b"1\r\nevil: 2"], [b"b\r\nevil", b"3"]]}
        self.take(self.flows(a_flow(request=request)))
        [row] = self.serve.traffic()
        headers = self.serve.call("proxy_get_exchange", exchange_id=row["id"])["exchange"]["request"]["headers"]
        self.assertEqual(sorted(headers), ["a", "host"])

    def test_append_scope_and_other_kinds(self):
        other = a_flow(request={**a_flow()["request"], "host": "sub.b.example"})
        tcp = {"version": 21, "type": "tcp"}
        path = self.flows(a_flow(), other, tcp)
        self.assertEqual(self.take(path), {"status": "ok", "imported": 2, "skipped": 1, "errors": 0})
        self.assertEqual(self.take(path, append=True)["imported"], 2)
        self.assertEqual(len(self.urls()), 4)
        self.assertEqual(self.take(path, scope="b.example"), {"status": "ok", "imported": 1, "skipped": 2, "errors": 0})
        self.assertEqual([row["hostname"] for row in self.serve.traffic()], ["sub.b.example"])
        har = self.put((VECTORS / "har" / "chrome.har").read_bytes(), "CHROME.HAR")
        self.assertEqual(self.take(har)["imported"], 4)
        self.assertEqual(self.serve.call("get_traffic_summary", limit=1)["total"], 4)

    def test_W16_the_path_is_checked_first(self):
        self.get("/hello")
        outside = self.room.parent.parent / f"outside-{os.getpid()}.flow"
        outside.write_bytes(tnet(a_flow()))
        self.addCleanup(outside.unlink)
        for bad in (str(outside), str(self.put(tnet(a_flow()), "x.txt")), str(self.room / "absent.har"), "../x.har", f"{self.room}/../../{outside.name}"):
            with self.subTest(bad), self.assertRaises(ToolError):
                self.take(bad)
        self.assertEqual(self.urls(), ["hello"])

    def test_much_is_loaded_whole(self):
        big = a_flow(response={**a_flow()["response"], "content": b"z" * 3_000_000})
        answer = self.take(self.flows(*[big] * 20))
        self.assertEqual(answer["imported"], 20)
        for row in self.serve.traffic(limit=20):
            self.assertEqual(row["responseSize"], 3_000_000)
            body = self.serve.call("proxy_get_exchange", exchange_id=row["id"], include=["response_body"])["exchange"]["response"]["body"]
            self.assertTrue(body["complete"])
        self.assertEqual(self.take(self.flows(*[a_flow()] * 3000))["imported"], 3000)
        self.assertEqual(self.serve.call("proxy_list_traffic", limit=1)["total"], 3000)


class Packets(Imported):
    def packets(self, session, *flags):
        path = self.room / "out.pcapng"
        self.assertEqual(sluice("sessions", "export", session, path, "--format", "pcapng", *flags, home=self.serve.home).returncode, 0)
        return path

    def tshark(self, path, *flags):
        return run(needs("tshark"), "-r", path, "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", *flags, check=0, seconds=60).stdout

    def test_tshark_reads_http_and_websockets(self):
        path = self.packets(self.everything())
        rows = [line.split("\t") for line in self.tshark(path, "-Y", "http", "-T", "fields", "-e", "http.request.method", "-e", "http.request.uri",
                                                         "-e", "http.response.code").splitlines()]
        self.assertEqual([row[0] for row in rows[::2]], ["POST", "POST", "GET", "GET", "GET", "GET"])
        self.assertEqual([row[2] for row in rows[1::2]], ["200"] * 5 + ["101"])
        self.assertEqual(rows[4][1], "/gzip")
        self.assertIn("gzip says hello", self.tshark(path, "-Y", "http.response and http.content_encoding", "-T", "fields", "-e", "http.file_data"))
        self.assertEqual(self.tshark(path, "-Y", "websocket", "-T", "fields", "-e", "websocket.opcode").split()[:4], ["1", "1", "2", "2"])
        self.assertEqual(self.tshark(path, "-Y", "_ws.malformed or tcp.checksum.status == 0 or ip.checksum.status == 0 or tcp.analysis.flags"), "")

    def test_large_and_ipv6_and_http2_ones_too(self):
        har = {"log": {"entries": [self.entry(), self.entry(serverIPAddress="2001:db8::9"), self.entry()]}}
        har["log"]["entries"][1]["response"]["content"]["text"] = "x" * 200_000
        for one in har["log"]["entries"][2]["request"], har["log"]["entries"][2]["response"]:
            one["httpVersion"] = "h2"
        har["log"]["entries"][2]["request"].update(method="POST", postData={"mimeType": "text/plain", "text": "asked"})
        path = self.packets(self.load(self.put(har))["session"]["id"])
        rows = self.tshark(path, "-Y", "http.response", "-T", "fields", "-e", "http.response.code", "-e", "ipv6.src").split("\n")[:3]
        self.assertEqual(rows, ["200\t", "200\t2001:db8::9", "200\t"])
        self.assertIn("asked", self.tshark(path, "-Y", "http.request.method == POST", "-T", "fields", "-e", "http.file_data"))
        self.assertEqual(self.tshark(path, "-Y", "_ws.malformed or tcp.checksum.status == 0 or tcp.analysis.flags"), "")

    def test_secrets_are_masked_where_that_is_asked(self):
        session = self.everything()
        for form in ("pcapng", "mitmproxy", "har", "raw"):
            clear, masked = (self.room / f"{form}.{kind}" for kind in ("clear", "masked"))
            sluice("sessions", "export", session, clear, "--format", form, home=self.serve.home)
            sluice("sessions", "export", session, masked, "--format", form, "--redact", home=self.serve.home)
            self.assertIn(b"s3cr3t", clear.read_bytes(), form)
            self.assertNotIn(b"s3cr3t", masked.read_bytes(), form)
        self.assertIn("POST", self.tshark(self.room / "pcapng.masked", "-Y", "http.request"))


if __name__ == "__main__":
    unittest.main()
