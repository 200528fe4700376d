// What an official MCP client sees of `@modelcontextprotocol/server-everything`, everything that has no time or chance in it,
// as one line of JSON: directly, and through a gateway in front of it.
//   gateway.mjs GENERATION MODE COMMAND…      1|2; legacy|auto|modern (2 only); a URL instead of a command: over HTTP, $TOKEN
// $PREFIX: what its tools and prompts are called with, where it is one of several servers.
const [generation, mode, command, ...args] = process.argv.slice(2);
const capabilities = { sampling: {}, elicitation: { form: {} }, roots: { listChanged: true } };
const seen = { notices: [] };
const named = (name) => (process.env.PREFIX ?? "") + name;

const asked = {
  "sampling/createMessage": (params) => ({ role: "assistant", model: "none", content: { type: "text", text: JSON.stringify(params.messages) } }),
  "elicitation/create": (params) => ({ action: "accept", content: { name: params.message.length > 0 ? "Ada" : "", check: true, integer: 3 } }),
  "roots/list": () => ({ roots: [{ uri: "file:///tmp/one", name: "one" }] }),
};

async function make() {
  const identity = { name: "gateway-test", version: "1.0.0" };
  const spawn = { command, args, env: process.env, stderr: "ignore" };
  const http = { requestInit: { headers: { Authorization: `Bearer ${process.env.TOKEN}` } } };
  const overHttp = command.startsWith("http:");
  if (generation === "1") {
    const { Client } = await import("@modelcontextprotocol/sdk/client/index.js");
    const { StdioClientTransport } = await import("@modelcontextprotocol/sdk/client/stdio.js");
    const { StreamableHTTPClientTransport } = await import("@modelcontextprotocol/sdk/client/streamableHttp.js");
    const types = await import("@modelcontextprotocol/sdk/types.js");
    const client = new Client(identity, { capabilities });
    client.setRequestHandler(types.CreateMessageRequestSchema, (r) => asked["sampling/createMessage"](r.params));
    client.setRequestHandler(types.ElicitRequestSchema, (r) => asked["elicitation/create"](r.params));
    client.setRequestHandler(types.ListRootsRequestSchema, () => asked["roots/list"]());
    client.setNotificationHandler(types.ToolListChangedNotificationSchema, (n) => { seen.notices.push(n.method); });
    await client.connect(overHttp ? new StreamableHTTPClientTransport(new URL(command), http) : new StdioClientTransport(spawn));
    return client;
  }
  const { Client, StreamableHTTPClientTransport } = await import("@modelcontextprotocol/client");
  const { StdioClientTransport } = await import("@modelcontextprotocol/client/stdio");
  const client = new Client(identity, { capabilities, versionNegotiation: { mode: mode === "modern" ? { pin: "2026-07-28" } : mode } });
  for (const [method, answer] of Object.entries(asked)) client.setRequestHandler(method, (r) => answer(r.params));
  client.setNotificationHandler("notifications/tools/list_changed", (n) => { seen.notices.push(n.method); });
  await client.connect(overHttp ? new StreamableHTTPClientTransport(new URL(command), http) : new StdioClientTransport(spawn));
  return client;
}

async function outcome(promise) {
  try {
    return await promise;
  } catch (error) {
    return { thrown: error.code ?? error.name, message: error.message, data: error.data };
  }
}

const client = await make();
seen.server = [client.getServerVersion(), client.getServerCapabilities(), client.getInstructions()];
const call = (name, given = {}, options) => outcome(generation === "1"
  ? client.callTool({ name: named(name), arguments: given }, undefined, options) : client.callTool({ name: named(name), arguments: given }, options));

const tools = (await client.listTools()).tools;
seen.tools = tools;
seen.resources = await outcome(client.listResources());
seen.templates = await outcome(client.listResourceTemplates());
seen.prompts = await outcome(client.listPrompts());
seen.read = await outcome(client.readResource({ uri: "demo://resource/static/document/features.md" }));
seen.notThere = await outcome(client.readResource({ uri: "demo://nothing" }));
seen.prompt = await outcome(client.getPrompt({ name: named("args-prompt"), arguments: { city: "Zürich" } }));
seen.completed = await outcome(client.complete({
  ref: { type: "ref/prompt", name: named("completable-prompt") }, argument: { name: "department", value: "E" } }));
seen.level = await outcome(client.setLoggingLevel("error"));
seen.subscribed = await outcome(client.subscribeResource({ uri: "demo://resource/dynamic/text/1" }));
seen.unsubscribed = await outcome(client.unsubscribeResource({ uri: "demo://resource/dynamic/text/1" }));
seen.ping = await outcome(client.ping());

seen.calls = {
  echo: await call("echo", { message: "héllo\u0000 \u{1F600}" }),
  sum: await call("get-sum", { a: 0.1, b: 0.2 }),
  wrong: await call("get-sum", { a: "x" }),
  structured: await call("get-structured-content", { location: "New York" }),
  image: await call("get-tiny-image"),
  annotated: await call("get-annotated-message", { messageType: "error", includeImage: true }),
  links: await call("get-resource-links", { count: 2 }),
  sampling: await call("trigger-sampling-request", { prompt: "say it", maxTokens: 5 }),
  elicitation: await call("trigger-elicitation-request"),
  roots: await call("get-roots-list"),
};
seen.progress = [];
seen.calls.long = await call("trigger-long-running-operation", { duration: 0.2, steps: 4 }, { onprogress: (p) => seen.progress.push(p) });
const stop = new AbortController();
const pending = call("trigger-long-running-operation", { duration: 20, steps: 40 }, { signal: stop.signal, onprogress: () => stop.abort("enough") });
seen.cancelled = Boolean((await pending).thrown || (await pending).message);
seen.after = await call("echo", { message: "still here" });
seen.many = (await Promise.all(Array.from({ length: 50 }, (_, i) => call("echo", { message: String(i) })))).map((r) => r.content?.[0]?.text ?? r);
await client.close();
seen.notices = [...new Set(seen.notices)];
seen.progress = seen.progress.slice(0, 2);  // the client itself drops one that comes just before the answer
console.log(JSON.stringify(seen));
