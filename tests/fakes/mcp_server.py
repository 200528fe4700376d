"""An MCP server on standard input and output for tests of the gateway: tools that do what their names say, and requests
of its own. What it received is appended to the file in $RECEIVED, one line each, as it came.

Environment: RECEIVED (a file), TOOLS (a JSON file: the list; read anew for each tools/list), TASKS (a file: calls may be
tasks, whose ids are kept there for all servers that have it), MODE: what is odd about it
(`dies`: ends at the first call; `exit=N`: ends with N at the end of its input; `stays`: ignores the end and SIGTERM;
`twice`: answers each call twice; `pages`: one tool a page; `quiet`: no listChanged; `legacy`, `modern`: it has that era of
MCP alone, and is strict about it; `deaf`: reads nothing behind its first call)."""
import json
import os
import signal
import sys
import threading

MODE = os.environ.get("MODE", "")
LOCK = threading.Lock()
SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}, "amount": {"type": "number", "default": 7}}}
TOOLS = [{"name": name, "description": f"Tool {name}.", "inputSchema": SCHEMA, "x-unknown": {"kept": [1]}}
         for name in ("echo", "write_file", "delete_file", "ask_sampling", "ask_elicitation", "ask_roots", "progress", "wait",
                      "error", "refuse", "change", "secret", "huge")]
# Only where it has one era alone.
MORE = {"legacy": [{"name": "needs_url"}, {"name": "touch"}, {"name": "log"},
                   {"name": "only_as_task", "execution": {"taskSupport": "required"}}],
        "modern": [{"name": "touch"}, {"name": "log"}, {"name": "demanding"},
                   {"name": "numbers", "outputSchema": {"type": "array", "items": {"type": "integer"}}}]}
VERSION, SUBSCRIPTION = "io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/subscriptionId"
QUESTIONS = {"ask_sampling": ("sampling/createMessage", {"messages": [], "maxTokens": 5}), "ask_roots": ("roots/list", {}),
             "ask_elicitation": ("elicitation/create", {"message": "Name?", "requestedSchema": {"type": "object", "properties": {}}})}
cancelled = {}
answers = {}
listening = {}
initialized = False


def send_raw(text):
    with LOCK:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def send(message):
    whole = json.dumps({"jsonrpc": "2.0", **message})
    if MODE == "wrapped" and "result" in message and "tools" in str(message["result"])[:10]:
        # What no filter that takes arrays or other ids for something else would see.
        send_raw(f"[{whole}]")
        send_raw(json.dumps({"jsonrpc": "2.0", **message, "id": float(message["id"])}))
        send_raw(json.dumps({"jsonrpc": "2.0", **message, "id": str(message["id"])}))
    send_raw(whole)


def tools():
    path = os.environ.get("TOOLS")
    more = [{"inputSchema": SCHEMA, **tool} for tool in MORE.get(MODE, [])]
    return json.load(open(path)) if path and os.path.exists(path) else TOOLS + more


def listed(params):
    every = tools()
    if MODE != "pages":
        return {"tools": every, "_meta": {"kept": "1"}, "unknown": 1}
    at = int(params.get("cursor", "0"))
    return {"tools": every[at:at + 1], **({"nextCursor": str(at + 1)} if at + 1 < len(every) else {})}


def text(words, **more):
    return {"content": [{"type": "text", "text": words}], **more}


def ask(method, params):
    number = f"s{len(answers)}"
    answers[number] = [threading.Event(), None]
    send({"id": number, "method": method, "params": params})
    answers[number][0].wait(20)
    return answers[number][1]


def task_of(number):
    return {"taskId": number, "status": "completed", "createdAt": "2026-01-01T00:00:00Z", "ttl": None}


def answer_task(number, method, params):
    """Of all that were ever made with this file of tasks, whoever asks."""
    with open(os.environ["TASKS"], "a+") as known:
        known.seek(0)
        made = [line.split() for line in known.read().splitlines()]
        if method == "tools/call":
            known.write(f"T{len(made)} {params['name']}\n")
            return send({"id": number, "result": {"task": task_of(f"T{len(made)}")}})
    if method == "tasks/list":
        return send({"id": number, "result": {"tasks": [task_of(one) for one, _ in made]}})
    if params["taskId"] not in [one for one, _ in made]:
        return send({"id": number, "error": {"code": -32602, "message": "no such task"}})
    if method == "tasks/result":
        secret = "sk_live_abcdef123"
        return send({"id": number, "result": text(f"the key is {secret}", structuredContent={"token": secret})})
    return send({"id": number, "result": task_of(params["taskId"])})


def call(number, line, params):
    name, arguments = params["name"], params.get("arguments", {})
    if MODE == "dies":
        os._exit(9)
    if MODE in MORE and one_era_call(number, name, params):
        return None
    if name == "echo":
        raw = line[line.index('"arguments"'):] if '"arguments"' in line else ""
        result = text(raw, structuredContent=arguments, isError=False, unknown={"kept": True})
        # Spellings that this language does not keep are written by hand.
        body = json.dumps(result)[:-1] + ', "spelled": [1.0, 1.10, 1e2, -0, 12345678901234567890123]}'
        return send_raw('{"jsonrpc":"2.0","id":%s,"result":%s}' % (json.dumps(number), body))
    if name == "error":
        return send({"id": number, "error": {"code": -32042, "message": "pay first", "data": {"price": 3}, "unknown": 1}})
    if name == "refuse":
        return send({"id": number, "error": {"code": -32602, "message": "bad arguments"}})
    if name == "progress":
        token = params.get("_meta", {}).get("progressToken")
        for step in (1, 2):
            if token is not None:
                send({"method": "notifications/progress",
                      "params": {"progressToken": token, "progress": step, "total": 2, "message": f"step {step}", "unknown": 1}})
    if name == "wait":
        cancelled[number] = threading.Event()
        if cancelled[number].wait(20):
            return None
    if name == "ask_sampling":
        return send({"id": number, "result": text(json.dumps(ask("sampling/createMessage", {"messages": [], "maxTokens": 5})))})
    if name == "ask_elicitation":
        asked = {"message": "Name?", "requestedSchema": {"type": "object", "properties": {}}}
        return send({"id": number, "result": text(json.dumps(ask("elicitation/create", asked)))})
    if name == "ask_roots":
        return send({"id": number, "result": text(json.dumps(ask("roots/list", {})))})
    if name == "change":
        send({"method": "notifications/tools/list_changed"})
    if name == "secret":
        return send({"id": number, "result": text("the key is sk_live_abcdef123", structuredContent={"token": "sk_live_abcdef123"})})
    if name == "huge":
        return send({"id": number, "result": text("x" * int(arguments.get("amount", 0)))})
    result = text("done", isError=bool(arguments.get("fail")))
    send({"id": number, "result": result})
    if MODE == "twice":
        send({"id": number, "result": text("again")})
    return None


def touch():
    """Lists and the resource a:b have changed."""
    if MODE == "legacy":
        send({"method": "notifications/tools/list_changed"})
        return send({"method": "notifications/resources/updated", "params": {"uri": "a:b"}})
    for number, wanted in listening.items():
        meta = {"_meta": {SUBSCRIPTION: number}}
        if wanted.get("toolsListChanged"):
            send({"method": "notifications/tools/list_changed", "params": meta})
        if "a:b" in wanted.get("resourceSubscriptions", []):
            send({"method": "notifications/resources/updated", "params": {"uri": "a:b", **meta}})
    return None


def one_era_call(number, name, params):
    """What differs between the eras; False: nothing does."""
    complete = {"resultType": "complete"} if MODE == "modern" else {}
    if name == "needs_url":
        wanted = {"mode": "url", "elicitationId": "e1", "url": "https://example.com/open", "message": "Open it."}
        send({"id": number, "error": {"code": -32042, "message": "open it first", "data": {"elicitations": [wanted]}}}
             if not answers.get("opened") else {"id": number, "result": text("opened")})
        answers["opened"] = True
    elif name == "touch":
        touch()
        send({"id": number, "result": text("touched", **complete)})
    elif name == "log":
        if MODE == "legacy" or params["_meta"].get("io.modelcontextprotocol/logLevel"):
            for level in ("debug", "error"):
                send({"method": "notifications/message", "params": {"level": level, "data": f"at {level}"}})
        send({"id": number, "result": text("logged", **complete)})
    elif name == "numbers":
        send({"id": number, "result": text("[1,2]", structuredContent=[1, 2], **complete)})
    elif name == "demanding":
        send({"id": number, "result": {"resultType": "input_required", "requestState": "again"}})
    elif MODE == "modern" and name in QUESTIONS:
        given, method = params.get("inputResponses"), QUESTIONS[name][0]
        if given is None:
            asked = {"method": method, **({"params": QUESTIONS[name][1]} if QUESTIONS[name][1] else {})}
            send({"id": number, "result": {"resultType": "input_required", "requestState": "s-1", "inputRequests": {"k": asked}}})
        elif params.get("requestState") == "s-1":
            send({"id": number, "result": text(json.dumps(given["k"]), **complete)})
        else:
            send({"id": number, "error": {"code": -32602, "message": "what state is that"}})
    else:
        return False
    return True


def out_of_era(number, method, params):
    """Refuses what a server of one era alone does not take."""
    global initialized
    modern = VERSION in params.get("_meta", {})
    if MODE == "legacy":
        initialized = initialized or method == "initialize"
        if method == "server/discover":
            send({"id": number, "error": {"code": -32601, "message": "Method not found"}})
        elif modern or not initialized or {"inputResponses", "requestState"} & set(params):
            send({"id": number, "error": {"code": -32600, "message": "not in this era"}})
        else:
            return False
        return True
    if not modern:
        send({"id": number, "error": {"code": -32022, "message": "Unsupported protocol version",
                                      "data": {"supported": ["2026-07-28"], "requested": "none"}}})
    elif method in ("initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"):
        send({"id": number, "error": {"code": -32601, "message": "Method not found"}})
    else:
        return False
    return True


def handle(line):
    with open(os.environ["RECEIVED"], "a") as log:
        log.write(line + "\n")
    message = json.loads(line)
    number, method, params = message.get("id"), message.get("method"), message.get("params", {})
    if method is None:
        entry = answers.get(number)
        if entry:
            entry[1] = message.get("result", message.get("error"))
            entry[0].set()
        return
    if number is None:
        if method == "notifications/cancelled" and params.get("requestId") in cancelled:
            cancelled[params["requestId"]].set()
        if method == "notifications/cancelled":
            listening.pop(params.get("requestId"), None)
        return
    if MODE in MORE and out_of_era(number, method, params):
        return
    if "TASKS" in os.environ and (method.startswith("tasks/") or "task" in params):
        return answer_task(number, method, params)
    modern = "io.modelcontextprotocol/protocolVersion" in params.get("_meta", {})
    more = {"resultType": "complete"} if modern else {}
    offered = {"tools": {} if MODE == "quiet" else {"listChanged": True}, "resources": {"subscribe": True}, "prompts": {},
               "completions": {}, "logging": {}, "experimental": {"odd": {}}}
    if method == "initialize":
        send({"id": number, "result": {"protocolVersion": params["protocolVersion"], "capabilities": offered,
                                       "serverInfo": {"name": "fake", "version": "1", "unknown": 1}}})
    elif method == "server/discover":
        send({"id": number, "result": {"supportedVersions": ["2026-07-28"], "capabilities": offered, "ttlMs": 0,
                                       "cacheScope": "public", **more}})
    elif method == "tools/list":
        send({"id": number, "result": {**listed(params), **({"ttlMs": 0, "cacheScope": "public"} if modern else {}), **more}})
    elif method == "tools/call":
        threading.Thread(target=call, args=(number, line, params), daemon=True).start()
    elif method in ("ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"):
        send({"id": number, "result": {}})
    elif method == "resources/list":
        send({"id": number, "result": {"resources": [{"uri": "a:b", "name": "b"}]}})
    elif method == "resources/read" and MODE in MORE and params["uri"].startswith("missing:"):
        send({"id": number, "error": {"code": -32002 if MODE == "legacy" else -32602, "message": "Resource not found"}})
    elif method == "resources/read":
        send({"id": number, "result": {"contents": [{"uri": params["uri"], "text": "sk_live_abcdef123"}], "unknown": 1}})
    elif method == "prompts/get":
        send({"id": number, "result": {"messages": []}})
    elif method == "subscriptions/listen":  # which stays
        listening[number] = params.get("notifications", {})
        send({"method": "notifications/subscriptions/acknowledged", "params": {
            "notifications": params.get("notifications", {}), "_meta": {"io.modelcontextprotocol/subscriptionId": number}}})
    elif method == "odd/method":
        send({"id": number, "result": {"odd": params}})
    else:
        send({"id": number, "error": {"code": -32601, "message": "Method not found"}})


def main():
    if MODE == "stays":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.alarm(60)  # and not for ever
    print("the fake server starts", file=sys.stderr, flush=True)
    for line in sys.stdin:
        if line.strip():
            handle(line.rstrip("\n"))
        if MODE == "deaf" and '"tools/call"' in line:
            threading.Event().wait(60)
    while MODE == "stays":
        signal.pause()
    sys.exit(int(MODE.split("=")[1]) if MODE.startswith("exit=") else 0)


main()
