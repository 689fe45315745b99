/** An app of a network namespace: does what the test asks for, one task after the other. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, request as ask } from 'node:http';
import { connect, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { beginEndless, bulkServer, download, endlessEnded, upload } from './bulk-app.ts';
import { askHttp2, callGrpc, http2Server, serveGrpc } from './http2-app.ts';
import type { AppResult, AppTask, Seen } from './messages.ts';

/** What was sent to the server that ends its side first. */
const farewell = Promise.withResolvers<string>();

process.on('message', (task: AppTask) => {
  void run(task)
    .catch((error: unknown): AppResult => ({
      kind: 'failed',
      error: (error as NodeJS.ErrnoException).code ?? String(error),
    }))
    .then((result) => process.send?.(result));
});
process.on('disconnect', () => process.exit(0));

async function run(task: AppTask): Promise<AppResult> {
  switch (task.do) {
    case 'serve-http':
      return listening(createServer(answer), task.host, task.port);
    case 'serve-tcp':
      return listening(createTcpServer({ allowHalfOpen: true }, echo(task.greeting)), task.host, task.port);
    case 'serve-farewell':
      return listening(
        createTcpServer({ allowHalfOpen: true }, (socket) => {
          socket.end(task.greeting);
          text(socket).then(farewell.resolve, farewell.reject);
        }),
        '0.0.0.0',
        task.port,
      );
    case 'heard':
      return { kind: 'bytes', text: await farewell.promise };
    case 'serve-http2':
      return listening(http2Server(), '::', task.port);
    case 'ask-http2':
      return askHttp2(task.url, task.authority, task.bodies);
    case 'serve-grpc':
      return serveGrpc(task.host, task.port);
    case 'call-grpc':
      return callGrpc(task.target, task.words);
    case 'serve-tls':
      return listening(
        createTlsServer(task, (socket) => socket.end('inside TLS')),
        '0.0.0.0',
        task.port,
      );
    case 'serve-bulk':
      return listening(bulkServer(), '0.0.0.0', task.port);
    case 'download':
      return download(task.url, task.bytes);
    case 'download-once':
      return download(task.url, task.bytes, { method: 'POST', signal: AbortSignal.timeout(task.limitMs) });
    case 'upload':
      return upload(task.url, task.bytes);
    case 'begin-endless':
      return beginEndless(task.url);
    case 'endless-ended':
      return { kind: 'bytes', text: await endlessEnded() };
    case 'get':
      return getOnce(task.url, task.headers ?? {}, task.method ?? 'GET');
    case 'talk': {
      const socket = connect({ host: task.host, port: task.port, allowHalfOpen: true });
      return { kind: 'bytes', text: await talk(socket, task.send, task.waits) };
    }
    default: {
      // Who the test's own server is does not matter here, only that its bytes come through.
      const { host, port, key, cert, send } = task;
      const options = { servername: task.serverName, rejectUnauthorized: false };
      const own = key === undefined || cert === undefined ? {} : { key, cert };
      const socket = connectTls({ host, port, ...options, ...own });
      socket.write(send);
      return { kind: 'bytes', text: await text(socket) };
    }
  }
}

function answer(request: IncomingMessage, response: { end(text: string): void }): void {
  const seen: Seen = {
    from: (request.socket.remoteAddress ?? '').replace('::ffff:', ''),
    host: request.headers.host,
    client: request.headers['l5d-client-id']?.toString(),
  };
  response.end(JSON.stringify(seen));
}

function echo(greeting: string): (socket: Socket) => void {
  return (socket) => {
    socket.on('error', () => socket.destroy());
    socket.write(greeting.replace('%from%', socket.remoteAddress ?? ''));
    socket.pipe(socket);
  };
}

async function listening(server: Server, host: string, port: number): Promise<AppResult> {
  server.listen(port, host);
  await once(server, 'listening');
  return { kind: 'done' };
}

async function getOnce(url: string, headers: Record<string, string>, method: string): Promise<AppResult> {
  const request = ask(url, { headers, method, agent: false }).end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return { kind: 'answer', status: response.statusCode ?? 0, body: await text(response) };
}

async function talk(socket: Socket, send: string, waits: boolean): Promise<string> {
  let first = '';
  if (waits) {
    await once(socket, 'readable');
    first = String(socket.read());
  }
  socket.end(send);
  return first + (await text(socket));
}

async function text(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
