"""gRPC as real programs speak it: every kind of call through the proxy, and its messages in the record."""
import base64
import json
import re
import unittest

from harness import E2E, HERE, ROOT, Serve, clean_environment, needs_node, poll, run, sluice  # first: it finds the fakes
from fakes.json_lines import JsonLines

NOT_FOUND, FAILED_PRECONDITION, CANCELLED, DEADLINE_EXCEEDED = 5, 9, 1, 4
CLIENT, SERVER = HERE / "clients" / "grpc.mjs", HERE / "clients" / "grpc_server.mjs"


def word(text, number=0, fail=0, blob=0):
    return {"text": text, "number": number, "fail": fail, "blob": blob}


class GrpcTest(E2E):
    plain = False

    @classmethod
    def setUpClass(cls):
        cls.node = needs_node()
        if not (HERE / "node_modules" / "@grpc").is_dir():
            raise unittest.SkipTest("tests/e2e/node_modules is older than its lock file (npm ci)")
        super().setUpClass()
        cls.start_server()

    @classmethod
    def start_server(cls):
        certificate, key = map(str, cls.fakes.leaf("localhost"))
        options = {"plain": True} if cls.plain else {"cert": certificate, "key": key}
        cls.server = JsonLines(cls.node, SERVER, json.dumps(options))
        cls.addClassCleanup(cls.server.close)
        cls.ports = cls.server.wait(lambda line: "port" in line)

    def task(self, calls, port=None, **task):
        task = {"target": f"localhost:{port or self.ports['port']}", "calls": calls, **task}
        if not self.plain:
            task.setdefault("ca", str(self.serve.ca))
        return json.dumps(task)

    def call(self, *calls, env=None, **task):
        """What came of calls that were made at once over one channel, by a program that was told of the proxy as its
        users would."""
        env = env if env is not None else {"https_proxy": self.serve.proxy_url}
        done = run(self.node, CLIENT, self.task(calls, **task), env=clean_environment(**env), seconds=60, check=0,
                   stdin=-3)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def record(self, method, port=None, **query):
        """The newest call of that method, with its messages."""
        self.serve.exchange(f":{port or self.ports['port']}/talk.Talk/{method}")
        return self.serve.exchange(f"/talk.Talk/{method}", include=["messages", "raw_head"], **query)

    def told(self, exchange):
        """(from, the protobuf's fields by number) of each message."""
        return [(item["from"], {field["field"]: field["value"] for field in item["fields"]})
                for item in exchange["messages"]["items"]]


class Calls(GrpcTest):
    def test_one_question_one_answer_and_metadata_both_ways(self):
        [said] = self.call({"method": "Say", "send": [{"text": "hello", "number": 7}],
                            "fields": {"x-from-client": ["one", "two"], "x-octets-bin": "00ff7f"}})
        self.assertEqual((said["code"], said["answers"]), (0, [word("hello", 7)]))
        self.assertEqual(said["head"]["x-in-head"], ["one, two"])
        self.assertEqual((said["trailers"]["x-octets-bin"], said["trailers"]["x-in-trailers"]),
                         (["00ff7f"], ["behind the answer"]))
        exchange = self.record("Say")
        self.assertEqual((exchange["protocol"], exchange["state"], exchange["anomalies"]), ("h2", "done", []))
        sent = [(field["name"], field["value"]) for field in exchange["request"]["rawHead"]["headers"]]
        self.assertEqual([value for name, value in sent if name == "x-from-client"], ["one", "two"])
        self.assertIn(("te", "trailers"), sent)
        trailers = {field["name"]: field["value"] for field in exchange["response"]["rawHead"]["trailers"]}
        self.assertEqual((trailers["grpc-status"], trailers["x-in-trailers"]), ("0", "behind the answer"))
        found = exchange["messages"]
        self.assertEqual((found["kind"], found["total"], found["complete"], found["status"]["name"]),
                         ("grpc", 2, True, "OK"))
        self.assertEqual([(who, fields[1], fields[2]) for who, fields in self.told(exchange)],
                         [("client", "hello", 7), ("server", "hello", 7)])
        self.assertEqual([item["type"] for item in found["items"]], ["message"] * 2)
        self.assertEqual([item.get("compressed", False) for item in found["items"]], [False] * 2)

    def test_a_stream_of_answers(self):
        [counted] = self.call({"method": "Count", "send": [{"text": "tick", "number": 200}]})
        self.assertEqual((counted["code"], counted["answers"]), (0, [word("tick", i) for i in range(200)]))
        exchange = self.record("Count", limit=1000)
        self.assertEqual([fields.get(2, 0) for who, fields in self.told(exchange) if who == "server"], list(range(200)))
        page = self.record("Count", limit=10, offset=100)["messages"]
        self.assertEqual(([item["number"] for item in page["items"]], page["total"], page["nextOffset"]),
                         (list(range(100, 110)), 201, 110))

    def test_a_stream_of_questions(self):
        words = [f"word{i}" for i in range(100)]
        [gathered] = self.call({"method": "Gather", "send": [{"text": text} for text in words]})
        self.assertEqual((gathered["code"], gathered["answers"]), (0, [word(" ".join(words), 100)]))
        exchange = self.record("Gather", limit=1000)
        self.assertEqual([fields[1] for who, fields in self.told(exchange) if who == "client"], words)

    def test_streams_both_ways_take_turns(self):
        """Each answer comes before the client says anything more."""
        [chat] = self.call({"method": "Chat", "turns": True,
                            "send": [{"text": f"word{i}", "number": i} for i in range(5)]})
        self.assertEqual(chat["order"], ["word", "answer"] * 5)
        self.assertEqual((chat["code"], chat["answers"]), (0, [word(f"word{i}, you say", i) for i in range(5)]))
        exchange = self.record("Chat")
        self.assertEqual([who for who, _ in self.told(exchange)], ["client"] * 5 + ["server"] * 5)

    def test_messages_larger_than_all_windows(self):
        [chat] = self.call({"method": "Chat", "turns": True, "send": [{"text": "large", "blob": 3_000_000}] * 3})
        self.assertEqual((chat["code"], [answer["blob"] for answer in chat["answers"]]), (0, [3_000_000] * 3))
        items = self.record("Chat")["messages"]["items"]
        self.assertEqual(len([1 for item in items if item["bytes"] > 3_000_000]), len(items))

    def test_many_calls_at_once(self):
        calls = [{"method": "Chat", "turns": True, "send": [{"text": f"{i}", "number": j} for j in range(3)]}
                 for i in range(60)]
        for i, chat in enumerate(self.call(*calls)):
            self.assertEqual((chat["code"], chat["answers"]), (0, [word(f"{i}, you say", j) for j in range(3)]))

    def test_a_failure_is_told_in_trailers(self):
        said, counted = self.call({"method": "Say", "send": [{"text": "x", "fail": NOT_FOUND}]},
                                  {"method": "Count", "send": [{"text": "x", "number": 2, "fail": FAILED_PRECONDITION}]})
        self.assertEqual((said["code"], said["details"]), (NOT_FOUND, "nothing läuft: 100%"))
        self.assertEqual(said["trailers"]["x-in-trailers"], ["behind the answer"])
        self.assertEqual((counted["code"], len(counted["answers"])), (FAILED_PRECONDITION, 2))
        for method, name in (("Say", "NOT_FOUND"), ("Count", "FAILED_PRECONDITION")):
            exchange = self.record(method)
            self.assertEqual((exchange["state"], exchange["response"]["statusCode"]), ("done", 200))
            self.assertEqual((exchange["messages"]["status"]["name"], exchange["messages"]["status"]["message"]),
                             (name, "nothing läuft: 100%"))
            self.assertIn("grpc-status", [f["name"] for f in exchange["response"]["rawHead"]["trailers"]])

    def test_a_failure_may_be_all_there_is_of_an_answer(self):
        [said] = self.call({"method": "Say", "send": [{"fail": NOT_FOUND}]})
        self.assertEqual((said["code"], said["details"], said["answers"]), (NOT_FOUND, "nothing läuft: 100%", []))
        exchange = self.record("Say")
        head = exchange["response"]["rawHead"]
        self.assertIn("grpc-status", [field["name"] for field in head["headers"]])
        self.assertNotIn("trailers", head)
        self.assertEqual((exchange["messages"]["status"]["name"], exchange["messages"]["total"]), ("NOT_FOUND", 1))

    def test_a_cancelled_call_is_cancelled_at_the_server(self):
        waited, chat = self.call({"method": "Wait", "send": [{"text": "cancel me"}], "cancel": 1500},
                                 {"method": "Chat", "turns": True, "send": [{"text": "so far"}], "cancel": 1500})
        self.assertEqual((waited["code"], chat["code"], len(chat["answers"])), (CANCELLED, CANCELLED, 1))
        self.server.wait(lambda line: line.get("cancelled") == "cancel me")
        self.server.wait(lambda line: line.get("cancelled") == "Chat")
        exchange = self.record("Wait")
        self.assertEqual((exchange["state"], exchange["error"]["code"], exchange["error"]["phase"]),
                         ("aborted", "client_aborted", "first_byte"))
        self.assertEqual(exchange["error"]["message"], "the client reset its stream (CANCEL) before the answer")
        self.assertEqual([who for who, _ in self.told(self.record("Chat"))], ["client", "server"])

    def test_a_deadline_reaches_the_server_and_ends_the_call(self):
        [waited] = self.call({"method": "Wait", "send": [{"text": "hurry"}], "deadline": 600})
        self.assertEqual(waited["code"], DEADLINE_EXCEEDED)
        self.assertTrue(self.server.wait(lambda line: line.get("waiting") == "hurry")["deadline"])
        self.server.wait(lambda line: line.get("cancelled") == "hurry")
        sent = {field["name"] for field in self.record("Wait")["request"]["rawHead"]["headers"]}
        self.assertIn("grpc-timeout", sent)

    def test_compressed_messages_are_read(self):
        [gathered] = self.call({"method": "Gather", "send": [{"text": "same again " * 40}] * 2},
                               options={"grpc.default_compression_algorithm": 2})
        self.assertEqual(gathered["code"], 0)
        exchange = self.record("Gather")
        items = [item for item in exchange["messages"]["items"] if item["from"] == "client"]
        self.assertEqual([item["compressed"] for item in items], [True, True])
        self.assertEqual([fields[1] for who, fields in self.told(exchange) if who == "client"], ["same again " * 40] * 2)
        self.assertLess(exchange["request"]["bodySize"], 200)
        # On the wire it is what it was.
        wire = self.serve.exchange("/talk.Talk/Gather", include=["request_body"])["request"]["body"]
        self.assertTrue(base64.b64decode(wire["base64"])[5:].startswith(b"\x1f\x8b"))

    def test_compressed_answers_are_read(self):
        [counted] = self.call({"method": "Count"}, port=self.ports["squeezing"])
        self.assertEqual([answer["text"] for answer in counted["answers"]],
                         ["squeezed " * 50, "as it is", "squeezed again"])
        exchange = self.record("Count", self.ports["squeezing"])
        items = [item for item in exchange["messages"]["items"] if item["from"] == "server"]
        self.assertEqual([item.get("compressed", False) for item in items], [True, False, True])
        self.assertEqual([fields[1] for who, fields in self.told(exchange) if who == "server"],
                         ["squeezed " * 50, "as it is", "squeezed again"])

    def test_messages_of_an_open_call_are_listed(self):
        call = {"method": "Chat", "turns": True, "send": [{"text": "so far"}], "hold": True}
        client = JsonLines(self.node, CLIENT, self.task([call]), env=clean_environment(https_proxy=self.serve.proxy_url))
        self.addCleanup(client.close)

        def listed():
            rows = self.serve.traffic(url_filter="/talk.Talk/Chat", state=["open"])
            if not rows:
                return None
            found = self.serve.call("proxy_get_exchange", exchange_id=rows[-1]["id"], include=["messages"])
            found = found["exchange"]["messages"]
            return found if found["total"] == 2 else None
        found = poll(listed, 10, "two messages of an open call")
        self.assertEqual([(item["from"], item["fields"][0]["value"]) for item in found["items"]],
                         [("client", "so far"), ("server", "so far, you say")])
        self.assertFalse(found["complete"])
        self.assertNotIn("status", found)
        client.close()
        self.server.wait(lambda line: line.get("cancelled") == "Chat")

    def test_the_command_line_lists_messages(self):
        self.call({"method": "Say", "send": [{"text": "for the command line"}]})
        identity = self.record("Say")["id"]
        done = sluice("call", "proxy_get_exchange", f"exchange_id={identity}", 'include=["messages"]', home=self.serve.home,
                      check=0)
        self.assertEqual(json.loads(done.stdout)["exchange"]["messages"]["items"][0]["fields"][0]["value"],
                         "for the command line")


class Rules(GrpcTest):
    def test_a_rule_for_bodies_does_not_hold_up_a_call(self):
        self.add_rule({"hostname": "localhost"}, {"type": "passthrough",
                                                  "transformRequest": {"matchReplaceBody": [["word", "changed"]]},
                                                  "transformResponse": {"matchReplaceBody": [["say", "changed"]],
                                                                        "updateHeaders": {"x-added": "1"}}})
        [chat] = self.call({"method": "Chat", "turns": True, "send": [{"text": "word"}] * 2})
        self.assertEqual((chat["code"], chat["answers"]), (0, [word("word, you say")] * 2))
        self.assertEqual(chat["head"]["x-added"], ["1"])
        exchange = self.record("Chat")
        self.assertEqual((exchange["state"], exchange["anomalies"]), ("done", ["rule_body_limit"]))

    def test_a_rule_may_answer_a_call(self):
        """Also one whose client says no more before it is answered; what it has said is recorded."""
        self.add_rule({"hostname": "localhost", "urlPattern": "Talk/(Say|Chat)"},
                      {"type": "mock", "status": 200,
                       "headers": {"content-type": "application/grpc", "grpc-status": "14", "grpc-message": "mocked"}})
        said, chat, counted = self.call({"method": "Say", "send": [{"text": "a word"}]},
                                        {"method": "Chat", "turns": True, "send": [{"text": "a turn"}]},
                                        {"method": "Count", "send": [{"number": 1}]})
        self.assertEqual([(one["code"], one["details"]) for one in (said, chat)], [(14, "mocked")] * 2)
        self.assertEqual(counted["code"], 0)
        for method, text in (("Say", "a word"), ("Chat", "a turn")):
            exchange = self.record(method)
            self.assertEqual((exchange["state"], exchange["messages"]["status"]["name"]), ("done", "UNAVAILABLE"))
            self.assertEqual([(who, fields[1]) for who, fields in self.told(exchange)], [("client", text)])


class OtherWays(GrpcTest):
    def test_as_the_readme_says(self):
        [row] = re.findall(r"^\| gRPC .*", (ROOT / "README.md").read_text(), re.M)
        [roots], [proxy] = re.findall(r"`(GRPC_\w+)=", row), re.findall(r"`(\w+)=http://127.0.0.1:8080`", row)
        [said] = self.call({"method": "Say", "send": [{"text": "by environment"}]}, ca=None, roots=True,
                           env={roots: self.serve.ca, proxy: self.serve.proxy_url})
        self.assertEqual((said["code"], said["answers"]), (0, [word("by environment")]))
        self.assertEqual(self.record("Say")["messages"]["total"], 2)

    def test_the_proxy_as_a_channel_option(self):
        target = f"localhost:{self.ports['port']}"
        done = run(self.node, CLIENT, json.dumps({
            "target": f"127.0.0.1:{self.serve.proxy_port}", "ca": str(self.serve.ca),
            "options": {"grpc.http_connect_target": f"dns:{target}", "grpc.ssl_target_name_override": "localhost",
                        "grpc.default_authority": target},
            "calls": [{"method": "Say", "send": [{"text": "by option"}]}]}), env=clean_environment(), check=0, stdin=-3)
        self.assertEqual(json.loads(done.stdout)["answers"], [word("by option")])
        self.assertEqual(self.told(self.record("Say"))[0][1][1], "by option")

    def test_a_server_whose_certificate_nobody_vouches_for(self):
        with Serve("--upstream-insecure") as serve:
            [said] = self.call({"method": "Say", "send": [{"text": "insecure"}]}, env={"grpc_proxy": serve.proxy_url},
                               ca=str(serve.ca))
            self.assertEqual((said["code"], said["answers"]), (0, [word("insecure")]))
            exchange = serve.exchange("/talk.Talk/Say", include=["connection"])
            self.assertFalse(exchange["connection"]["upstream"]["tls"]["verified"])
        with Serve() as serve:
            [said] = self.call({"method": "Say", "send": [{"text": "secure"}]}, env={"grpc_proxy": serve.proxy_url},
                               ca=str(serve.ca))
            self.assertEqual(said["code"], 14)  # UNAVAILABLE: a 502 (gRPC over HTTP/2, "HTTP to gRPC status codes")
            self.assertEqual(serve.exchange("/talk.Talk/Say")["error"]["code"], "certificate")


class WithoutTls(GrpcTest):
    plain = True

    def test_calls_by_prior_knowledge(self):
        said, chat, failed = self.call({"method": "Say", "send": [{"text": "in the clear"}]},
                                       {"method": "Chat", "turns": True, "send": [{"text": "a"}, {"text": "b"}]},
                                       {"method": "Say", "send": [{"fail": NOT_FOUND}]})
        self.assertEqual(said["answers"], [word("in the clear")])
        self.assertEqual(chat["order"], ["word", "answer"] * 2)
        self.assertEqual((failed["code"], failed["details"]), (NOT_FOUND, "nothing läuft: 100%"))
        exchange = self.record("Chat")
        self.assertTrue(exchange["request"]["url"].startswith("http://localhost:"))
        self.assertEqual((exchange["protocol"], exchange["messages"]["total"]), ("h2", 4))


if __name__ == "__main__":
    unittest.main()
