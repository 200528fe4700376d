"""An MCP server on standard input and output that says what its callers tell it to, word for word: for tests of what a gate
makes of a server that lies. What it received is appended to the file in $RECEIVED, one line each.

Its tool `script` takes `say` (messages, sent before the answer; `$token` is the call's progress token), `answer` (the result) or `error`, `escaped` (letters of secrets are
written as escapes), and `later` ({method: result}: how it answers those methods from then on, where `$id` stands for the `taskId` that
was asked about). The other tools do nothing."""
import json
import os
import sys

EXTENSION = "io.modelcontextprotocol/tasks"
ANY = {"type": "object", "properties": {name: {} for name in ("say", "answer", "error", "later", "escaped")}}
TEXT = {"type": "object", "properties": {"text": {"type": "string"}, "amount": {"type": "number"}}}
TOOLS = [{"name": "script", "inputSchema": ANY}, {"name": "other", "inputSchema": ANY},
         *({"name": name, "inputSchema": TEXT} for name in ("echo", "write_file", "delete_file"))]
later = {}


def spelled(script, text):
    return text.replace("sk_live", "\\u0073k\\u005flive") if script.get("escaped") else text


def said(params):
    """What is to be said before the answer; `$token` stands for the call's own progress token."""
    token = json.dumps(params.get("_meta", {}).get("progressToken"))
    return json.loads(json.dumps(params.get("arguments", {}).get("say", [])).replace('"$token"', token))


def send(message, script=None):
    sys.stdout.write(spelled(script or {}, json.dumps({"jsonrpc": "2.0", **message})) + "\n")
    sys.stdout.flush()


def result_of(method, params):
    modern = {"resultType": "complete"} if "io.modelcontextprotocol/protocolVersion" in params.get("_meta", {}) else {}
    if method == "initialize":
        return {"protocolVersion": params["protocolVersion"], "serverInfo": {"name": "scripted", "version": "1"},
                "capabilities": {"tools": {}, "logging": {}, "tasks": {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}}}
    if method == "server/discover":
        return {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}, "extensions": {EXTENSION: {}}}, "ttlMs": 0,
                "cacheScope": "public", **modern}
    if method == "tools/list":
        return {"tools": TOOLS, **modern, **({"ttlMs": 0, "cacheScope": "public"} if modern else {})}
    if method in later:
        return json.loads(json.dumps(later[method]).replace("$id", params.get("taskId", "")))
    return {**({"taskId": params["taskId"], "status": "working", "ttl": None} if "taskId" in params else {}), **modern}


def call(number, params):
    script = params.get("arguments", {})
    later.update(script.get("later", {}))
    for message in said(params):
        send(message)
    if "error" in script:
        return send({"id": number, "error": script["error"]}, script)
    modern = {"resultType": "complete"} if "io.modelcontextprotocol/protocolVersion" in params.get("_meta", {}) else {}
    return send({"id": number, "result": modern | script.get("answer", {"content": []})}, script)


def main():
    for line in sys.stdin:
        with open(os.environ["RECEIVED"], "a") as log:
            log.write(line)
        message = json.loads(line)
        method, params = message.get("method"), message.get("params", {})
        if method == "subscriptions/listen":
            send({"method": "notifications/subscriptions/acknowledged", "params": {
                "notifications": params["notifications"], "_meta": {"io.modelcontextprotocol/subscriptionId": message["id"]}}})
        elif method == "tools/call":
            call(message["id"], params)
        elif "id" in message and method:
            send({"id": message["id"], "result": result_of(method, params)})


if __name__ == "__main__":
    main()
