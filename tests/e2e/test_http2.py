"""HTTP/2 on both sides, in every combination with HTTP/1 (engine.md 1, 2, 4)."""
import json
import socket
import threading
import time

from harness import E2E, HERE, clean_environment, needs, needs_node, poll, run  # first: it knows where the fakes are
from fakes import h2_raw
from fakes.closing import close_listener
from fakes.h2_origin import H2Origin


class Http2(E2E):
    def setUp(self):
        super().setUp()
        self.node = needs_node()

    def h2_origin(self, plain=False, **options):
        leaf = None if plain else self.fakes.leaf("localhost", "127.0.0.1")
        origin = H2Origin(self.node, leaf, **options)
        self.addCleanup(origin.close)
        return origin

    def h2(self, origin, *requests, **task):
        """The requests, all at once on one connection; what came of each."""
        task = {"proxy": self.serve.proxy_port, "authority": f"localhost:{origin.port}", "ca": str(self.serve.ca),
                "requests": [r if isinstance(r, dict) else {"path": r} for r in requests], **task}
        done = run(self.node, HERE / "clients" / "h2.mjs", json.dumps(task), seconds=60, check=0)
        self.client_report = json.loads(done.stdout)
        return self.client_report["results"]


class Combinations(Http2):
    def test_h2_client_h2_origin(self):
        origin = self.h2_origin()
        [answer] = self.h2(origin, "/hello")
        self.assertEqual((answer["status"], answer["body"]), (200, "hello"))
        exchange = self.serve.exchange(f":{origin.port}/hello")
        self.assertEqual(exchange["protocol"], "h2")
        self.assertEqual(exchange["state"], "done")

    def test_h2_client_h1_origin(self):
        with_rule = self.origin  # speaks http/1.1 only: with a rule that may answer, ALPN is the client's first choice
        self.add_rule({"hostname": "localhost", "urlPattern": "never"}, {"type": "mock", "status": 200})
        body = "x" * 5000
        get, post = self.h2(with_rule, "/head", {"path": "/echo", "method": "POST", "body": body})
        self.assertEqual(get["status"], 200)
        self.assertTrue(get["body"].startswith("GET /head HTTP/1.1\r\nhost: localhost"), get["body"])
        self.assertEqual((post["status"], post["size"]), (200, len(body)))

    def test_h1_client_h2_only_origin(self):
        origin = self.h2_origin()
        done = self.serve.curl("--http1.1", "--suppress-connect-headers", "-i",
                               f"https://localhost:{origin.port}/hello", check=0)
        self.assertTrue(done.stdout.startswith("HTTP/1.1 200 OK"), done.stdout)
        self.assertTrue(done.stdout.endswith("hello"))
        done = self.serve.curl("--http1.1", "--data-binary", "@-", f"https://localhost:{origin.port}/echo",
                               input="y" * 300000, check=0)
        self.assertEqual(len(done.stdout), 300000)

    def test_h1_client_gets_what_the_origin_takes(self):
        origin = self.h2_origin(http1=True)
        done = self.serve.curl("--http1.1", f"https://localhost:{origin.port}/x", check=0)
        self.assertEqual(done.stdout, "http/1.1 /x")

    def test_curl_speaks_h2_through_connect(self):
        origin = self.h2_origin()
        done = self.serve.curl("--http2", "-w", "%{http_version}", f"https://localhost:{origin.port}/hello", check=0)
        self.assertEqual(done.stdout, "hello2")

    def test_prior_knowledge_without_tls(self):
        origin = self.h2_origin(plain=True)
        done = self.serve.curl("--http2-prior-knowledge", "--proxytunnel", "-w", "%{http_version}",
                               f"http://localhost:{origin.port}/hello", check=0)
        self.assertEqual(done.stdout, "hello2")
        self.assertEqual(self.serve.exchange(f":{origin.port}/hello")["protocol"], "h2")


class Cases(Http2):
    def setUp(self):
        super().setUp()
        self.h2o = self.h2_origin()

    def test_header_order_crumbs_and_duplicates_stay(self):
        [answer] = self.h2(self.h2o, {"path": "/head", "headers": {"x-b": "1", "cookie": ["a=1", "b=2"], "x-a": "2"}})
        raw = json.loads(answer["body"])
        names = raw[::2]
        self.assertEqual(names[:4], [":method", ":authority", ":scheme", ":path"])
        self.assertEqual([n for n in names[4:]], ["x-b", "cookie", "cookie", "x-a"])

    def test_trailers_pass_both_ways(self):
        [answer] = self.h2(self.h2o, {"path": "/echo-trailers", "method": "POST", "body": "abc",
                                      "trailers": {"x-client-trailer": "there"}})
        self.assertEqual(answer["body"], "abc")
        self.assertEqual(answer["trailers"], {"x-client-trailer": "there", "x-origin-trailer": "yes"})

    def test_interim_answers_pass(self):
        [answer] = self.h2(self.h2o, "/hints")
        self.assertEqual((answer["interim"], answer["status"], answer["body"]), ([103], 200, "after hints"))

    def test_reset_codes_pass_from_the_origin(self):
        answers = self.h2(self.h2o, "/reset?code=11", "/reset-later", "/hello")
        self.assertEqual([a["code"] for a in answers], [11, 2, 0])
        self.assertEqual(answers[2]["body"], "hello")
        self.assertEqual(self.serve.exchange("/reset?code=11")["state"], "failed")

    def test_a_client_that_cancels_resets_the_origins_stream(self):
        [answer] = self.h2(self.h2o, {"path": "/hold?mine", "cancelAfter": 200})
        self.assertEqual(answer["code"], 8)

        def told():
            [resets] = self.h2(self.h2o, "/resets")
            return ["/hold?mine", 8] in json.loads(resets["body"])
        poll(told, 10, "the origin's reset")
        self.assertEqual(self.serve.exchange("/hold?mine")["state"], "aborted")

    def test_an_answer_before_the_end_of_the_request(self):
        [answer] = self.h2(self.h2o, {"path": "/early", "method": "POST", "bodySize": 3_000_000})
        self.assertEqual((answer["status"], answer["body"]), (413, "too much"))

    def test_one_upstream_connection_carries_all_streams(self):
        answers = self.h2(self.h2o, *["/hello"] * 50)
        self.assertEqual({a["headers"]["x-session"] for a in answers}, {answers[0]["headers"]["x-session"]})

    def test_streams_that_wait_for_one_dial_share_its_connection(self):
        """A rule that may answer keeps Sluice from dialling first: all streams want the origin at the same moment."""
        self.add_rule({"hostname": "localhost", "urlPattern": "never-asked-for"}, {"type": "mock", "status": 200})
        answers = self.h2(self.h2o, *["/hello"] * 50)
        self.assertEqual([a["status"] for a in answers], [200] * 50)
        self.assertEqual({a["headers"]["x-session"] for a in answers}, {answers[0]["headers"]["x-session"]})

    def test_a_held_stream_never_stops_its_siblings(self):
        """100 streams: one held, one slow, one reset, one whose client does not read."""
        requests = ["/hold", "/slow", "/reset?code=2", {"path": "/bytes?n=3000000", "read": False}]
        requests[0] = {"path": "/hold", "cancelAfter": 4000}
        requests[3]["cancelAfter"] = 4000
        requests += [{"path": "/bytes?n=100000"}] * 96
        start = time.monotonic()
        answers = self.h2(self.h2o, *requests)
        self.assertLess(time.monotonic() - start, 30)
        self.assertEqual([a["size"] for a in answers[4:]], [100000] * 96)
        self.assertEqual(answers[1]["body"], "tick\n" * 20)

    def test_goaway_of_the_origin_is_survived(self):
        first = self.h2(self.h2o, "/goaway", "/hello", oneByOne=True)
        self.assertEqual([a["status"] for a in first], [200, 200])

    def test_another_authority_gets_421(self):
        [answer] = self.h2(self.h2o, {"path": "/hello", "authority": "elsewhere.test"})
        self.assertEqual(answer["status"], 421)

    def test_large_bodies_pass_and_are_recorded(self):
        down, up = self.h2(self.h2o, "/bytes?n=20000000", {"path": "/echo?large", "method": "POST", "bodySize": 5_000_000})
        self.assertEqual((down["size"], up["size"]), (20_000_000, 5_000_000))
        exchange = self.serve.exchange("/bytes?n=20000000")
        self.assertEqual(exchange["response"]["bodySize"], 20_000_000)

    def test_alt_svc_goes(self):
        [answer] = self.h2(self.h2o, "/alt-svc")
        self.assertNotIn("alt-svc", answer["headers"])
        self.assertEqual(answer["headers"]["x-kept"], "yes")

    def test_the_clients_http2_print_is_recorded(self):
        self.h2(self.h2o, "/hello?print", settings={"initialWindowSize": 70000})
        exchange = self.serve.exchange("/hello?print", include=["connection"])
        self.assertIn("|", json.dumps(exchange))

    def test_rules_apply(self):
        self.add_rule({"hostname": "localhost", "urlPattern": "mocked"}, {"type": "mock", "status": 418, "body": "teapot"})
        self.add_rule({"urlPattern": "head"}, {"type": "passthrough", "transformRequest": {"updateHeaders": {"x-set": "1"}}})
        mocked, changed, dropped = self.h2(self.h2o, "/mocked", "/head", "/hello")
        self.assertEqual((mocked["status"], mocked["body"]), (418, "teapot"))
        self.assertIn("x-set", changed["body"])

    def test_a_dead_origin_is_a_page(self):
        import harness
        port = harness.free_port()
        task = type("O", (), {"port": port})
        [answer] = self.h2(task, "/x")
        self.assertEqual(answer["status"], 502)
        self.assertIn("refused", answer["body"].lower() + str(answer["headers"]))

    def test_the_setup_page_answers(self):
        done = self.serve.curl("--http2", "-o", "/dev/null", "-w", "%{http_code}", "http://sluice.setup/", check=0)
        self.assertEqual(done.stdout, "200")


class LateSettings(E2E):
    """An origin that takes HTTP/2 and lets its SETTINGS wait: what clients are offered waits for them."""
    flags = ("--workers", "1")

    def setUp(self):
        super().setUp()
        self.may_say, self.may_end = threading.Event(), threading.Event()
        context = self.fakes.server_context(alpn=["h2"])
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]

        def serve():
            try:
                accepted, _ = listener.accept()
                with context.wrap_socket(accepted, server_side=True) as connection:
                    self.may_say.wait(20)
                    connection.sendall(h2_raw.frame(h2_raw.SETTINGS))
                    self.may_end.wait(20)
            except OSError:
                pass
        thread = threading.Thread(target=serve)
        thread.start()
        self.addCleanup(thread.join, 10)
        self.addCleanup(close_listener, listener)
        self.addCleanup(self.may_end.set)

    def test_all_clients_that_wait_are_served(self):
        clients = [self.serve.tunnel(f"localhost:{self.port}", alpn=["h2"]) for _ in range(3)]
        for client in clients:
            self.addCleanup(client.close)
        self.may_say.set()
        for number, client in enumerate(clients):
            with self.subTest(client=number):
                kind, _, stream, _ = h2_raw.H2Raw(client).read_frame()
                self.assertEqual((kind, stream), (h2_raw.SETTINGS, 0))
