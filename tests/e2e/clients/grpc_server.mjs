// A gRPC server for tests (grpc-js), and beside it one by hand that compresses its answers, which grpc-js cannot.
// Argument: JSON {cert, key} or {plain: true}. Prints {port, squeezing}, then a line for whatever it saw.
import fs from 'node:fs';
import http2 from 'node:http2';
import zlib from 'node:zlib';
import grpc from '@grpc/grpc-js';
import loader from '@grpc/proto-loader';

const options = JSON.parse(process.argv[2]);
const definition = loader.loadSync(new URL('talk.proto', import.meta.url).pathname, {defaults: true});
const {Talk} = grpc.loadPackageDefinition(definition).talk;
const tell = (what) => console.log(JSON.stringify(what));

// What the client sent of its own goes back, before the answer and behind it.
function greet(call) {
  const head = new grpc.Metadata(), trailers = new grpc.Metadata();
  for (const value of call.metadata.get('x-from-client')) head.add('x-in-head', value);
  for (const value of call.metadata.get('x-octets-bin')) trailers.add('x-octets-bin', value);
  trailers.set('x-in-trailers', 'behind the answer');
  call.sendMetadata(head);
  return trailers;
}

function failure(code, trailers) {
  return Object.assign(new Error('no more'), {code, details: 'nothing läuft: 100%', metadata: trailers});
}

const service = {
  Say(call, done) {
    // Nothing was sent before: the status stands in the only head there is.
    if (call.request.fail && call.request.text === '') return done(failure(call.request.fail, new grpc.Metadata()));
    const trailers = greet(call);
    if (call.request.fail) return done(failure(call.request.fail, trailers));
    done(null, call.request, trailers);
  },
  Count(call) {
    const trailers = greet(call);
    for (let i = 0; i < call.request.number; i++) call.write({text: call.request.text, number: i});
    if (call.request.fail) return call.emit('error', failure(call.request.fail, trailers));
    call.end(trailers);
  },
  Gather(call, done) {
    const texts = [];
    const trailers = greet(call);
    call.on('data', (word) => texts.push(word.text));
    call.on('end', () => done(null, {text: texts.join(' '), number: texts.length}, trailers));
  },
  Chat(call) {
    const trailers = greet(call);
    call.on('data', (word) => call.write({text: `${word.text}, you say`, number: word.number, blob: word.blob}));
    call.on('end', () => { tell({chat: 'half-closed'}); call.end(trailers); });
    call.on('cancelled', () => tell({cancelled: 'Chat'}));
  },
  Wait(call) {
    tell({waiting: call.request.text, deadline: call.getDeadline() !== Infinity});
    call.on('cancelled', () => tell({cancelled: call.request.text}));
  },
};

const server = new grpc.Server();
server.addService(Talk.service, service);
const files = options.plain ? null : {key: fs.readFileSync(options.key), cert: fs.readFileSync(options.cert)};
const credentials = options.plain
  ? grpc.ServerCredentials.createInsecure()
  : grpc.ServerCredentials.createSsl(null, [{private_key: files.key, cert_chain: files.cert}]);

function framed(flag, octets) {
  const head = Buffer.alloc(5);
  head[0] = flag;
  head.writeUInt32BE(octets.length, 1);
  return Buffer.concat([head, octets]);
}

const {responseSerialize} = Talk.service.Count;
const squeezing = files ? http2.createSecureServer(files) : http2.createServer();
squeezing.on('stream', (stream) => {
  stream.resume();
  stream.respond({':status': 200, 'content-type': 'application/grpc+proto', 'grpc-encoding': 'gzip',
                  'grpc-accept-encoding': 'identity,gzip'}, {waitForTrailers: true});
  stream.on('wantTrailers', () => stream.sendTrailers({'grpc-status': '0'}));
  stream.write(framed(1, zlib.gzipSync(responseSerialize({text: 'squeezed '.repeat(50), number: 1}))));
  stream.write(framed(0, responseSerialize({text: 'as it is', number: 2})));
  stream.end(framed(1, zlib.gzipSync(responseSerialize({text: 'squeezed again', number: 3}))));
});

server.bindAsync('127.0.0.1:0', credentials, (error, port) => {
  if (error) throw error;
  squeezing.listen(0, '127.0.0.1', () => tell({port, squeezing: squeezing.address().port}));
});
process.stdin.on('end', () => process.exit(0)).resume();
