"""What a tool cannot do is refused in a sentence that says why, and what was in force stays (docs/rules.md)."""
import threading

from harness import E2E, ToolError, poll

DROP = {"type": "drop"}


def when(**matcher):
    return {"matcher": matcher, "handler": DROP}


def then(**handler):
    return {"matcher": {}, "handler": handler}


def edit(side="transformRequest", **transform):
    return then(type="passthrough", **{side: transform})


RULES = (
    # Patterns that RE2 cannot take, or nobody can.
    (when(urlPattern="("), "matcher.urlPattern: a group is not closed"),
    (when(urlPattern="a{2,1}"), "matcher.urlPattern: numbers out of order"),
    (when(urlPattern="[z-a]"), "matcher.urlPattern: range out of order"),
    (when(pathPattern="*a"), "matcher.pathPattern: nothing to repeat"),
    (when(pathPattern="a\\"), "at the end of the pattern"),
    (when(pathPattern="(?=x)"), "matcher.pathPattern: look-ahead .* is not supported: RE2"),
    (when(pathPattern="(?<!x)y"), "negative look-behind .* is not supported: RE2"),
    (when(pathPattern="(a)\\1"), r"back-reference .* is not supported: RE2"),
    (when(pathPattern="(?<n>a)\\k<n>"), r"back-reference .* is not supported: RE2"),
    (when(urlPattern="a{1001}"), "a repeat count above 1000"),
    (when(urlPattern="(a{100}){100}"), "repeats inside repeats"),
    (when(urlPattern="\\p{Nope}"), "general category"),
    (when(urlPattern="\\uD83D"), "half of a surrogate pair"),
    (when(urlPattern="(?i)api"), r"write \(\?i:"),
    (when(urlPattern="x" * 8193), "longer than 8,192"),
    (then(type="rewrite", urlPattern="(", replacement="x"), "handler.urlPattern: a group is not closed"),
    (then(type="rewrite", urlPattern="a", replacement="$2"), "names group 2, the pattern has 0"),
    (edit(regexReplaceBody=[["(?=a)", ""]]), "handler.transformRequest.regexReplaceBody: look-ahead"),
    (edit("transformMessage", regexReplace=[["(", ""]]), "handler.transformMessage.regexReplace: a group is not closed"),
    # Hosts, methods, headers, statuses.
    (when(hostname="a.com:80"), "matcher.hostname is a name alone"),
    (when(hostname="https://a.com"), "matcher.hostname is a name alone"),
    (when(hostname="*.a.com"), "use hostPattern"),
    (when(hostPattern="a.*.com"), "one star, as its first label"),
    (when(method="GET POST"), "matcher.method must be an HTTP method"),
    (when(headers={"a b": "c"}), '"a b" is not a header name'),
    (when(headers={"a": "x\ny"}), "matcher.headers.a holds a line break"),
    (when(protocol="http2"), 'matcher.protocol must be one of "http/1.1", "h2", "websocket"'),
    (then(type="mock", status=100), "handler.status is an interim status"),
    (then(type="mock", status=600), "handler.status must be from 200 to 599"),
    (then(type="mock", headers={"a": "c\r\nX: y"}), "handler.headers.a holds a line break"),
    (edit(updateHeaders={"Content-Length": "5"}), "Content-Length cannot be edited"),
    (edit(updateHeaders={":path": "/"}), "is not a header name"),
    (edit(replaceMethod="G T"), "replaceMethod must be an HTTP method"),
    (edit("transformResponse", replaceStatus=101), "replaceStatus is an interim status"),
    # Contradictions.
    ({"matcher": {"statusCode": 404}, "handler": {"type": "redirect", "location": "/"}},
     "matcher.statusCode is known when the request has gone"),
    ({"matcher": {"phase": "response"}, "handler": {"type": "hold"}}, "matcher.phase response is known when the request has gone"),
    (when(phase="request"), 'matcher.phase must be one of "response"'),
    ({"matcher": {"statusCode": 404}, "handler": {"type": "hold"}}, "hold with holdOn response"),
    ({**edit(replaceMethod="GET"), "matcher": {"statusCode": 404}}, "only transformResponse counts"),
    ({**then(**DROP), "on_match": "continue"}, "on_match continue is for rules that only edit"),
    (then(type="drop", transformMessage={"regexReplace": [["a", "b"]]}), "is for what goes on to a server"),
    (then(type="mock", location="/x"), "handler.location is for redirect"),
    # What is missing, unknown, or of another kind.
    (then(type="forward"), "handler.forwardTo is required for forward"),
    (then(type="forward", forwardTo="ftp://x"), "the scheme must be http or https"),
    (then(type="forward", forwardTo="x/y"), "a path is not allowed"),
    (then(type="forward", forwardTo="u:p@x"), "a user name is not allowed"),
    (then(type="redirect"), "handler.location is required for redirect"),
    (then(type="redirect", location="/x", status=200), "from 300 to 399"),
    (then(type="file"), "handler.path is required for file"),
    (then(type="file", path="../x"), r"must not have empty, \. or \.\. parts"),
    (then(type="rewrite"), "handler.urlPattern is required for rewrite"),
    (then(type="hold", timeoutMs=3_600_001), "handler.timeoutMs must be from 0 to 3600000"),
    (then(type="drop", delayMs=-5), "handler.delayMs must be from 0 to 300000"),
    (then(type="passthrough", throttle={}), "needs requestBytesPerSecond or responseBytesPerSecond"),
    (edit(jsonEdits=[{"op": "set", "pointer": "a", "value": 1}]), "a JSON pointer begins with /"),
    (edit(jsonEdits=[{"op": "set", "pointer": "/a"}]), "value is required for set"),
    (edit(matchReplaceBody=[["a"]]), r"matchReplaceBody\[0\] must be an array of exactly 2 strings"),
    (when(hostnam="x"), 'unknown argument "hostnam" in matcher, did you mean "hostname"'),
    (then(type="passthrough", transformRequst={}), 'did you mean "transformRequest"'),
    (edit(replaceStatus=200), 'unknown argument "replaceStatus" in handler.transformRequest'),
    (then(type="explode"), "handler.type must be one of"),
    (then(), "handler.type is required"),
)

UPSTREAMS = (
    ({"proxy_url": ""}, "not a parseable URL"), ({"proxy_url": "localhost:3128"}, "not a parseable URL"),
    ({"proxy_url": "http://h:99999"}, "not a parseable URL"),
    ({"proxy_url": "ftp://h:1"}, "has the scheme 'ftp', which is none of"),
    ({"proxy_url": "socks4://u:p@h:1"}, "SOCKS4 knows no passwords"), ({"proxy_url": "http://h h:1"}, "not a parseable URL"),
    ({"proxy_url": "http://h:1", "no_proxy": ["10.0.0.0/33"]}, "the no_proxy entry '10.0.0.0/33' is no name"),
    ({"proxy_url": "http://h:1", "no_proxy": "a.com"}, "no_proxy must be an array of strings"),
    ({"proxy_url": "http://h:1", "noproxy": ["a"]}, 'did you mean "no_proxy"'), ({"url": "http://h:1"}, 'unknown argument "url"'),
)

OPTIONS = (
    ({"record": False, "host": "a.com:443"}, "no host name"), ({"record": False, "host": "a.*.b"}, "no host name"),
    ({}, "name an option: tls, record"), ({"tls": "mitm"}, 'tls must be one of "intercept", "passthrough"'),
    ({"record": "no"}, "record must be a boolean"), ({"ca_file": "/etc/passwd"}, "no folder may be read"),
    ({"client_key_file": "k.pem"}, "needs client_cert_file"), ({"min_tls": "1.4"}, "min_tls must be one of"),
    ({"min_tls": 1.2}, "min_tls must be a string"), ({"reset": ["recor"]}, r"reset\[0\] must be one of"),
    ({"verify": False}, 'unknown argument "verify"'),
)

DECISIONS = (
    ({"edits": {"method": "CONNECT"}}, "edits.method must be an HTTP method"), ({"edits": {"url": "/x"}}, "begins with a scheme"),
    ({"edits": {"url": "https://h:99999/"}}, "edits.url: the port"), ({"edits": {"url": "https://u:p@h/"}}, "a user name"),
    ({"edits": {"headers": {":path": "/"}}}, "is not a header name"), ({"edits": {"boddy": "x"}}, 'did you mean "body"'),
    ({"edits": {"headers": {"Transfer-Encoding": "x"}}}, "cannot be edited"), ({"edits": []}, "edits must be an object"),
    ({"edits": {"rawHeaders": [["a"]]}}, "exactly 2 strings"), ({"edits": {"bodyBase64": "!"}}, "is not base64"),
    ({"action": "reply"}, 'action must be one of "continue", "respond", "drop"'), ({"actoin": "drop"}, 'did you mean "action"'),
    ({"action": "respond", "edits": {"status": 101}}, "an interim status"),
    ({"action": "respond", "edits": {"status": 600}}, "from 200 to 599"),
    ({"action": "respond", "edits": {"url": "https://x/"}}, "edits.url is for a held request that goes on"),
    ({"action": "drop", "edits": {"body": "x"}}, "what is dropped takes none"),
)


class Refusals(E2E):
    def state(self):
        status = self.serve.call("proxy_status")
        return (self.serve.call("proxy_list_rules"), status["globalUpstream"], status["hostUpstreams"],
                self.serve.call("proxy_list_host_options"))

    def refused(self, tool, table, **always):
        before = self.state()
        for arguments, reason in table:
            with self.subTest(tool, arguments=str(arguments)[:200]):
                with self.assertRaises(ToolError) as refused:
                    self.serve.call(tool, **{**always, **arguments})
                self.assertRegex(str(refused.exception).replace('\\"', '"'), reason)
                self.assertEqual(self.state(), before)

    def test_a_rule_that_cannot_work_is_not_added(self):
        self.add_rule({"pathPattern": "^/kept"}, {"type": "mock", "body": "kept"})
        self.refused("proxy_add_rule", RULES, description="bad")
        self.assertEqual(self.serve.curl(self.origin.url("/kept")).stdout, "kept")
        self.assertEqual(self.serve.curl(self.origin.url("/hello")).stdout, "hello from the origin\n")

    def test_a_rule_stays_as_it_was_if_its_change_is_refused(self):
        rule = self.add_rule({"pathPattern": "^/kept"}, {"type": "mock", "body": "kept"}, priority=7)
        self.refused("proxy_update_rule", (*RULES, ({"matcher": {"statusCode": 404, "bodyIncludes": "x"}}, "not together with bodyIncludes"),
                                           ({"on_match": "continue"}, "their handler is passthrough"),
                                           ({"rule_id": "rule_99"}, "Rule 'rule_99' not found"),
                                           ({"enabled": False}, 'unknown argument "enabled"')),
                     rule_id=rule, description="changed", priority=1)
        self.assertEqual(self.serve.curl(self.origin.url("/kept")).stdout, "kept")

    def test_an_upstream_proxy_stays_if_another_is_refused(self):
        self.addCleanup(self.serve.call, "proxy_clear_upstream")
        self.serve.call("proxy_set_upstream", proxy_url="http://127.0.0.1:9", no_proxy=["localhost"])
        own = ({"proxy_url": self.serve.proxy_url}, "Sluice's own address")
        self.refused("proxy_set_upstream", (*UPSTREAMS, own))
        self.refused("proxy_set_host_upstream", (*UPSTREAMS, own, ({"hostname": "a.com:443", "proxy_url": "http://h:1"},
                                                                   "no host name")), hostname="a.com")
        self.assertEqual(self.serve.curl(self.origin.url("/hello")).stdout, "hello from the origin\n")

    def test_options_of_a_host_stay_if_a_change_is_refused(self):
        self.addCleanup(self.serve.call, "proxy_remove_host_options", host="b.com")
        self.serve.call("proxy_set_host_options", host="b.com", record=False)
        self.refused("proxy_set_host_options", OPTIONS, host="b.com")

    def test_what_is_held_stays_held_if_the_decision_is_refused(self):
        self.add_rule({"pathPattern": "^/echo"}, {"type": "hold", "holdOn": "request"})
        done = []
        thread = threading.Thread(target=lambda: done.append(
            self.serve.curl("-d", "as it came", self.origin.url("/echo"), seconds=60)))
        thread.start()
        self.addCleanup(thread.join, 60)
        row = poll(lambda: self.serve.call("proxy_list_held")["held"], 10, "a held request")[0]
        self.refused("proxy_resume_exchange", DECISIONS, exchange_id=row["exchange_id"])
        self.refused("proxy_resume_exchange", (({}, "Exchange 'nope' is not held"),), exchange_id="nope")
        [after] = self.serve.call("proxy_list_held")["held"]
        for member in ("exchange_id", "phase", "method", "url", "rawHeaders", "body"):
            self.assertEqual(after[member], row[member])
        self.serve.call("proxy_resume_exchange", exchange_id=row["exchange_id"])
        thread.join(60)
        self.assertEqual(done[0].stdout, "as it came")
