// WebSockets over HTTP/2 (RFC 8441): Node's HTTP/2 carries them, the `ws` package makes and reads their frames. Two roles:
//   serve JSON {cert, key} or {plain: true}, {extendedConnect, maxStreams}: prints {port}, then what it saw, a line each.
//     By path: /refuse answers 403, /leave closes first, /die resets, /half ends without a Close; others echo.
//   connect JSON {proxy, authority, ca (absent: without TLS)}: one connection through CONNECT; prints {settings}, then
//     what came, a line each. Reads commands, a JSON a line: {open: name, path, fields, early}, {on: name, send | hex | octets |
//     ping | close: [code, reason] | reset: code | end: true}, {get: path}.
import fs from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import readline from 'node:readline';
import tls from 'node:tls';
import { PerMessageDeflate, Receiver, Sender, extension } from 'ws';

const [role, task] = [process.argv[2], JSON.parse(process.argv[3])];
const tell = (what) => console.log(JSON.stringify(what));

// The `ws` package's two halves on a stream, with permessage-deflate if `params` were agreed.
function socket_on(stream, isServer, params, saw) {
  const extensions = {};
  if (params) {
    const deflate = new PerMessageDeflate({isServer, threshold: 0});
    deflate.accept([params]);
    extensions[PerMessageDeflate.extensionName] = deflate;
  }
  // Masks as a browser's, none as a server's.
  const sender = new Sender(stream, extensions), receiver = new Receiver({isServer, extensions});
  sender.onerror = (error) => saw({error: String(error)});
  receiver.on('message', (data, binary) => saw(binary ? {hex: data.toString('hex')} : {text: data.toString()}));
  receiver.on('ping', (data) => saw({ping: data.toString()}));
  receiver.on('pong', (data) => saw({pong: data.toString()}));
  receiver.on('conclude', (code, reason) => saw({close: code, reason: reason.toString()}));
  receiver.on('error', (error) => saw({error: String(error)}));
  stream.on('data', (octets) => receiver.write(octets));
  const options = (more) => ({fin: true, mask: !isServer, compress: !!params, binary: false, ...more});
  return {
    send: (text) => sender.send(Buffer.from(text), options({})),
    binary: (octets) => sender.send(octets, options({binary: true})),
    ping: (data) => sender.ping(Buffer.from(data), !isServer),
    pong: (data) => sender.pong(Buffer.from(data), !isServer),
    close: (code, reason, done) => sender.close(code, Buffer.from(reason || ''), !isServer, done),
  };
}

const DEFLATE = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover';
const agreed = (field) => field && extension.parse(field)['permessage-deflate']?.[0];

function serve_one(session, stream, headers) {
  const path = headers[':path'];
  stream.on('error', () => {});
  stream.on('close', () => tell({path, closed: stream.rstCode}));
  if (headers[':protocol'] !== 'websocket') {
    stream.respond({':status': 200, 'content-type': 'text/plain'});
    stream.end('no socket');
    if (path === '/goaway') session.goaway(0);
    return;
  }
  tell({path, head: headers});
  if (path === '/refuse') {
    stream.respond({':status': 403, 'content-type': 'text/plain'});
    return stream.end('not for you');
  }
  const deflate = (headers['sec-websocket-extensions'] || '').includes('permessage-deflate') ? DEFLATE : null;
  stream.respond({':status': 200, ...(deflate && {'sec-websocket-extensions': deflate})});
  const socket = socket_on(stream, true, agreed(deflate), (what) => {
    tell({path, ...what});
    if (path === '/die') return stream.destroy(new Error('on purpose'));  // INTERNAL_ERROR, and nothing before it
    if (what.text !== undefined) socket.send(what.text);
    if (what.hex !== undefined) socket.binary(Buffer.from(what.hex, 'hex'));
    if (what.ping !== undefined) socket.pong(what.ping);
    if (what.close !== undefined && path !== '/leave') socket.close(what.close, what.reason, () => stream.end());
  });
  stream.on('end', () => { tell({path, ended: true}); stream.end(); });
  if (path === '/leave') socket.close(4002, 'going', () => stream.end());
  if (path === '/half') stream.end(Buffer.from('8105686561', 'hex'));
}

function serve() {
  const settings = {enableConnectProtocol: task.extendedConnect !== false};
  const server = task.plain ? http2.createServer({settings})
    : http2.createSecureServer({cert: fs.readFileSync(task.cert), key: fs.readFileSync(task.key), settings});
  server.on('session', (session) => {
    tell({session: 'opened'});
    session.on('error', () => {});
    session.on('stream', (stream, headers) => serve_one(session, stream, headers));
  });
  server.listen(0, '127.0.0.1', () => tell({port: server.address().port}));
  process.stdin.on('end', () => process.exit(0)).resume();
}

function tunnel() {
  return new Promise((resolve, reject) => {
    const request = http.request({host: '127.0.0.1', port: task.proxy, method: 'CONNECT', path: task.authority});
    request.on('connect', (answer, socket) => answer.statusCode === 200 ? resolve(socket) : reject(answer.statusCode));
    request.on('error', reject);
    request.end();
  });
}

async function secured(socket) {
  const secure = tls.connect({socket, servername: task.authority.replace(/:\d+$/, ''), ALPNProtocols: ['h2'],
                              ca: fs.readFileSync(task.ca)});
  await new Promise((resolve, reject) => { secure.once('secureConnect', resolve); secure.once('error', reject); });
  return secure;
}

async function connect() {
  const below = task.ca ? await secured(await tunnel()) : await tunnel();
  const scheme = task.ca ? 'https' : 'http';
  const session = http2.connect(`${scheme}://${task.authority}`, {createConnection: () => below});
  session.on('error', (error) => tell({session: String(error)}));
  session.on('close', () => tell({session: 'closed'}));
  session.once('remoteSettings', (settings) => tell({settings}));
  const open = {};
  const commands = {
    open(wanted) {
      const stream = session.request({':method': 'CONNECT', ':protocol': 'websocket', ':scheme': scheme,
                                      ':authority': task.authority, ':path': wanted.path, 'sec-websocket-version': '13',
                                      origin: 'https://here.test', ...wanted.fields}, {endStream: false});
      const saw = (what) => tell({on: wanted.open, ...what});
      if (wanted.early) stream.write(Buffer.from(wanted.early, 'hex'));
      stream.on('response', (fields) => {
        if (fields[':status'] !== 200) stream.on('data', (octets) => saw({body: octets.toString()}));
        else open[wanted.open] = {stream, ...socket_on(stream, false, agreed(fields['sec-websocket-extensions']), saw)};
        saw({status: fields[':status'], extensions: fields['sec-websocket-extensions'] || null});
      });
      stream.on('error', () => {});
      stream.on('end', () => saw({ended: true}));
      stream.on('close', () => saw({closed: stream.rstCode}));
    },
    get(wanted) {
      const stream = session.request({':path': wanted.get});
      stream.on('response', (fields) => tell({got: wanted.get, status: fields[':status']}));
      stream.on('error', (error) => tell({got: wanted.get, error: error.code}));
      stream.resume();
    },
    on(wanted) {
      const socket = open[wanted.on];
      if (wanted.send !== undefined) socket.send(wanted.send);
      if (wanted.hex !== undefined) socket.binary(Buffer.from(wanted.hex, 'hex'));
      if (wanted.octets !== undefined) socket.stream.write(Buffer.from(wanted.octets, 'hex'));
      if (wanted.ping !== undefined) socket.ping(wanted.ping);
      if (wanted.close) socket.close(...wanted.close);
      if (wanted.reset !== undefined) socket.stream.close(wanted.reset);
      if (wanted.end) socket.stream.end();
    },
  };
  readline.createInterface({input: process.stdin}).on('line', (line) => {
    const wanted = JSON.parse(line);
    (commands[Object.keys(wanted)[0]])(wanted);
  }).on('close', () => process.exit(0));
}

if (role === 'serve') serve();
else await connect();
