// The origin of page.html, which tries in a browser what needs a long connection: HTTP/2 with TLS, a WebSocket by
// RFC 8441 on it or by HTTP/1 on the same port. Nothing more is sent before the page has said that it has what came:
// what is gathered on the way never arrives. Prints its port, then the page's results, each as a line of JSON.
// Arguments: certificate (PEM), key (PEM), "h2" or "h1" for the WebSocket.
import fs from "node:fs";
import http2 from "node:http2";
import { WebSocket, WebSocketServer } from "ws";

const [certificate, key, way] = process.argv.slice(2);
const page = fs.readFileSync(new URL("page.html", import.meta.url));
const server = http2.createSecureServer({
  cert: fs.readFileSync(certificate), key: fs.readFileSync(key), allowHTTP1: true,
  settings: { enableConnectProtocol: way === "h2" },
});
const steps = ["one", "two", "three"];
const waiting = new Map();  // what the page must say first: how to go on
const said = new Set();
const uploaded = [];

function after(word, go_on) {
  if (said.has(word)) go_on();
  else waiting.set(word, go_on);
}

function say(word) {
  said.add(word);
  waiting.get(word)?.();
  waiting.delete(word);
}

// One after the other: the next when the page has said "NAME:STEP" of the one before.
function step_by_step(stream, name, write) {
  const next = (at) => {
    if (at === steps.length) return stream.end();
    stream.write(write(steps[at]));
    after(`${name}:${steps[at]}`, () => next(at + 1));
  };
  next(0);
}

function echo(socket) {
  socket.on("message", (data, binary) => socket.send(data, { binary }));
}

server.on("stream", (stream, headers) => {
  stream.on("error", () => {});
  const url = new URL(headers[":path"], "https://x");
  const respond = (type, more) => stream.respond({ ":status": 200, "content-type": type, ...more });
  if (headers[":method"] === "CONNECT") {
    stream.respond({ ":status": 200 });
    const socket = new WebSocket(null, undefined, {});
    socket.setSocket(stream, Buffer.alloc(0), { allowSynchronousEvents: true, maxPayload: 1 << 24, skipUTF8Validation: false });
    return echo(socket);
  }
  switch (url.pathname) {
    case "/page":
      respond("text/html; charset=utf-8");
      return stream.end(page);
    case "/said":
      say(url.searchParams.get("word"));
      respond("text/plain");
      return stream.end("ok");
    case "/events":
      respond("text/event-stream", { "cache-control": "no-store" });
      return step_by_step(stream, "event", (step) => `event: step\nid: ${step}\ndata: {"step":"${step}"}\n\n`);
    case "/chunks":
      respond("application/octet-stream");
      return step_by_step(stream, "chunk", (step) => `${step};`);
    case "/upload":
      stream.on("data", (piece) => { uploaded.push(piece.toString()); say(`uploaded:${uploaded.join("")}`); });
      return stream.on("end", () => { respond("text/plain"); stream.end(uploaded.join("")); });
    case "/uploaded":  // answers when so much of the upload has come
      return after(`uploaded:${url.searchParams.get("text")}`, () => { respond("text/plain"); stream.end("ok"); });
    case "/results": {
      let text = "";
      stream.on("data", (piece) => { text += piece; });
      return stream.on("end", () => {
        console.log(text);
        respond("text/plain");
        stream.end("ok");
        say("results");
      });
    }
    case "/until-all-is-over":  // keeps the page loading
      return after("results", () => { stream.respond({ ":status": 204 }); stream.end(); });
    default:
      stream.respond({ ":status": 404 });
      return stream.end();
  }
});
server.on("connection", (socket) => socket.on("error", () => {}));
new WebSocketServer({ server }).on("connection", echo);
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: server.address().port })));
process.stdin.on("end", () => process.exit(0)).resume();
