/** The app behind the proxies where nginx is not installed: `GET /N` is answered with N bytes. Arguments: port, addresses. */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';

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

function serve(socket: Socket): void {
  let rest = '';
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    const heads = (rest + chunk.toString('latin1')).split(HEAD_END);
    rest = heads.pop() ?? '';
    for (const head of heads) socket.write(answerOf(/\/(\d+) HTTP/.exec(head)?.[1] ?? '0'));
  });
}

const [port, ...hosts] = process.argv.slice(2);
for (const host of hosts) {
  const server = createServer({ noDelay: true }, serve).listen(Number(port), host);
  await once(server, 'listening');
}
process.send?.({ kind: 'listening' });
