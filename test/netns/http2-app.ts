/** What apps of a network namespace do in HTTP/2 and gRPC: by Node's own HTTP/2 and by grpc-js, neither of which knows of a proxy. */
import { once } from 'node:events';
import { connect, constants, createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import {
  Client,
  credentials,
  Metadata,
  Server,
  status,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { BYTES, listenInPlaintext } from '../testing/grpc-bytes.ts';
import type { AppResult, CallsSeen, Seen } from './messages.ts';

/** Answers a GET with what it saw of it, and sends the body of any other method back as it comes; then trailers. */
export function http2Server(): Http2Server {
  const server = createServer();
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => stream.destroy());
    stream.respond({ ':status': 200 }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-checked': 'yes' }));
    if (headers[':method'] !== 'GET') return stream.pipe(stream);
    const seen: Seen = {
      from: (stream.session?.socket.remoteAddress ?? '').replace('::ffff:', ''),
      host: headers[':authority'],
      client: headers['l5d-client-id']?.toString(),
    };
    return stream.end(JSON.stringify(seen));
  });
  return server;
}

/** Opens one connection with prior knowledge and asks as often as `bodies` says, all at once; the text of an answer is `status body trailer`. */
export async function askHttp2(
  url: string,
  authority: string,
  bodies: readonly string[],
): Promise<AppResult> {
  const session = connect(url);
  // Every stream tells the error of its session.
  session.on('error', () => session.destroy());
  try {
    const answers = await Promise.all(
      bodies.map(async (body) => {
        const method = body === '' ? 'GET' : 'POST';
        const stream = session.request({ ':method': method, ':path': '/', ':authority': authority });
        let checked: unknown;
        stream.on('trailers', (trailers) => (checked = trailers['x-checked']));
        // A GET has ended with its head.
        if (body !== '') stream.end(body);
        const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
        let text = '';
        for await (const chunk of stream.setEncoding('utf8')) text += String(chunk);
        return `${String(headers[constants.HTTP2_HEADER_STATUS])} ${text} ${String(checked)}`;
      }),
    );
    return { kind: 'answers', answers };
  } finally {
    session.close();
  }
}

const METHOD = '/test.Echo/';

/** Unary calls are answered with the client's identity, streams with each message as it comes; `Missing` is told by its trailers. */
export async function serveGrpc(host: string, port: number): Promise<AppResult> {
  const server = new Server();
  server.addService(
    {
      Who: { path: `${METHOD}Who`, requestStream: false, responseStream: false, ...BYTES },
      Missing: { path: `${METHOD}Missing`, requestStream: false, responseStream: false, ...BYTES },
      Talk: { path: `${METHOD}Talk`, requestStream: true, responseStream: true, ...BYTES },
    },
    {
      Who: ({ metadata }: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) =>
        done(null, Buffer.from(String(metadata.get('l5d-client-id')[0]))),
      Missing: (_call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) =>
        done({ code: status.NOT_FOUND, details: 'no such thing' }),
      Talk: (call: ServerDuplexStream<Buffer, Buffer>) => {
        call.on('data', (message: Buffer) => call.write(Buffer.from(`${message.toString()}!`)));
        call.on('end', () => call.end());
      },
    },
  );
  await listenInPlaintext(server, host, port);
  return { kind: 'done' };
}

/**
 * One call of each kind on one channel. In the stream each word is sent when the answer to the one before has come:
 * neither direction waits for the other's end.
 */
export async function callGrpc(target: string, words: readonly string[]): Promise<AppResult> {
  const client = new Client(target, credentials.createInsecure());
  const { requestSerialize: to, responseDeserialize: from } = BYTES;
  try {
    const unary = (method: string): Promise<string> =>
      new Promise((resolve) => {
        client.makeUnaryRequest(METHOD + method, to, from, Buffer.from('?'), new Metadata(), (error, value) =>
          resolve(error === null ? String(value) : `${error.code} ${error.details}`),
        );
      });
    const seen: CallsSeen = { who: await unary('Who'), missing: await unary('Missing'), talk: await talk() };
    return { kind: 'calls', seen };
  } finally {
    client.close();
  }

  async function talk(): Promise<string[]> {
    const call = client.makeBidiStreamRequest(`${METHOD}Talk`, to, from);
    const heard: string[] = [];
    const messages = call[Symbol.asyncIterator]();
    for (const word of words) {
      call.write(Buffer.from(word));
      heard.push(String((await messages.next()).value));
    }
    call.end();
    heard.push((await messages.next()).done === true ? 'end' : 'more');
    return heard;
  }
}
