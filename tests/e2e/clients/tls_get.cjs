// GET through a proxy with TLS of one version, by any Node from 16 on: PORT AUTHORITY CA VERSION PATH. Prints the OpenSSL
// that this Node was built with and the answer's body.
const fs = require('fs');
const http = require('http');
const tls = require('tls');

const [port, authority, ca, version, path] = process.argv.slice(2);
const request = http.request({ host: '127.0.0.1', port, method: 'CONNECT', path: authority });
request.on('connect', (answer, socket) => {
  if (answer.statusCode !== 200) throw new Error(`CONNECT: ${answer.statusCode}`);
  const secure = tls.connect({
    socket, servername: 'localhost', ca: fs.readFileSync(ca), minVersion: version, maxVersion: version,
    ciphers: 'DEFAULT@SECLEVEL=0',
  }, () => {
    secure.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    let got = '';
    secure.on('data', (piece) => { got += piece; });
    secure.on('end', () => {
      console.log(`OpenSSL ${process.versions.openssl} ${secure.getProtocol() || version}: ${got.split('\r\n\r\n')[1]}`);
      process.exit(0);
    });
  });
  secure.on('error', (error) => { console.error(error.message); process.exit(1); });
});
request.end();
