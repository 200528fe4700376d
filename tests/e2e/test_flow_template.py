"""proxy_generate_flow_template: what earlier answers brought gets names, and the template replays (docs/replay.md)."""
import itertools
import json
import unittest

from test_replay import Replays


class Templates(Replays):
    def shop(self):
        """A site that wants its own session cookie, token and order number back, new ones for each login."""
        origin = self.new_origin()
        numbers = itertools.count(1)
        known = {}

        def login(talk):
            n = next(numbers)
            known.update(token=f"tok/{n}+secret-{n:04}", sid=f"sid-{n:08}", order=f"order-{n:06}")
            talk.answer(body=json.dumps({"data": {"token": known["token"]}}), fields=[
                ("Content-Type", "application/json"), ("Set-Cookie", "theme=dark; Path=/"), ("Set-Cookie", f"sid={known['sid']}; Path=/; HttpOnly")])

        def orders(talk):
            good = talk.request.get("authorization") == "Bearer " + known["token"] and f"sid={known['sid']}" in talk.request.get("cookie")
            talk.answer(body=json.dumps({"order": known["order"]} if good else {}), status="200 OK" if good else "403 No")

        def pay(talk):
            good = json.loads(talk.request.body) == {"order": known["order"], "token": known["token"]}
            talk.answer(body="paid" if good else "no", status="200 OK" if good and known["order"] in talk.request.target else "403 No")
        origin.routes.update({"/login": login, "/orders": orders, "/pay": pay})
        session = self.serve.call("proxy_session_start", capture_profile="full")["session"]["id"]

        def get(path, *more):
            done = self.serve.curl(origin.url(path), *more)
            self.assertEqual(done.returncode, 0, done.stderr)
        get("/login", "-d", "user=me")
        get("/orders", "-H", f"Authorization: Bearer {known['token']}", "-H", f"Cookie: theme=dark; sid={known['sid']}")
        get(f"/pay?order={known['order']}", "-H", "Content-Type: application/json", "-d", json.dumps({"order": known["order"], "token": known["token"]}))
        self.serve.call("proxy_session_stop")
        return origin, session, dict(known)

    def test_values_get_names_and_the_template_replays_with_new_ones(self):
        origin, session, known = self.shop()
        made = self.serve.call("proxy_generate_flow_template", session_id=session)
        self.assertEqual(made["stepCount"], 3)
        self.assertEqual({one["name"]: one["from"] for one in made["variables"]},
                         {"token": "body /data/token", "sid": "header set-cookie", "order": "body /order"})
        uses = [sorted((one["name"], one["in"]) for one in step["uses"]) for step in made["steps"]]
        self.assertEqual(uses, [[], [("sid", "header Cookie"), ("token", "header Authorization")],
                                [("order", "body"), ("order", "url"), ("token", "body")]])
        self.assertIn("order=${order}", made["steps"][2]["url"])
        for value in known.values():
            self.assertNotIn(value, json.dumps(made))
        sent = made["steps"][1]["headers"]
        self.assertIn("Authorization: Bearer ${token}", sent)
        self.assertTrue(any(field.startswith("Cookie: theme=[redacted:cookie:") and field.endswith("; sid=${sid}") for field in sent), sent)
        self.assertEqual(json.loads(made["steps"][2]["body"]), {"order": "${order}", "token": "${token}"})
        plain = self.replay(session, allow_unsafe=True)
        self.assertEqual([item["responseStatus"] for item in plain["items"]], [200, 403, 403], "recorded values are of yesterday")
        self.assertEqual(made["replay"]["tool"], "proxy_replay_session")
        again = self.serve.call("proxy_replay_session", **made["replay"]["arguments"])
        self.assertEqual([item["responseStatus"] for item in again["items"]], [200, 200, 200], again)
        self.assertNotIn("notChained", again)
        self.assertNotIn(known["token"].encode(), origin.requests[-1].body)

    def test_names_that_the_recording_itself_has_are_no_variables(self):
        origin = self.new_origin()
        numbers = itertools.count(1)
        origin.routes["/login"] = lambda talk: talk.answer(body=json.dumps({"order": f"order-{next(numbers):06}"}), fields=[("Content-Type", "application/json")])
        body = "${order} and ${timestamp}, $$ at $%s"
        session = self.record(("/login",), ("/pay", "-H", "Content-Type: text/plain", "-d", body % "order-000001"), origin=origin)
        made = self.serve.call("proxy_generate_flow_template", session_id=session)
        done = self.serve.call("proxy_replay_session", **made["replay"]["arguments"])
        self.assertEqual(done["totals"]["sent"] if "totals" in done else len(done["items"]), 2, done)
        self.assertEqual(origin.requests[-1].body.decode(), body % "order-000002", "only what was recorded gives way")

    def test_what_a_client_said_first_is_no_variable_and_short_values_are_none(self):
        origin = self.new_origin()
        origin.routes["/first"] = lambda talk: talk.answer(body=json.dumps({"echoed": "said-by-the-client", "short": "1234567"}))
        session = self.record(("/first?x=said-by-the-client",), ("/hello?x=said-by-the-client&y=1234567",), origin=origin)
        made = self.serve.call("proxy_generate_flow_template", session_id=session)
        self.assertEqual((made["variables"], made["stepCount"]), ([], 2))

    def test_a_variable_whose_recorded_value_is_not_there_is_named(self):
        session = self.record(("/hello",), ("/hello?2",))
        ids = self.ids(session)
        answer = self.replay(session, exchange_ids=ids, chain=True, extract=[{"name": "gone", "exchange_id": ids[0], "pointer": "/no"}])
        self.assertEqual(answer["notChained"], ["gone"])


if __name__ == "__main__":
    unittest.main()
