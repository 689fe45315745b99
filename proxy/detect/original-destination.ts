import { SocketAddress, type Socket } from 'node:net';
import { TcpConnection, type Connection } from '../transport/tcp-connection.ts';

/** Where a redirected connection was going. */
export interface Destination {
  readonly address: string;
  readonly port: number;
}

/** Undefined: the kernel does not know (the connection was not tracked), or the connection is closed. */
export type OriginalDestination = (connection: Connection) => Destination | undefined;

/** linux/netfilter_ipv4.h and linux/netfilter_ipv6/ip6_tables.h: the same number on either level. */
const SO_ORIGINAL_DST = 80;
const SOL_IP = 0;
const SOL_IPV6 = 41;
/** Bytes of `struct sockaddr_in` and of `struct sockaddr_in6`. */
const SOCKADDR_IN = 16;
const SOCKADDR_IN6 = 28;

type GetSockOpt = (fd: number, level: number, name: number, value: Buffer, length: Buffer) => number;

/**
 * Loads the reader of the socket option that Node has no call for. Only redirect mode needs it: the library takes time and memory. Rejects with an error that
 * says why, where the library or its machine code is missing.
 */
export async function loadOriginalDestination(): Promise<OriginalDestination> {
  const getsockopt = await loadGetSockOpt();
  return (connection) => {
    const fd = descriptorOf(connection);
    if (fd < 0) return undefined;
    const v6 = connection.localFamily === 'IPv6';
    const value = Buffer.alloc(v6 ? SOCKADDR_IN6 : SOCKADDR_IN);
    const length = Buffer.alloc(4);
    length.writeInt32LE(value.length);
    const failed = getsockopt(fd, v6 ? SOL_IPV6 : SOL_IP, SO_ORIGINAL_DST, value, length) !== 0;
    return failed ? undefined : v6 ? readIn6(value) : readIn(value);
  };
}

async function loadGetSockOpt(): Promise<GetSockOpt> {
  try {
    const { default: koffi } = await import('koffi');
    // The process itself: its C library is there under whatever name.
    return koffi.load(null).func('int getsockopt(int, int, int, void *, void *)') as GetSockOpt;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`the original destination of connections cannot be read: koffi does not load: ${why}`, {
      cause: error,
    });
  }
}

/** The descriptor of a connection; -1: it is closed. Of a socket it is undocumented, and as old as Node; a test holds it. */
export function descriptorOf(connection: Connection): number {
  if (connection instanceof TcpConnection) return connection.fd;
  return (connection as Socket & { _handle?: { fd?: number } | null })._handle?.fd ?? -1;
}

/** The port stands in network order behind the family. */
function readIn(b: Buffer): Destination {
  return { address: b.subarray(4, 8).join('.'), port: b.readUInt16BE(2) };
}

function readIn6(b: Buffer): Destination {
  const groups: string[] = [];
  for (let at = 8; at < 24; at += 2) groups.push(b.readUInt16BE(at).toString(16));
  // In the short form, as the system writes it.
  const { address } = new SocketAddress({ family: 'ipv6', address: groups.join(':') });
  return { address, port: b.readUInt16BE(2) };
}
