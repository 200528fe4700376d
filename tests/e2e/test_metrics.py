"""--metrics for Prometheus through the real program (docs/audit.md)."""
import http.client
import re
import unittest

from harness import PATIENCE, ROOT, free_port, sluice
from test_gateway import GatewayCase
from test_policy_gate import Gate, deny


def scrape(port, path="/metrics", method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20 * PATIENCE)
    try:
        connection.request(method, path, None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def values(port):
    status, text = scrape(port)
    assert status == 200, text
    return {name: float(value) for name, value in re.findall(r"^(\w+(?:{[^}]*})?) (\S+)$", text, re.M)}


class Metrics(Gate):
    def test_they_count_what_was_decided_and_how_it_ended_and_name_nothing(self):
        port = free_port()
        serve = self.start(deny(proxy_status={}, proxy_list_rules={"require_approval": {}}), "--metrics", port)
        for _ in range(3):
            serve.call("proxy_status")
        self.denied(serve, "proxy_list_traffic")
        self.denied(serve, "proxy_list_rules", "APPROVAL REQUIRED")
        sluice("call", "proxy_status", home=self.home, check=0)
        found = values(port)
        for name, value in (('sluice_decisions_total{caller="agent",decision="allow"}', 3), ('sluice_decisions_total{caller="agent",decision="deny"}', 1),
                            ('sluice_decisions_total{caller="agent",decision="ask"}', 1), ('sluice_decisions_total{caller="owner",decision="allow"}', 1),
                            ('sluice_calls_total{status="ok"}', 4), ("sluice_call_seconds_count", 4), ("sluice_approvals_pending", 1), ("sluice_gate_closed", 0),
                            ("sluice_audit_lost_total", 0)):
            self.assertEqual(found[name], value, name)
        sluice("gate", "close", home=self.home, check=0)
        self.assertEqual(values(port)["sluice_gate_closed"], 1)
        text = scrape(port)[1]
        for name in ("proxy_", "default", "bot", str(self.home)):
            self.assertNotIn(name, text)
        page = (ROOT / "docs" / "audit.md").read_text()
        for name in set(re.findall(r"^# TYPE (\w+)", text, re.M)):
            self.assertRegex(page, rf"\| `{name}[`{{]")

    def test_a34_pages_other_names_and_other_addresses_are_refused(self):
        port = free_port()
        self.start(deny(), "--metrics", port)
        for headers in ({"Host": "evil.test"}, {"Origin": "http://127.0.0.1"}, {"Origin": "https://evil.test"}):
            self.assertEqual(scrape(port, **headers)[0], 403, headers)
        self.assertEqual(scrape(port, "/")[0], 404)
        self.assertEqual(scrape(port, "/metrics/x")[0], 404)
        self.assertEqual(scrape(port, method="POST")[0], 405)
        done = sluice("serve", "--no-proxy", "--control-port", 0, "--metrics", port, home=self.directory / "other")
        self.assertEqual(done.returncode, 1)
        self.assertIn("--metrics", done.stderr)


class BehindTheGateway(GatewayCase):
    def test_the_gateway_has_them_too(self):
        port = free_port()
        gateway = self.start({"version": "1", "default": "allow"}, "--metrics", port)
        gateway.call("echo", text="x")
        self.assertEqual(values(port)['sluice_calls_total{status="ok"}'], 1)


if __name__ == "__main__":
    unittest.main()
