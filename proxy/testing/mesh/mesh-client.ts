import { once } from 'node:events';
import { connect as connectHttp2, type ClientHttp2Session, type OutgoingHttpHeaders } from 'node:http2';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { port } from '../../../api/names.ts';
import type { WorkloadIdentity } from '../../../workload-identity/index.ts';
import { encodeTransportHeader, type TransportHeader } from '../../detect/transport-header.ts';
import type { TestPod } from './test-mesh.ts';

/** What stands where a peer's proxy would, and says whatever a test wants. */
export async function dialMesh(
  identity: WorkloadIdentity,
  to: TestPod,
  protocols: string[],
): Promise<TLSSocket> {
  const options = identity.clientOptions({
    alpn: protocols,
    expect: { spiffeId: to.spiffeId, dnsName: to.dnsName },
  });
  if (options === undefined) throw new Error('the identity is not certified');
  const where = { host: to.ip, port: port.inbound, allowHalfOpen: true };
  const socket = connectTls({ ...options, ...where });
  await once(socket, 'secureConnect');
  return socket;
}

/** Writes a transport header. Resolves when TLS has taken it: an HTTP/2 session that is started before would abort the process. */
export function sendHeader(socket: TLSSocket, header: TransportHeader): Promise<void> {
  return new Promise((resolve) => socket.write(encodeTransportHeader(header), () => resolve()));
}

/** Plain HTTP/2 on a connection. */
export function http2Over(socket: TLSSocket): ClientHttp2Session {
  return connectHttp2('http://peer', { createConnection: () => socket });
}

export interface Http2Answer {
  status: number;
  headers: Record<string, unknown>;
  body: string;
}

/** One request and its whole answer. Rejects when the stream is reset before there is one. */
export function ask2(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body = '',
): Promise<Http2Answer> {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers);
    let answer: Http2Answer | undefined;
    stream.on('response', (fields) => {
      answer = { status: fields[':status'] ?? 0, headers: fields, body: '' };
    });
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => {
      if (answer !== undefined) answer.body += text;
    });
    // What was answered counts, also when the stream is reset behind it.
    let failure = new Error('the stream ended without an answer');
    stream.on('error', (error: Error) => {
      failure = error;
    });
    stream.on('close', () => (answer === undefined ? reject(failure) : resolve(answer)));
    // A request without a body has ended with its head.
    if (!stream.writableEnded) stream.end(body);
  });
}
