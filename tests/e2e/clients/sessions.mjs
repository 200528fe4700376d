// An official MCP client records, reads, replays, compares and removes sessions, and prints what it saw as JSON.
//   sessions.mjs GENERATION ERA TRANSPORT   as in mcp.mjs
// Environment: as in mcp_client.mjs, and ORIGIN (a URL).
import { ProxyAgent, fetch } from "undici";
import { connect } from "./mcp_client.mjs";

const [generation, era, transportName] = process.argv.slice(2);
const { ORIGIN } = process.env;
const seen = { calls: [] };
const client = await connect(generation, era, transportName);
// Tools are listed first: then the client checks every answer against the tool's output schema.
seen.tools = (await client.listTools()).tools.map((tool) => tool.name);

async function call(name, args = {}) {
  const result = await client.callTool({ name, arguments: args });
  if (result.isError) throw new Error(`${name}: ${result.content[0].text}`);
  if (JSON.stringify(JSON.parse(result.content[0].text)) !== JSON.stringify(result.structuredContent)) {
    throw new Error(`${name}: text and structuredContent differ`);
  }
  seen.calls.push(name);
  return result.structuredContent;
}

const status = await call("proxy_status");
const port = status.running ? status.port : (await call("proxy_start", { port: 0 })).port;
const ca = await call("proxy_get_ca_cert");
const agent = new ProxyAgent({ uri: `http://127.0.0.1:${port}`, requestTls: { ca: ca.certPem } });
const get = async (path, more = {}) => (await fetch(`${ORIGIN}${path}`, { dispatcher: agent, ...more })).text();

async function record(...paths) {
  const { session } = await call("proxy_session_start", { session_name: "by an official client", capture_profile: "full" });
  for (const path of paths) await get(path);
  await get("/echo", { method: "POST", body: "posted" });
  seen.active = await call("proxy_session_status");
  seen.checkpoint = await call("proxy_session_checkpoint");
  await call("proxy_session_stop");
  return session.id;
}

const first = await record("/hello?1", "/gzip");
const second = await record("/hello?1", "/br");
seen.listed = (await call("proxy_list_sessions")).sessions.length;
seen.session = (await call("proxy_get_session", { session_id: first })).session;
const rows = await call("proxy_query_session", { session_id: first, sort: "asc" });
seen.rows = rows.total;
seen.exchange = await call("proxy_get_session_exchange", { session_id: first, exchange_id: rows.items[2].exchangeId });
seen.handshakes = await call("proxy_get_session_handshakes", { session_id: first });
seen.found = (await call("proxy_search_session_bodies", { session_id: first, text: "says hello" })).totalMatches;
seen.plan = await call("proxy_replay_session", { session_id: first });
seen.replayed = await call("proxy_replay_session", { session_id: first, mode: "execute", sort: "asc" });
seen.verified = await call("proxy_replay_verify", { session_id: first });
seen.diff = await call("proxy_diff_sessions", { session_a: first, session_b: second });
seen.pair = await call("proxy_diff_exchanges", { exchange_a: rows.items[0].exchangeId, exchange_b: rows.items[1].exchangeId });
seen.integrity = await call("proxy_session_verify_integrity", { session_id: first });
seen.recovered = (await call("proxy_session_recover", { session_id: second })).recovered.length;
seen.sockets = (await call("proxy_list_ws_streams", { session_id: first })).total;
const exported = await call("proxy_export_har", { session_id: first });
const imported = await call("proxy_import_har", { har_file: exported.outputFile, session_name: "from a file" });
seen.files = { exported: exported.entries, imported: imported.importSummary.importedEntries };
seen.steps = (await call("proxy_generate_flow_template", { session_id: first })).stepCount;
const template = "proxy://sessions/{session_id}/summary";
seen.templates = (await client.listResourceTemplates()).resourceTemplates.map((one) => one.uriTemplate);
const ref = { type: "ref/resource", uri: template };
seen.completed = (await client.complete({ ref, argument: { name: "session_id", value: first } })).completion.values.length;
const summary = await client.readResource({ uri: template.replace("{session_id}", first) });
seen.summary = JSON.parse(summary.contents[0].text).totals.exchanges;
const failure = await client.callTool({ name: "proxy_query_session", arguments: { session_id: "../../etc" } });
seen.failure = { isError: failure.isError, structured: failure.structuredContent ?? null };
for (const id of [first, second, imported.session.id]) await call("proxy_delete_session", { session_id: id });
seen.left = (await call("proxy_list_sessions")).sessions.length;
await agent.destroy();
await client.close();
process.stdout.write(JSON.stringify(seen) + "\n", () => process.exit(0));
