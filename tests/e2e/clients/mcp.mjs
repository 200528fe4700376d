// An official MCP client calls every tool, traffic included, and prints what it saw as JSON.
//   mcp.mjs GENERATION ERA TRANSPORT   1|2, legacy|modern, stdio|http
// Environment: SLUICE, SLUICE_HOME_DIR, UPSTREAM_CA, ORIGIN (a URL); for http: MCP_URL, MCP_TOKEN.
import { ProxyAgent, fetch } from "undici";
import { connect } from "./mcp_client.mjs";

const [generation, era, transportName] = process.argv.slice(2);
const { ORIGIN } = process.env;
const name = `e2e-${generation}-${era}-${transportName}`;
const seen = { calls: {}, updates: [] };

const client = await connect(generation, era, transportName, { updated: (uri) => { seen.updates.push(uri); } });
if (generation === "2") seen.negotiated = client.getNegotiatedProtocolVersion();
seen.server = client.getServerVersion();
seen.capabilities = client.getServerCapabilities();
// Tools are listed first: then the client checks every answer against the tool's output schema.
seen.tools = (await client.listTools()).tools;

async function call(name, args = {}) {
  const result = await client.callTool({ name, arguments: args });
  if (result.isError) throw new Error(`${name}: ${result.content[0].text}`);
  if (JSON.stringify(JSON.parse(result.content[0].text)) !== JSON.stringify(result.structuredContent)) {
    throw new Error(`${name}: text and structuredContent differ`);
  }
  seen.calls[name] = (seen.calls[name] ?? 0) + 1;
  return result.structuredContent;
}

async function until(what, condition) {
  const end = Date.now() + 15000;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`${what} did not happen`);
    await new Promise((go) => setTimeout(go, 30));
  }
}

const ca = (await call("proxy_get_ca_cert")).certPem;
const started = await call("proxy_start");
seen.started = started;
seen.status = await call("proxy_status");
const agent = new ProxyAgent({ uri: `http://127.0.0.1:${started.port}`, requestTls: { ca } });
const get = (url, options) => fetch(url, { dispatcher: agent, ...options });

// A mock for a host that nobody can resolve.
const mock = await call("proxy_mock_response", { hostname: "api.nowhere.invalid", status: 200, body: '{"mocked":true}' });
const mocked = await get("https://api.nowhere.invalid/v1");
seen.mocked = { status: mocked.status, text: await mocked.text() };

// Subscribe, then cause traffic: the notice must come.
const summary = "proxy://traffic/summary";
let subscription;
if (era === "modern") subscription = await client.listen({ resourceSubscriptions: [summary] });
else await client.subscribeResource({ uri: summary });
const answered = await get(`${ORIGIN}/hello?by=${name}`);
seen.answered = { status: answered.status, text: await answered.text() };
await until("a resource notice", () => seen.updates.includes(summary));
await subscription?.close();

const row = await until("a record", async () => (await call("proxy_list_traffic", { url_filter: name })).exchanges[0]);
const exchange = (await call("proxy_get_exchange", { exchange_id: row.id, include: ["response_body", "timings", "connection", "raw_head"] })).exchange;
seen.body = exchange.response.body;
seen.fingerprints = (await call("proxy_get_tls_fingerprints", { exchange_id: row.id })).tls;
seen.search = (await call("proxy_search_traffic", { query: name })).matches;
const [answer] = (await call("proxy_list_traffic", { filter: "~d nowhere.invalid & ~c 200 & ~bs mocked" })).exchanges;
seen.decoded = (await call("proxy_decode_exchange", { exchange_id: answer.id, include: ["response"] })).response;
seen.exported = (await call("proxy_export_traffic", { exchange_id: row.id, format: "curl" })).text;

const added = (await call("proxy_add_rule", { description: "e2e", matcher: { hostname: "localhost", pathPattern: "^/ruled" }, handler: { type: "mock", status: 418, body: "ruled" } })).rule;
seen.ruled = (await get(`${ORIGIN}/ruled`)).status;
await call("proxy_update_rule", { rule_id: added.id, description: "e2e, changed" });
await call("proxy_disable_rule", { rule_id: added.id });
await call("proxy_enable_rule", { rule_id: added.id });
const many = await call("proxy_import_rules", { rules: [{ matcher: { hostname: "one.test" }, handler: { type: "drop" } }] });
await call("proxy_remove_rule", { rule_id: many.rule_ids[0] });
const tested = await call("proxy_test_rule_match", { mode: "simulate", request: { method: "GET", url: `${ORIGIN}/ruled` } });
seen.tested = tested.result.effectiveMatchCount;
const injected = await call("proxy_inject_headers", { hostname: "localhost", headers: { "X-Injected": "yes" } });
seen.rules = (await call("proxy_list_rules")).count;
for (const id of [added.id, injected.rule_id, mock.rule_id]) await call("proxy_remove_rule", { rule_id: id });

const rewritten = await call("proxy_rewrite_url", { match_pattern: "/old/", replace_with: "/new/" });
await call("proxy_remove_rule", { rule_id: rewritten.rule_id });

// Somebody decides what becomes of a request while its client waits.
const hold = (await call("proxy_add_rule", { description: "hold", matcher: { pathPattern: "^/held" }, handler: { type: "hold" } })).rule;
const waiting = get(`${ORIGIN}/held`);
const held = await until("a held request", async () => (await call("proxy_list_held")).held[0]);
await call("proxy_resume_exchange", { exchange_id: held.exchange_id, action: "respond", edits: { status: 203, body: "decided" } });
const decided = await waiting;
seen.decided = { status: decided.status, text: await decided.text() };
await call("proxy_remove_rule", { rule_id: hold.id });

// Upstream proxies and options of hosts.
await call("proxy_set_upstream", { proxy_url: "http://user:secret@127.0.0.1:9", no_proxy: ["localhost"] });
await call("proxy_set_host_upstream", { hostname: "*.example.test", proxy_url: "socks5h://127.0.0.1:9" });
seen.upstream = (await call("proxy_status")).globalUpstream;
await call("proxy_remove_host_upstream", { hostname: "*.example.test" });
await call("proxy_clear_upstream");
await call("proxy_set_host_options", { host: "old.example.test", verify_upstream: false, min_tls: "1.0" });
seen.options = (await call("proxy_list_host_options")).options.length;
await call("proxy_remove_host_options", { host: "old.example.test" });

seen.prints = await call("proxy_list_tls_fingerprints");
await call("proxy_get_tls_config");
await call("proxy_enable_server_tls_capture", { enabled: true });
await call("proxy_list_fingerprint_presets");
await call("proxy_check_fingerprint_runtime");
await call("proxy_clear_ja3_spoof");

// A failed call has isError and no structuredContent.
const failure = await client.callTool({ name: "proxy_get_exchange", arguments: { exchange_id: "nope" } });
seen.failure = { isError: failure.isError, text: failure.content[0].text, structured: failure.structuredContent ?? null };
const unknown = await client.callTool({ name: "proxy_no_such_tool", arguments: {} }).then(() => ({}), (error) => error);
seen.unknown = { code: unknown.code ?? null, message: String(unknown.message ?? "") };
const bad = await client.callTool({ name: "proxy_get_exchange", arguments: { exchange_idd: "x" } });
seen.badArguments = { isError: bad.isError, text: bad.content[0].text };

seen.resources = (await client.listResources()).resources.map((r) => r.uri);
for (const uri of ["proxy://status", "proxy://ca-cert", summary]) {
  const content = (await client.readResource({ uri })).contents[0];
  if (content.uri !== uri || !content.text) throw new Error(`${uri}: no text`);
}
seen.caMatches = (await client.readResource({ uri: "proxy://ca-cert" })).contents[0].text.trim() === ca.trim();

await call("proxy_start_transparent", { port: 0 });
if (!(await call("proxy_transparent_status")).running) throw new Error("the transparent proxy does not run");
await call("proxy_stop_transparent");
seen.cleared = (await call("proxy_clear_traffic")).cleared;
await call("proxy_stop");
seen.after = (await call("proxy_status")).running;
await agent.destroy();
await client.close();
// A pipe takes 64 KiB at a time, and exit() does not wait for the rest.
process.stdout.write(JSON.stringify(seen) + "\n", () => process.exit(0));
