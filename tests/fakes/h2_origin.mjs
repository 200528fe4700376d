// An HTTP/2 origin for tests (Node): TLS with ALPN h2 (and http/1.1 if asked), or h2c. Prints its port.
// Arguments: JSON {cert, key, http1: bool, plain: bool, extendedConnect: bool, strict: bool}. strict: strict_origin.py.
import http from 'node:http';
import http2 from 'node:http2';
import fs from 'node:fs';
import zlib from 'node:zlib';

const options = JSON.parse(process.argv[2]);
const settings = {enableConnectProtocol: !!options.extendedConnect};
if (options.maxStreams) settings.maxConcurrentStreams = options.maxStreams;
const server = options.plain
  ? http2.createServer({settings, maxSessionMemory: 500})
  : http2.createSecureServer({cert: fs.readFileSync(options.cert), key: fs.readFileSync(options.key),
                              allowHTTP1: !!options.http1, ALPNProtocols: options.http1 ? ['h2', 'http/1.1'] : ['h2'],
                              settings, maxSessionMemory: 500});
let sessions = 0;
const resets = [], requests = [];
server.on('session', (session) => {
  const number = ++sessions;
  session.on('error', () => {});
  session.on('stream', (stream, headers, flags, raw) => {
    stream.on('error', () => {});
    if (options.strict) return remember(stream, raw);
    stream.on('close', () => resets.push([headers[':path'], stream.rstCode]));
    answer(session, number, stream, headers, raw);
  });
});
// Node's compatible layer would answer HTTP/2 streams' trailers, too: only where HTTP/1 is wanted.
if (options.http1) {
  server.on('request', (request, response) => {
    if (request.httpVersion !== '2.0') response.end('http/1.1 ' + request.url);
  });
}

function answer(session, number, stream, headers, raw) {
  const url = new URL(headers[':path'] || '/', 'http://x');
  const size = Number(url.searchParams.get('n') || 0);
  const text = {':status': 200, 'content-type': 'text/plain'};
  if (url.pathname !== '/requests') requests.push([headers[':method'], headers[':path']]);
  switch (url.pathname) {
    case '/hello':
      stream.respond({...text, 'x-session': String(number)});
      return stream.end('hello');
    case '/head': {  // the head as it arrived
      stream.respond({':status': 200, 'content-type': 'application/json'});
      return stream.end(JSON.stringify(raw));
    }
    case '/bytes':
      stream.respond({...text, 'content-length': size});
      return stream.end(Buffer.alloc(size, 'x'));
    case '/echo':
      stream.respond(text);
      return stream.pipe(stream);
    case '/echo-trailers': {
      stream.respond(text, {waitForTrailers: true});
      let got = {};
      stream.on('trailers', (fields) => { got = fields; });
      stream.on('wantTrailers', () => stream.sendTrailers({...got, 'x-origin-trailer': 'yes'}));
      return stream.pipe(stream);
    }
    case '/hints':
      stream.additionalHeaders({':status': 103, link: '</style.css>; rel=preload'});
      stream.respond(text);
      return stream.end('after hints');
    case '/reset':
      return stream.close(Number(url.searchParams.get('code')));
    case '/reset-later':
      stream.respond(text);
      stream.write('some');
      return setTimeout(() => stream.destroy(new Error('on purpose')), 100);  // INTERNAL_ERROR
    case '/early':  // an answer before the request's end, then RST_STREAM NO_ERROR
      stream.respond({':status': 413, 'content-type': 'text/plain'});
      stream.end('too much');
      return setTimeout(() => stream.close(0), 50);
    case '/hold':  // never answers
      return;
    case '/slow': {
      stream.respond(text);
      let left = 20;
      const timer = setInterval(() => {
        if (stream.destroyed || --left < 0) { clearInterval(timer); stream.end(); } else stream.write('tick\n');
      }, 20);
      return;
    }
    case '/events': {
      stream.respond({':status': 200, 'content-type': 'text/event-stream'});
      let count = 0;
      const timer = setInterval(() => {
        if (stream.destroyed) return clearInterval(timer);
        stream.write(`id: ${++count}\nevent: tick\ndata: ${count}\n\n`);
        if (count === 3) { clearInterval(timer); stream.end(); }
      }, 50);
      return;
    }
    case '/gzip':
      stream.respond({...text, 'content-encoding': 'gzip'});
      return stream.end(zlib.gzipSync('squeezed '.repeat(100)));
    case '/alt-svc':
      session.altsvc('h3=":443"', stream.id);
      stream.respond({...text, 'alt-svc': 'h3=":443"', 'x-kept': 'yes'});
      return stream.end('ok');
    case '/goaway':  // answers, and takes no more streams on this connection
      stream.respond(text);
      stream.end('bye');
      return session.goaway(0);
    case '/resets':
      stream.respond({':status': 200, 'content-type': 'application/json'});
      return stream.end(JSON.stringify(resets));
    case '/requests':
      stream.respond({':status': 200, 'content-type': 'application/json'});
      return stream.end(JSON.stringify(requests));
    case '/seen':  // tests/e2e/rule_matrix.py: what the request was, as JSON
      return seen(stream, url, headers);
    default:
      stream.respond({':status': 404});
      stream.end('nothing here');
  }
}

function seen(stream, url, headers) {
  const pieces = [];
  stream.on('data', (piece) => pieces.push(piece));
  stream.on('end', () => {
    const fields = Object.fromEntries(Object.entries(headers).filter(([name]) => typeof name === 'string' && name[0] !== ':'));
    const request = {protocol: 'h2', method: headers[':method'], target: headers[':path'], host: headers[':authority'], fields,
                     body: Buffer.concat(pieces).toString(), word: 'from the origin'};
    const body = Buffer.from(JSON.stringify(request)), gzip = url.searchParams.get('coding') === 'gzip';
    stream.respond({':status': Number(url.searchParams.get('status') || 200), 'content-type': 'application/json',
                    'x-origin': 'here', 'x-also': 'gone', ...(gzip && {'content-encoding': 'gzip'})});
    stream.end(gzip ? zlib.gzipSync(body) : body);
  });
}

// Answers once the request is whole; what was seen is told at another port, and then forgotten.
let log = {whole: [], cut: 0};
function remember(stream, raw) {
  const pieces = [];
  let trailers = {}, whole = false;
  stream.on('data', (piece) => pieces.push(piece));
  stream.on('trailers', (fields) => { trailers = {...fields}; });
  stream.on('end', () => {
    if (stream.aborted) return;
    whole = true;
    log.whole.push({raw, trailers, body: Buffer.concat(pieces).toString('hex')});
    stream.respond({':status': 200});
    stream.end('fine');
  });
  stream.on('close', () => { if (!whole) log.cut++; });
}
const teller = http.createServer((request, response) => {
  response.end(JSON.stringify(log));
  log = {whole: [], cut: 0};
});

server.listen(0, '127.0.0.1', () => {
  const say = (more) => console.log(JSON.stringify({port: server.address().port, ...more}));
  options.strict ? teller.listen(0, '127.0.0.1', () => say({log: teller.address().port})) : say();
});
process.stdin.on('end', () => process.exit(0)).resume();
