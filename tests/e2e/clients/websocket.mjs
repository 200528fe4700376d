// Real WebSocket programs on both sides of the proxy: a `ws` server with TLS, and through the proxy that HTTPS_PROXY
// names a `ws` client and undici's (what browsers' API looks like in Node). Prints what each end saw as JSON.
// Arguments: certificate (PEM), key (PEM), CA to trust for the proxy's leaf (PEM).
import fs from "node:fs";
import http from "node:http";
import https from "node:https";
import tls from "node:tls";
import { once } from "node:events";
import { ProxyAgent, WebSocket as BrowserSocket } from "undici";
import { WebSocket, WebSocketServer } from "ws";

const [certificate, key, ca] = process.argv.slice(2).map((name) => fs.readFileSync(name));
const proxy = new URL(process.env.HTTPS_PROXY);
const perMessageDeflate = { threshold: 0, serverNoContextTakeover: false, clientNoContextTakeover: false };

const server = https.createServer({ cert: certificate, key });
const sockets = new WebSocketServer({ server, perMessageDeflate });
const seen = [];
sockets.on("connection", (socket, request) => {
  const one = { path: request.url, extensions: socket.extensions, messages: [], pings: 0, code: 0, reason: "" };
  seen.push(one);
  socket.on("ping", () => one.pings++);
  socket.on("message", (data, binary) => {
    one.messages.push(binary ? data.toString("hex") : data.toString());
    socket.send(data, { binary });
  });
  socket.on("close", (code, reason) => Object.assign(one, { code, reason: reason.toString() }));
});
await once(server.listen(0, "127.0.0.1"), "listening");
const authority = `localhost:${server.address().port}`;

// CONNECT and TLS, as an agent would.
function through_proxy(options, done) {
  const request = http.request({ host: proxy.hostname, port: proxy.port, method: "CONNECT", path: authority });
  request.on("connect", (answer, socket) => {
    if (answer.statusCode !== 200) return done(new Error(`CONNECT: ${answer.statusCode}`));
    const inner = tls.connect({ socket, servername: "localhost", ca });
    inner.once("secureConnect", () => done(null, inner));
    inner.once("error", done);
  });
  request.on("error", done);
  request.end();
}
const agent = new https.Agent();
agent.createConnection = through_proxy;

const texts = Array.from({ length: 20 }, (_, i) => JSON.stringify({ type: "update", id: i, text: "the same again" }));
const large = "0123456789".repeat(100_000);

async function with_ws() {
  const socket = new WebSocket(`wss://${authority}/ws`, { agent, perMessageDeflate });
  await once(socket, "open");
  const echoes = [];
  socket.on("message", (data, binary) => echoes.push(binary ? data.toString("hex") : data.toString()));
  for (const text of [...texts, large]) socket.send(text);
  socket.send(Buffer.from("00ff10", "hex"));
  socket.send("part one, ", { fin: false });
  socket.send("part two", { fin: true });
  socket.ping("are you there");
  const [pong] = await once(socket, "pong");
  while (echoes.length < texts.length + 3) await once(socket, "message");
  socket.close(4001, "enough");
  const [code, reason] = await once(socket, "close");
  return { extensions: socket.extensions, echoes, pong: pong.toString(), code, reason: reason.toString() };
}

async function with_undici() {
  const dispatcher = new ProxyAgent({ uri: proxy.href, requestTls: { ca } });
  const socket = new BrowserSocket(`wss://${authority}/undici`, { dispatcher });
  await new Promise((open, failed) => Object.assign(socket, { onopen: open, onerror: (e) => failed(e.error ?? e) }));
  const echoes = [];
  const all = new Promise((resolve) => {
    socket.onmessage = ({ data }) => echoes.push(data) === texts.length && resolve();
  });
  for (const text of texts) socket.send(text);
  await all;
  const closed = new Promise((resolve) => (socket.onclose = resolve));
  socket.close(1000, "bye");
  const { code, wasClean } = await closed;
  await dispatcher.close();
  return { extensions: socket.extensions, echoes, code, wasClean };
}

const out = { texts, ws: await with_ws(), undici: await with_undici() };
while (seen.some((one) => one.code === 0)) await new Promise((resolve) => setTimeout(resolve, 10));
out.server = seen;
for (const one of [out.ws.echoes, ...seen.map((each) => each.messages)]) {
  one.forEach((text, i) => (one[i] = text === large ? "large" : text));
}
console.log(JSON.stringify(out));
server.close();
process.exit(0);
