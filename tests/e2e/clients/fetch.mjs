// Node's fetch through the proxy that the environment names; prints what came as JSON.
import { EnvHttpProxyAgent, fetch } from "undici";

const dispatcher = new EnvHttpProxyAgent();
const out = [];
for (const url of process.argv.slice(2)) {
  const answer = await fetch(url, { dispatcher });
  out.push({ status: answer.status, text: await answer.text() });
}
console.log(JSON.stringify(out));
await dispatcher.close();
