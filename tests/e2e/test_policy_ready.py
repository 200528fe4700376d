"""The policies that ship, in front of the real program; and what clients hear when a policy changes."""
import http.client
import json
import os
import pathlib
import select
import signal
import socketserver
import subprocess
import unittest
import urllib.parse

from harness import PATIENCE, ROOT, SLUICE, Serve, ToolError, clean_environment, run, sluice
from test_policy_gate import DENIED, Gate, deny

POLICIES = ROOT / "policies"


class ReadOnly(Gate):
    """Under policies/read-only.json no call, valid or hostile, changes anything or reaches out."""
    OWNERS_VIEW = ("proxy_list_rules", "proxy_get_tls_config", "proxy_list_host_options", "proxy_transparent_status", "proxy_list_held")

    def state(self, serve):
        files = {str(p.relative_to(self.directory)): p.read_bytes() for p in sorted(self.directory.rglob("*"))
                 if p.is_file() and not {"audit", "spool"} & set(p.parts) and p.suffix != ".log"}
        views = {tool: sluice("call", tool, "--json", home=self.home, check=0).stdout for tool in self.OWNERS_VIEW}
        status = json.loads(sluice("call", "proxy_status", "--json", home=self.home, check=0).stdout)
        process = pathlib.Path(f"/proc/{serve.process.pid}")
        children = [p.read_text() for p in process.glob("task/*/children")]
        listening = {line.split()[9] for table in ("tcp", "tcp6") for line in (process / "net" / table).read_text().splitlines()[1:]
                     if line.split()[3] == "0A"}
        sockets = {os.readlink(p) for p in process.glob("fd/*") if p.is_symlink() and os.path.lexists(p)}
        ours = sorted(inode for inode in listening if f"socket:[{inode}]" in sockets)
        return files, views, {k: status[k] for k in ("running", "ruleCount", "globalUpstream", "hostUpstreams")}, children, ours

    def values(self, schema, hostile):
        kind = schema.get("type")
        if hostile:
            return {"string": "../../etc/passwd\u0000", "object": {"__proto__": {}}, "array": [[]], "boolean": "yes"}.get(kind, 1e308)
        if "enum" in schema:
            return schema["enum"][-1]
        if kind == "object":
            return {k: self.values(v, False) for k, v in schema.get("properties", {}).items() if k in schema.get("required", [])}
        return {"string": f"http://127.0.0.1:{self.trap.server_address[1]}/x", "array": [], "boolean": True}.get(kind, 1)

    def test_nothing_changes_and_nothing_is_dialled(self):
        self.trap = socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler)
        self.addCleanup(self.trap.server_close)
        self.trap.socket.setblocking(False)
        serve = self.start((POLICIES / "read-only.json").read_text(), "--toolset", "all", "--allow-root", self.directory)
        tools = json.loads(run(SLUICE, "tools", "--json", "--toolset", "all").stdout)
        before = self.state(serve)
        for tool in tools:
            properties = tool["inputSchema"].get("properties", {})
            for hostile in (False, True):
                arguments = {name: self.values(schema, hostile) for name, schema in properties.items()}
                for given in (arguments, {}):
                    try:
                        serve.call(tool["name"], **given)
                    except ToolError as error:
                        if tool["risk"] != "read":
                            self.assertRegex(str(error), DENIED)
                    else:
                        self.assertEqual(tool["risk"], "read", tool["name"])
        self.assertEqual(self.state(serve), before)
        self.assertRaises(BlockingIOError, self.trap.socket.accept)  # nobody came


class Ready(Gate):
    def test_the_policies_that_ship(self):
        read = self.start((POLICIES / "read-only.json").read_text())
        risks = {tool["name"]: tool["risk"] for tool in json.loads(run(SLUICE, "tools", "--json").stdout)}
        self.assertEqual(self.names(read), {name for name in self.names(read) if risks[name] == "read"})
        self.assertGreater(len(self.names(read)), 5)
        self.assertTrue(read.rpc("resources/read", {"uri": "proxy://status"}, "proxy://status")["contents"])
        self.denied(read, "proxy_start")
        self.denied(read, "proxy_list_traffic", "show_secrets", show_secrets=True)
        read.stop()
        observe = self.start((POLICIES / "observe-and-replay.json").read_text())
        self.assertTrue(observe.call("proxy_start")["port"])
        self.denied(observe, "proxy_add_rule", description="x", matcher={}, handler={"type": "drop"})
        observe.stop()
        full = self.start((POLICIES / "full.json").read_text())
        full.call("proxy_list_traffic", show_secrets=True)
        built_in = Serve("--no-proxy", home=self.directory / "home2", directory=self.directory)
        self.addCleanup(built_in.stop)
        built_in.call("proxy_status")
        full.call("proxy_status")
        self.assertEqual(self.decisions(self.directory / "home2")[-1]["policy_revision"], self.decisions()[-1]["policy_revision"],
                         "the built-in policy is policies/full.json")


class Told(Gate):
    def test_clients_are_told_that_the_list_changed(self):
        self.write(deny(proxy_status={}))
        process = subprocess.Popen([SLUICE, "mcp", "--home", self.home, "--policy", self.path], text=True, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=clean_environment(), start_new_session=True)
        self.addCleanup(self.end, process)
        for message in ({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
                "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "e2e", "version": "1"}}},
                        {"jsonrpc": "2.0", "method": "notifications/initialized"}, {"jsonrpc": "2.0", "id": 2, "method": "ping"}):
            process.stdin.write(json.dumps(message) + "\n")
        process.stdin.flush()
        self.assertEqual(json.loads(process.stdout.readline())["result"]["capabilities"]["tools"], {"listChanged": True})
        self.assertEqual(json.loads(process.stdout.readline())["id"], 2)
        self.write(deny(proxy_list_rules={}))
        self.assertEqual(json.loads(self.line(process)), {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})

    def test_a_listening_client_over_http_is_told_too(self):
        serve = self.start(deny(proxy_status={}))
        url = urllib.parse.urlsplit(serve.mcp_url)
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=10 * PATIENCE)
        self.addCleanup(connection.close)
        meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
        connection.request("POST", url.path, json.dumps({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": {
            "notifications": {"toolsListChanged": True}, "_meta": meta}}), {
                "Authorization": f"Bearer {serve.token}", "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
                "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "subscriptions/listen"})
        answer = connection.getresponse()
        self.assertEqual(answer.status, 200)

        def told():
            while True:
                line = answer.readline().decode()
                self.assertTrue(line, "the stream ended")
                if line.startswith("data:"):
                    return json.loads(line[5:])["method"]
        self.assertEqual(told(), "notifications/subscriptions/acknowledged")
        self.write(deny(proxy_list_rules={}))
        self.assertEqual(told(), "notifications/tools/list_changed")

    @staticmethod
    def line(process):
        if not select.select([process.stdout], [], [], 5 * PATIENCE)[0]:
            raise AssertionError("nothing was told")
        return process.stdout.readline()

    @staticmethod
    def end(process):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdin.close()
        process.stdout.close()


if __name__ == "__main__":
    unittest.main()
