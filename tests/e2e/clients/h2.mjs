// An HTTP/2 client for tests: opens one connection through the proxy (CONNECT), runs a list of requests on it at once,
// prints what came of each as JSON. Argument: JSON {proxy: port, authority, ca, plain, requests: [{path, method, headers,
// body, bodySize, trailers, cancelAfter: ms or 'others', read: false, authority}], settings}.
import http from 'node:http';
import http2 from 'node:http2';
import tls from 'node:tls';
import fs from 'node:fs';

const task = JSON.parse(process.argv[2]);

function tunnel() {
  return new Promise((resolve, reject) => {
    const request = http.request({host: '127.0.0.1', port: task.proxy, method: 'CONNECT', path: task.authority});
    request.on('connect', (answer, socket) => answer.statusCode === 200 ? resolve(socket) : reject(answer.statusCode));
    request.on('error', reject);
    request.end();
  });
}

async function connect() {
  const socket = await tunnel();
  const name = task.authority.replace(/:\d+$/, '');
  if (task.plain) return http2.connect(`http://${task.authority}`, {createConnection: () => socket, settings: task.settings});
  const secure = tls.connect({socket, servername: name, ALPNProtocols: ['h2'], ca: fs.readFileSync(task.ca)});
  await new Promise((resolve, reject) => { secure.once('secureConnect', resolve); secure.once('error', reject); });
  if (secure.alpnProtocol !== 'h2') throw new Error(`ALPN: ${secure.alpnProtocol}`);
  return http2.connect(`https://${task.authority}`, {createConnection: () => secure, settings: task.settings});
}

function perform(session, wanted) {
  return new Promise((resolve) => {
    const headers = {':path': wanted.path, ':method': wanted.method || 'GET', ...(wanted.headers || {})};
    if (wanted.authority) headers[':authority'] = wanted.authority;
    const hasBody = wanted.body !== undefined || wanted.bodySize || wanted.trailers;
    const stream = session.request(headers, {endStream: !hasBody, waitForTrailers: !!wanted.trailers});
    const out = {path: wanted.path, status: 0, body: '', size: 0, interim: [], trailers: null, error: null};
    stream.on('headers', (fields) => out.interim.push(fields[':status']));
    stream.on('response', (fields) => {
      out.status = fields[':status'];
      out.headers = Object.fromEntries(Object.entries(fields).filter(([k]) => typeof k === 'string'));
    });
    stream.on('trailers', (fields) => { out.trailers = {...fields}; });
    stream.on('wantTrailers', () => stream.sendTrailers(wanted.trailers));
    stream.on('error', (error) => { out.error = error.code || String(error); });
    stream.on('close', () => { out.code = stream.rstCode; resolve(out); });
    if (wanted.read === false) stream.pause();
    else stream.on('data', (piece) => {
      out.size += piece.length;
      if (out.body.length < 4096) out.body += piece.toString('latin1');
    });
    if (wanted.cancelAfter === 'others') othersOver.then(() => { out.held = !stream.closed; stream.close(8); });
    else if (wanted.cancelAfter) setTimeout(() => stream.close(8), wanted.cancelAfter);
    if (wanted.bodySize) stream.end(Buffer.alloc(wanted.bodySize, 'y'));
    else if (hasBody) stream.end(wanted.body || '');
  });
}

const session = await connect();
session.on('error', () => {});
// A stream that is not read must not use up the window that all share.
if (!session.connecting) session.setLocalWindowSize(16 << 20);
else session.on('connect', () => session.setLocalWindowSize(16 << 20));
const goaways = [], altsvcs = [], origins = [];
session.on('goaway', (code) => goaways.push(code));
session.on('altsvc', (alt) => altsvcs.push(alt));
session.on('origin', (names) => origins.push(...names));
const results = [];
let othersOver;
if (task.oneByOne) for (const wanted of task.requests) results.push(await perform(session, wanted));
else {
  const left = {count: task.requests.filter((wanted) => wanted.cancelAfter !== 'others').length};
  othersOver = new Promise((resolve) => { left.none = resolve; });
  results.push(...await Promise.all(task.requests.map(async (wanted) => {
    const out = await perform(session, wanted);
    if (wanted.cancelAfter !== 'others' && --left.count === 0) left.none();
    return out;
  })));
}
console.log(JSON.stringify({results, goaways, altsvcs, origins, remote: session.remoteSettings}));
session.close();
setTimeout(() => process.exit(0), 200);
