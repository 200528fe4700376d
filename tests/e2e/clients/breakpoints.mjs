// Breakpoints by an official MCP client: it makes hold rules, sees what they hold, and decides. Others wait meanwhile.
//   breakpoints.mjs GENERATION ERA TRANSPORT [MEMBER]   1|2, legacy|modern, stdio|http
// MEMBER: answers arrive without it, as if the program broke what its output schemas promise.
// Prints {port, ca}; then reads commands, a JSON a line, each {rule, matcher, handler, decide: [{phase, action, edits}, …]},
// and prints what happens: {rule, id}, then {rule, held} and {rule, decided} for each decision; or {failed: message}, after
// which it ends. The rules stay until the commands end. Environment: as mcp_client.mjs.
import readline from "node:readline";
import { connect } from "./mcp_client.mjs";

const [generation, era, transport, spoilt] = process.argv.slice(2);
const tell = (what) => console.log(JSON.stringify(what));

function fail(error) {
  tell({ failed: String(error?.message ?? error) });
  process.exitCode = 1;
  return client?.close().finally(() => process.exit());
}

function spoil(message) {
  if (message.result?.structuredContent) delete message.result.structuredContent[spoilt];
}

let client;
try {
  client = await connect(generation, era, transport, { spoil: spoilt && spoil });
  // Tools are listed first: then the client checks every answer against the tool's output schema.
  const { tools } = await client.listTools();
  for (const name of ["proxy_add_rule", "proxy_list_held", "proxy_resume_exchange", "proxy_remove_rule"]) {
    if (!tools.find((tool) => tool.name === name)?.outputSchema?.required?.length) throw new Error(`${name}: no output schema`);
  }
  const { certPem } = await call("proxy_get_ca_cert");
  const { port } = await call("proxy_start");
  tell({ port, ca: certPem, negotiated: client.getNegotiatedProtocolVersion?.() ?? null });
} catch (error) {
  await fail(error);
}

async function call(name, args = {}) {
  const result = await client.callTool({ name, arguments: args });
  if (result.isError) throw new Error(`${name}: ${result.content[0].text}`);
  if (JSON.stringify(JSON.parse(result.content[0].text)) !== JSON.stringify(result.structuredContent)) {
    throw new Error(`${name}: text and structuredContent differ`);
  }
  return result.structuredContent;
}

async function held(ruleId, phase) {
  const end = Date.now() + 20000;
  for (;;) {
    const { count, held: rows } = await call("proxy_list_held");
    if (count !== rows.length) throw new Error(`${count} are said to be held, ${rows.length} are listed`);
    const row = rows.find((one) => one.ruleId === ruleId && one.phase === phase);
    if (row) return row;
    if (Date.now() > end) throw new Error(`${ruleId} held no ${phase}: ${JSON.stringify(rows)}`);
    await new Promise((go) => setTimeout(go, 30));
  }
}

async function perform({ rule, matcher, handler, decide }) {
  const { id } = (await call("proxy_add_rule", { description: rule, matcher, handler: { type: "hold", ...handler } })).rule;
  made.push(id);
  tell({ rule, id });
  for (const { phase, action, edits } of decide) {
    const row = await held(id, phase);
    tell({ rule, held: row });
    if (!action) continue;  // seen, and left waiting
    tell({ rule, decided: await call("proxy_resume_exchange", { exchange_id: row.exchange_id, action, ...(edits && { edits }) }) });
  }
}

const performing = [], made = [];
for await (const line of readline.createInterface({ input: process.stdin })) {
  // At once: what one waits for must not keep the others from being decided.
  performing.push(perform(JSON.parse(line)).catch(fail));
}
await Promise.all(performing);
try {
  for (const id of made) await call("proxy_remove_rule", { rule_id: id });
  await call("proxy_stop");
} catch (error) {
  await fail(error);
}
await client.close();
process.exit();
