import { createSocket } from 'node:dgram';
import type { Socket as UdpSocket } from 'node:dgram';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { decode, encode } from 'dns-packet';
import type { Answer, DecodedPacket, Packet } from 'dns-packet';
import { DEFAULT_CLUSTER_DOMAIN } from '../../api/names.ts';
import type { LoopbackClient } from '../types.ts';
import { resolve } from './resolve.ts';
import type { DnsRecord } from './resolve.ts';

/** A running DNS server. */
export interface DnsServer {
  /** `127.64.3.1:5353` */
  readonly address: string;
  close(): Promise<void>;
}

/** Endpoints come and go: an answer is good for as long as CoreDNS says for the cluster's names. */
const TTL_SECONDS = 5;
/** RFC 1035 4.2.1: what fits a UDP answer when the client says nothing of EDNS. */
const PLAIN_UDP_BYTES = 512;
/** What an answer over UDP takes at most, whatever a client offers (DNS flag day 2020). */
const MAX_UDP_BYTES = 1232;
/** RFC 7766 6.2.3: an idle connection is closed after seconds, not minutes. */
const TCP_IDLE_MS = 10_000;
const MAX_TCP_CONNECTIONS = 256;
/** Free ports that are tried where any will do. */
const MAX_PORT_ATTEMPTS = 20;
/** The longest question is far shorter. */
const MAX_QUERY_BYTES = 1024;

const FLAG_AUTHORITATIVE = 1 << 10;
const FLAG_TRUNCATED = 1 << 9;
const FLAG_RECURSION_DESIRED = 1 << 8;
const RCODE = {
  noError: 0,
  formatError: 1,
  serverFailure: 2,
  nxDomain: 3,
  notImplemented: 4,
  refused: 5,
} as const;

/** Answers the cluster's names over UDP and TCP. Rejects when the port is taken; port 0 takes one that is free for both. */
export async function startDnsServer(client: LoopbackClient, host: string, port: number): Promise<DnsServer> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await startOn(client, host, port);
    } catch (error) {
      // What UDP was given at random may be taken for TCP.
      const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
      if (!taken || port !== 0 || attempt === MAX_PORT_ATTEMPTS) throw error;
    }
  }
}

async function startOn(client: LoopbackClient, host: string, port: number): Promise<DnsServer> {
  // A multicast DNS daemon holds 0.0.0.0:5353 on many machines, sharing it; our more specific address gets what is meant for us.
  const udp = createSocket({ type: 'udp4', reuseAddr: true });
  udp.on('message', (query, from) => {
    const answer = answerQuery(client, query, 'udp');
    if (answer !== undefined) udp.send(answer, from.port, from.address);
  });
  await bindUdp(udp, host, port);
  const bound = udp.address().port;
  // An ICMP error of one client is no reason to stop answering the others.
  udp.on('error', () => undefined);
  const sockets = new Set<Socket>();
  const tcp = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    serveConnection(client, socket);
  });
  tcp.maxConnections = MAX_TCP_CONNECTIONS;
  try {
    await listenTcp(tcp, host, bound);
  } catch (error) {
    udp.close();
    throw error;
  }
  return {
    address: `${host}:${bound}`,
    async close() {
      for (const socket of sockets) socket.destroy();
      await Promise.all([
        new Promise<void>((done) => {
          udp.close(done);
        }),
        new Promise<void>((done) => {
          tcp.close(() => {
            done();
          });
        }),
      ]);
    },
  };
}

/** One connection: queries and answers behind a length of two bytes each (RFC 1035 4.2.2). */
function serveConnection(client: LoopbackClient, socket: Socket): void {
  let pending = Buffer.alloc(0);
  socket.setTimeout(TCP_IDLE_MS, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= 2) {
      const length = pending.readUInt16BE(0);
      if (length > MAX_QUERY_BYTES) {
        socket.destroy();
        return;
      }
      if (pending.length < 2 + length) return;
      const answer = answerQuery(client, pending.subarray(2, 2 + length), 'tcp');
      pending = pending.subarray(2 + length);
      if (answer === undefined) continue;
      const head = Buffer.alloc(2);
      head.writeUInt16BE(answer.length);
      socket.write(Buffer.concat([head, answer]));
    }
  });
}

/** The answer to one message; undefined for what deserves none (no header, or itself an answer). */
export function answerQuery(
  client: LoopbackClient,
  message: Buffer,
  transport: 'udp' | 'tcp',
): Buffer | undefined {
  let query: DecodedPacket;
  try {
    query = decode(message);
  } catch {
    if (message.length < 2) return undefined;
    return encode({ type: 'response', id: message.readUInt16BE(0), flags: RCODE.formatError });
  }
  if (query.type !== 'query') return undefined;
  if (query.questions?.some(({ name }) => hasEmptyLabel(name)) === true) {
    return encode({ type: 'response', id: query.id ?? 0, flags: RCODE.formatError });
  }
  const base = {
    type: 'response' as const,
    id: query.id,
    questions: query.questions,
    flags: (query.flags ?? 0) & FLAG_RECURSION_DESIRED,
  };
  try {
    const response = respond(client, query, base);
    const encoded = encode(response);
    if (transport === 'tcp' || encoded.length <= udpLimit(query)) return encoded;
    return encode({ ...base, flags: (response.flags ?? 0) | FLAG_TRUNCATED });
  } catch {
    // What was decoded need not be something that can be written again: a stranger's bytes must not end the cluster.
    return encode({ type: 'response', id: query.id ?? 0, flags: base.flags | RCODE.serverFailure });
  }
}

/** A label that holds a dot of its own comes out of the decoder as an empty one beside it, and would be written back as a name that nobody can read. */
function hasEmptyLabel(name: string): boolean {
  return name !== '.' && name.split('.').slice(0, -1).includes('');
}

function respond(client: LoopbackClient, query: DecodedPacket, base: Packet & { flags: number }): Packet {
  const [question, ...more] = query.questions ?? [];
  const opcode = (query as { opcode?: string }).opcode;
  if (opcode !== undefined && opcode !== 'QUERY')
    return { ...base, flags: base.flags | RCODE.notImplemented };
  if (question === undefined || more.length > 0) return { ...base, flags: base.flags | RCODE.formatError };
  const found = resolve(client, { name: question.name, type: question.type });
  const flags = base.flags | FLAG_AUTHORITATIVE;
  switch (found.kind) {
    case 'records':
      return {
        ...base,
        flags,
        answers: found.answers.map(toAnswer),
        additionals: found.additionals.map(toAnswer),
      };
    case 'nodata':
      return { ...base, flags, authorities: [SOA] };
    case 'nxdomain':
      return { ...base, flags: flags | RCODE.nxDomain, authorities: [SOA] };
    case 'refused':
      return { ...base, flags: base.flags | RCODE.refused };
    default:
      return found satisfies never;
  }
}

/** RFC 2308: negative answers carry the zone's SOA, whose minimum says how long they hold. */
const SOA: Answer = {
  type: 'SOA',
  name: DEFAULT_CLUSTER_DOMAIN,
  ttl: TTL_SECONDS,
  data: {
    mname: `ns.dns.${DEFAULT_CLUSTER_DOMAIN}`,
    rname: `hostmaster.${DEFAULT_CLUSTER_DOMAIN}`,
    serial: 1,
    refresh: 7200,
    retry: 1800,
    expire: 86_400,
    minimum: TTL_SECONDS,
  },
};

function toAnswer(record: DnsRecord): Answer {
  return { ...record, ttl: TTL_SECONDS };
}

function udpLimit(query: DecodedPacket): number {
  const edns = query.additionals?.find((record) => record.type === 'OPT');
  const offered = edns !== undefined && 'udpPayloadSize' in edns ? edns.udpPayloadSize : PLAIN_UDP_BYTES;
  return Math.min(MAX_UDP_BYTES, Math.max(PLAIN_UDP_BYTES, offered));
}

function bindUdp(socket: UdpSocket, address: string, port: number): Promise<void> {
  return new Promise((done, fail) => {
    socket.once('error', fail);
    socket.bind({ address, port }, () => {
      socket.off('error', fail);
      done();
    });
  });
}

function listenTcp(server: Server, host: string, port: number): Promise<void> {
  return new Promise((done, fail) => {
    server.once('error', fail);
    server.listen({ host, port }, done);
  });
}
