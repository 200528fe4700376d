// An official MCP client calls every tool of the toolset `mitmproxy` with traffic, and prints what it saw as JSON.
//   mitm.mjs GENERATION ERA TRANSPORT   as in mcp.mjs
// Environment: as in mcp_client.mjs with TOOLSET=mitmproxy, ALLOW_ROOT (a folder), and ORIGIN (a URL).
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ProxyAgent, fetch } from "undici";
import { connect } from "./mcp_client.mjs";

const [generation, era, transportName] = process.argv.slice(2);
const { ORIGIN, ALLOW_ROOT } = process.env;
const seen = { calls: [] };
const client = await connect(generation, era, transportName);
// Tools are listed first: then the client checks every answer against the tool's output schema.
seen.tools = (await client.listTools()).tools.map((tool) => tool.name);

async function call(name, args = {}) {
  const result = await client.callTool({ name, arguments: args });
  const text = result.content[0].text;
  if (result.isError) throw new Error(`${name}: ${text}`);
  const answer = result.structuredContent;
  // What an old client reads is the text alone: a sentence, or JSON with two spaces.
  const shown = "result" in answer && name !== "list_rules" ? answer.result : answer;
  if (text !== (typeof shown === "string" ? shown : JSON.stringify(shown, null, 2))) throw new Error(`${name}: text and structuredContent differ`);
  seen.calls.push(name);
  return answer;
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

const started = await call("start_proxy", { port: 0 });
const agent = new ProxyAgent({ uri: `http://127.0.0.1:${started.port}`, requestTls: { ca: readFileSync(started.ca_cert_path) } });
const get = async (path) => (await fetch(`${ORIGIN}${path}`, { dispatcher: agent })).text();

await call("set_scope", { allowed_domains: ["localhost"] });
await call("set_global_header", { key: "X-Global", value: "everywhere" });
await call("add_interception_rule", { rule_id: "swap", action_type: "replace_body", phase: "response", search_pattern: "(hello) from", value: "\\1 through" });
seen.rules = await call("list_rules");
seen.text = await get("/hello");
seen.head = await get("/head");
const row = await until("a flow", async () => (await call("get_traffic_summary")).result.find((one) => one.status_code === 200 && one.url.endsWith("/hello")));
seen.flow = await call("inspect_flow", { flow_id: row.id, full_body: true });
seen.flows = (await call("inspect_flows", { flow_ids: row.id, fields: "url,response_body" })).result;
seen.found = (await call("search_traffic", { query: "hello", domain: "localhost", limit: 10 })).result.length;
await fetch(`${ORIGIN}/echo?json`, { dispatcher: agent, method: "POST", body: '{"items":[{"n":1},{"n":2}],"ok":true}', headers: { "content-type": "application/json" } });
const json = await until("the JSON", async () => (await call("search_traffic", { query: "echo?json" })).result.find((one) => one.status_code === 200));
seen.schema = await call("get_flow_schema", { flow_id: json.id });
seen.extracted = (await call("extract_from_flow", { flow_id: json.id, json_path: "$.items[?@.n > 1].n" })).result;
await fetch(`${ORIGIN}/echo?auth`, { dispatcher: agent, headers: { authorization: "Bearer abcdefgh12345678" } });
await until("the token", async () => (await call("search_traffic", { query: "echo?auth" })).result.find((one) => one.status_code === 200));
seen.auth = (await call("detect_auth_pattern")).detected_auth_types;
seen.patterns = (await call("get_api_patterns")).result.map((one) => one.endpoint).sort();
seen.openapi = Object.keys((await call("export_openapi_spec")).paths).sort();
seen.replayed = (await call("replay_flow", { flow_id: row.id })).status_code;
seen.fuzzed = (await call("fuzz_endpoint", { flow_id: row.id, target_param: "q", param_type: "query", payload_category: "sqli", rate: 0 })).baseline_status;
seen.code = (await call("generate_scraper_code", { flow_ids: row.id, target_framework: "requests" })).result.includes("import requests");
await call("set_session_variable", { name: "one", value: "1" });
seen.variable = (await call("extract_session_variable", { name: "two", flow_id: json.id, regex_pattern: '"n":(\\d)' })).length;
await call("remove_global_header", { key: "x-global" });
await call("clear_rules");
seen.listed = (await call("list_tools")).result.map((tool) => tool.name);
const failure = await client.callTool({ name: "inspect_flow", arguments: { flow_id: "nope" } });
seen.failure = { isError: failure.isError, text: failure.content[0].text, structured: failure.structuredContent ?? null, code: failure._meta?.["dev.sluice/error"]?.code };
const folder = mkdtempSync(join(ALLOW_ROOT, "har-"));
const entry = { startedDateTime: "2026-03-01T10:00:00.125Z", time: 5, request: { method: "GET", url: "https://loaded.example/a", httpVersion: "HTTP/1.1", headers: [] },
  response: { status: 200, statusText: "OK", httpVersion: "HTTP/1.1", headers: [], content: { size: 2, mimeType: "text/plain", text: "ok" } } };
writeFileSync(join(folder, "one.har"), JSON.stringify({ log: { version: "1.2", creator: { name: "a test", version: "1" }, entries: [entry] } }));
await call("load_traffic_file", { file_path: join(folder, "one.har") });
rmSync(folder, { recursive: true });
seen.loaded = (await call("get_traffic_summary")).result.map((one) => one.url);
await call("clear_traffic");
await call("stop_proxy");
await agent.destroy();
await client.close();
process.stdout.write(JSON.stringify(seen) + "\n", () => process.exit(0));
