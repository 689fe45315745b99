/** Bodies that a broken network would show in: long ones whose every byte is known, and one that does not end. */
import { once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  request as ask,
  type RequestOptions,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AppResult } from './messages.ts';

const CHUNK_BYTES = 16_384;

/** How the answer without an end has ended. */
const ended = Promise.withResolvers<string>();

/** Bytes of which no stretch is like another, the same each time. */
function body(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = 1;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

/**
 * `/bytes/N` is answered with so many, by any method, `/endless` for as long as somebody reads, and `POST /N` by whether
 * so many came as they should.
 */
export function bulkServer(): Server {
  return createServer((request, response) => void answer(request, response));
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  response.on('error', () => response.destroy());
  const [, first = '', second = ''] = (request.url ?? '').split('/');
  if (first === 'bytes') response.end(body(Number(second)));
  else if (first === 'endless') writeOn(response, body(CHUNK_BYTES));
  else response.end(String(body(Number(first)).equals(await whole(request))));
}

function writeOn(response: ServerResponse, chunk: Buffer): void {
  response.write(chunk, (error) => {
    if (error === null || error === undefined) writeOn(response, chunk);
  });
}

export async function download(
  url: string,
  bytes: number,
  options: Pick<RequestOptions, 'method' | 'signal'> = {},
): Promise<AppResult> {
  const response = await responseOf(ask(`${url}/bytes/${bytes}`, { ...options, agent: false }).end());
  const intact = body(bytes).equals(await whole(response));
  return { kind: 'moved', status: response.statusCode ?? 0, intact };
}

export async function upload(url: string, bytes: number): Promise<AppResult> {
  const request = ask(`${url}/${bytes}`, { agent: false, method: 'POST' }).end(body(bytes));
  const response = await responseOf(request);
  const intact = (await whole(response)).toString() === 'true';
  return { kind: 'moved', status: response.statusCode ?? 0, intact };
}

/** Resolves when the first bytes of the body are here. */
export async function beginEndless(url: string): Promise<AppResult> {
  const response = await responseOf(ask(`${url}/endless`, { agent: false }).end());
  response.on('error', () => ended.resolve('broken'));
  response.on('end', () => ended.resolve('whole'));
  await once(response, 'data');
  return { kind: 'done' };
}

export function endlessEnded(): Promise<string> {
  return ended.promise;
}

async function responseOf(request: ReturnType<typeof ask>): Promise<IncomingMessage> {
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return response;
}

async function whole(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
