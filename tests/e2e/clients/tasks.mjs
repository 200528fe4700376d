// What an official client sees of a task of `@modelcontextprotocol/server-everything`, as one line of JSON, without times: each id
// is the number of its task.
//   tasks.mjs COMMAND…
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import * as types from "@modelcontextprotocol/sdk/types.js";

const [command, ...args] = process.argv.slice(2);
const known = [];
const plain = (text) => known.reduce((all, id, number) => all.replaceAll(id, `task ${number}`), text);
const seen = { asked: [], messages: [], statuses: new Set() };

const client = new Client({ name: "tasks-test", version: "1.0.0" }, { capabilities: { elicitation: { form: {} } } });
client.setRequestHandler(types.ElicitRequestSchema, (request) => {
  seen.asked.push(request.params);
  return { action: "accept", content: { interpretation: "technical" } };
});
await client.connect(new StdioClientTransport({ command, args, env: process.env, stderr: "ignore" }));
seen.offered = client.getServerCapabilities().tasks;
await client.listTools();
const stream = client.experimental.tasks.callToolStream(
  { name: "simulate-research-query", arguments: { topic: "masks", ambiguous: true } }, types.CallToolResultSchema, { task: { ttl: 60000 } });
for await (const message of stream) {
  if (message.task) known.includes(message.task.taskId) || known.push(message.task.taskId);
  if (message.type === "taskStatus") seen.statuses.add(message.task.status);
  else seen.messages.push({ ...message, task: message.task && { id: message.task.taskId, status: message.task.status, ttl: message.task.ttl } });
}
const after = await client.experimental.tasks.getTask(known[0]);
seen.after = [after.taskId, after.status];
seen.result = await client.experimental.tasks.getTaskResult(known[0], types.CallToolResultSchema);
seen.listed = (await client.experimental.tasks.listTasks()).tasks.map((task) => task.taskId);
seen.statuses = [...seen.statuses].sort();
try {
  await client.experimental.tasks.getTask("no-such-task");
} catch (error) {
  seen.none = error.code;
}
console.error(known.join(" "));
console.log(plain(JSON.stringify(seen)));
await client.close();
process.exit(0);
