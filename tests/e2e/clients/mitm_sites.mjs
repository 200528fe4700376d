// An official MCP client asks of traffic that is there already: the HTML shop's. Prints what it saw as JSON.
//   mitm_sites.mjs GENERATION ERA TRANSPORT   as in mcp.mjs
// Environment: as in mcp_client.mjs, and FLOWS ({"GET /cart": id, …}).
import { connect } from "./mcp_client.mjs";

const flows = JSON.parse(process.env.FLOWS);
const client = await connect(...process.argv.slice(2));
await client.listTools();  // then every answer is checked against its tool's output schema

async function call(name, args = {}) {
  const result = await client.callTool({ name, arguments: args });
  if (result.isError) throw new Error(`${name}: ${result.content[0].text}`);
  return result.structuredContent;
}

const seen = {};
seen.prices = (await call("extract_from_flow", { flow_id: flows["GET /products/red-teapot"], css_selector: "p.price" })).result.map((one) => one.text);
seen.auth = (await call("detect_auth_pattern")).detected_auth_types;
seen.paths = Object.keys((await call("export_openapi_spec")).paths);
const traced = await call("trace_value", { flow_id: flows["POST /cart"], message: "request", in: "form", pointer: "csrf_token" });
seen.first = traced.first.pointer;
seen.chained = traced.chained;
seen.alive = (await call("login_check", { action: "save", flow_id: flows["GET /account"] })).alive;
await call("login_check", { action: "list" });
await call("login_check", { action: "delete" });
await client.close();
process.stdout.write(JSON.stringify(seen) + "\n", () => process.exit(0));
