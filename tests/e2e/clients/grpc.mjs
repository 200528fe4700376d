// A gRPC client for tests (grpc-js). The proxy comes from the environment, as users give it, or from `options`.
// Argument: JSON {target, ca or roots (absent: without TLS), options, calls: [{method, send: [words], fields, deadline, turns, cancel,
// hold}]}. `turns`: each word waits for the answer to the one before. `cancel`: milliseconds, and the call is cancelled.
// `hold`: nothing more is said or cancelled until the input ends. Prints what came of all, a line each.
import fs from 'node:fs';
import grpc from '@grpc/grpc-js';
import loader from '@grpc/proto-loader';

const task = JSON.parse(process.argv[2]);
const definition = loader.loadSync(new URL('talk.proto', import.meta.url).pathname, {defaults: true});
const {Talk} = grpc.loadPackageDefinition(definition).talk;
const credentials = task.ca ? grpc.credentials.createSsl(fs.readFileSync(task.ca))
  : task.roots ? grpc.credentials.createSsl()  // as the environment says
  : grpc.credentials.createInsecure();
const client = new Talk(task.target, credentials, {'grpc.max_receive_message_length': -1, ...task.options});

const plain = (metadata) => metadata && Object.fromEntries(Object.keys(metadata.getMap()).map(
  (name) => [name, metadata.get(name).map((value) => Buffer.isBuffer(value) ? value.toString('hex') : value)]));
const shown = (word) => ({...word, blob: word.blob.length});
const word = (wanted) => ({...wanted, blob: Buffer.alloc(wanted.blob || 0, 'b')});

function perform(wanted) {
  return new Promise((resolve) => {
    const out = {answers: [], head: null, trailers: null, code: null, details: '', order: []};
    const metadata = new grpc.Metadata();
    for (const [name, value] of Object.entries(wanted.fields || {})) {
      for (const one of [value].flat()) metadata.add(name, name.endsWith('-bin') ? Buffer.from(one, 'hex') : one);
    }
    const more = wanted.deadline ? {deadline: Date.now() + wanted.deadline} : {};
    const {requestStream, responseStream} = Talk.service[wanted.method];
    const send = (wanted.send || [{}]).map(word);
    const done = (error, answer) => { if (answer) out.answers.push(shown(answer)); };
    const call = requestStream ? client[wanted.method](metadata, more, ...(responseStream ? [] : [done]))
                               : client[wanted.method](send[0], metadata, more, ...(responseStream ? [] : [done]));
    call.on('metadata', (fields) => { out.head = plain(fields); });
    call.on('status', (status) => {
      Object.assign(out, {code: status.code, details: status.details, trailers: plain(status.metadata)});
      setImmediate(() => resolve(out));
    });
    if (responseStream) {
      call.on('error', () => {});
      call.on('data', (answer) => {
        out.answers.push(shown(answer));
        out.order.push('answer');
        if (requestStream && wanted.turns) next();
      });
    }
    const next = () => {
      if (!send.length) return wanted.cancel || wanted.hold || call.end();
      out.order.push('word');
      call.write(send.shift());
      if (!wanted.turns) next();
    };
    if (requestStream) next();
    if (wanted.cancel) setTimeout(() => call.cancel(), wanted.cancel);
    if (wanted.hold) process.stdin.on('end', () => call.cancel()).resume();
  });
}

for (const done of task.calls.map(perform)) console.log(JSON.stringify(await done));
client.close();
process.exit(0);
