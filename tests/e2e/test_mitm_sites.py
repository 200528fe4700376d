"""The toolset `mitmproxy` against what is no REST: a gRPC service and a GraphQL endpoint; and how much is kept of all."""
import json
import pathlib
import unittest

import test_grpc
from harness import E2E, Serve, poll


class Grpc(test_grpc.GrpcTest):
    flags = ("--toolset", "all")

    def test_calls_are_told_by_service_and_method(self):
        for said in self.call({"method": "Say", "send": [{"text": "hello"}], "fields": {"authorization": ["Bearer grpc-token-value-1"]}}, {"method": "Count", "send": [{"number": 2}]}):
            self.assertEqual(said["code"], 0)
        self.record("Say")
        self.record("Count")
        rows = {row["url"].rsplit("/", 1)[1]: row for row in self.serve.call("get_traffic_summary")["result"] if row["method"] == "POST"}
        self.assertEqual((rows["Say"]["status_code"], rows["Say"]["content_type"].split("+")[0]), (200, "application/grpc"))
        operations = {(row["operation"]["protocol"], row["operation"]["name"]) for row in self.serve.call("get_api_patterns")["result"] if row.get("operation")}
        self.assertEqual({protocol for protocol, _ in operations}, {"grpc"})
        self.assertEqual({name.split("/")[-1].split(".")[-1] for _, name in operations}, {"Say", "Count"})
        document = self.serve.call("export_openapi_spec")
        self.assertEqual({name: sorted(methods) for name, methods in document["x-grpc-services"].items()}, {"talk.Talk": ["Count", "Say"]})
        self.assertIn("bearer_token", self.serve.call("detect_auth_pattern")["detected_auth_types"])
        traced = self.serve.call("trace_value", value="grpc-token-value-1")
        self.assertEqual((traced["first"]["flow_id"], traced["first"]["in"], traced["chained"]), (rows["Say"]["id"], "header", False))
        binary = self.serve.call("inspect_flow", flow_id=rows["Say"]["id"], full_body=True)["request"]
        self.assertEqual(binary["total_bytes"], 14)


class GraphQl(E2E):
    flags = ("--toolset", "all")

    def test_operations_are_told_apart_by_name(self):
        origin = self.new_origin(plain=True)
        origin.routes["/graphql"] = lambda talk: talk.answer(body=json.dumps({"data": {"viewer": {"id": "user-id-12345"}}}), fields=[("Content-Type", "application/json")])
        for query in ("query Viewer { viewer { id } }", "query Viewer { viewer { id } }", "mutation Rename($n: String) { rename(name: $n) { id } }"):
            self.serve.curl(f"http://127.0.0.1:{origin.port}/graphql", "-H", "Content-Type: application/json", "-d", json.dumps({"query": query, "variables": {"n": "x"}}), "-o", "/dev/null")
        poll(lambda: len([row for row in self.serve.call("get_traffic_summary")["result"] if row["status_code"]]) == 3, 5, "the flows")
        operations = {(row["operation"]["type"], row["operation"]["name"]): row["request_count"] for row in self.serve.call("get_api_patterns")["result"]}
        self.assertEqual(operations, {("query", "Viewer"): 2, ("mutation", "Rename"): 1})
        document = json.dumps(self.serve.call("export_openapi_spec"))
        self.assertIn("Viewer", document)
        flow = self.serve.call("search_traffic", query="Rename")["result"][0]["id"]
        self.assertEqual(self.serve.call("extract_from_flow", flow_id=flow, json_path="$.data.viewer.id")["result"], ["user-id-12345"])


class Bounds(E2E):
    flags = ("--toolset", "all")

    def test_W4_what_is_kept_is_bounded_and_stands_in_the_home(self):
        cwd = self.directory / "elsewhere"
        cwd.mkdir()
        with Serve("--toolset", "all", "--ring-exchanges", "50", "--upstream-ca", self.fakes.pem, prefix=("/usr/bin/env", f"--chdir={cwd}")) as serve:
            origin = self.new_origin(plain=True)
            config = self.directory / "urls"
            config.write_text("".join(f"url = http://127.0.0.1:{origin.port}/hello?n={n}\noutput = /dev/null\n" for n in range(120)))
            serve.curl("--config", str(config))
            rows = poll(lambda: (lambda found: found if found and "n=119" in found[0]["url"] else None)(serve.call("get_traffic_summary", limit=1000)["result"]), 10, "the newest")
            self.assertLessEqual(len(rows), 50)
            self.assertEqual([row["url"].split("=")[1] for row in rows], [str(n) for n in range(119, 119 - len(rows), -1)])
            self.assertEqual(list(pathlib.Path(cwd).iterdir()), [])


if __name__ == "__main__":
    unittest.main()
