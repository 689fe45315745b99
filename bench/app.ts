/** The app behind the proxies: `GET /N` is answered with N bytes. Raw sockets, so that it costs little beside what is measured. */
import { createServer, type AddressInfo } from 'node:net';

const HEAD_END = '\r\n\r\n';
const answers = new Map<string, Buffer>();

function answerOf(size: string): Buffer {
  const known = answers.get(size);
  if (known !== undefined) return known;
  const head = `HTTP/1.1 200 OK\r\nserver: bench\r\ncontent-type: text/plain\r\ncontent-length: ${size}\r\n\r\n`;
  const made = Buffer.concat([Buffer.from(head), Buffer.alloc(Number(size), 'x')]);
  answers.set(size, made);
  return made;
}

const server = createServer({ noDelay: true }, (socket) => {
  let rest = '';
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    const heads = (rest + chunk.toString('latin1')).split(HEAD_END);
    rest = heads.pop() ?? '';
    for (const head of heads) socket.write(answerOf(/\/(\d+) HTTP/.exec(head)?.[1] ?? '0'));
  });
});
server.listen(0, process.argv[2], () => {
  process.send?.({ kind: 'listening', port: (server.address() as AddressInfo).port });
});
