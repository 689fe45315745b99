/** A TCP segment within an IPv4 packet: what a middlebox looks at. */
export interface Segment {
  /** Source, destination and their ports. */
  readonly flow: string;
  /** The same, of what comes back. */
  readonly back: string;
  readonly opens: boolean;
  /** The sequence number behind its last byte. */
  readonly end: number;
  /** Undefined: it acknowledges nothing. */
  readonly ack: number | undefined;
}

const IP_BYTES = 20;
const TCP_BYTES = 20;
const TCP = 6;
const [FIN, SYN, RST, ACK] = [1, 2, 4, 16];

/** Where an IPv4 packet goes; undefined: it is none. */
export function destinationOf(packet: Buffer): string | undefined {
  return packet.length < IP_BYTES || packet.readUInt8(0) >> 4 !== 4 ? undefined : addressAt(packet, 16);
}

/** Undefined: the packet is no TCP. */
export function segmentOf(packet: Buffer): Segment | undefined {
  const tcp = (packet.readUInt8(0) & 15) * 4;
  if (packet.readUInt8(9) !== TCP || packet.length < tcp + TCP_BYTES) return undefined;
  const from = `${addressAt(packet, 12)}:${packet.readUInt16BE(tcp)}`;
  const to = `${addressAt(packet, 16)}:${packet.readUInt16BE(tcp + 2)}`;
  const flags = packet.readUInt8(tcp + 13);
  const bytes = packet.length - tcp - (packet.readUInt8(tcp + 12) >> 4) * 4;
  return {
    flow: `${from} ${to}`,
    back: `${to} ${from}`,
    opens: (flags & (SYN | ACK)) === SYN,
    end: (packet.readUInt32BE(tcp + 4) + bytes + ((flags & (SYN | FIN)) === 0 ? 0 : 1)) >>> 0,
    ack: (flags & ACK) === 0 ? undefined : packet.readUInt32BE(tcp + 8),
  };
}

/** A reset as if the sender of the flow had sent it. @param sequence what its receiver waits for: with any other it takes no notice */
export function forgedReset(flow: string, sequence: number): Buffer {
  const [from = '', to = ''] = flow.split(' ');
  const packet = Buffer.alloc(IP_BYTES + TCP_BYTES);
  packet.writeUInt8(0x45, 0);
  packet.writeUInt16BE(packet.length, 2);
  packet.writeUInt8(64, 8);
  packet.writeUInt8(TCP, 9);
  writePeer(packet, from, 12, IP_BYTES);
  writePeer(packet, to, 16, IP_BYTES + 2);
  packet.writeUInt16BE(checksum(packet.subarray(0, IP_BYTES), 0), 10);
  packet.writeUInt32BE(sequence, IP_BYTES + 4);
  packet.writeUInt8((TCP_BYTES / 4) << 4, IP_BYTES + 12);
  packet.writeUInt8(RST, IP_BYTES + 13);
  // Both addresses, the protocol and the length count as well (RFC 9293 section 3.1).
  packet.writeUInt16BE(checksum(packet.subarray(12), TCP + TCP_BYTES), IP_BYTES + 16);
  return packet;
}

function addressAt(packet: Buffer, at: number): string {
  return packet.subarray(at, at + 4).join('.');
}

function writePeer(packet: Buffer, peer: string, addressAt: number, portAt: number): void {
  const [address = '', port] = peer.split(':');
  packet.set(address.split('.').map(Number), addressAt);
  packet.writeUInt16BE(Number(port), portAt);
}

/** The sum of the Internet's protocols over an even number of bytes (RFC 1071). */
function checksum(bytes: Buffer, first: number): number {
  let sum = first;
  for (let i = 0; i < bytes.length; i += 2) sum += bytes.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
