/** What a ClientHello tells in the clear. */
export interface ClientHello {
  /** SNI; empty when there is none. */
  serverName: string;
  alpn: readonly string[];
}

const RECORD_HEADER = 5;
const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
/** RFC 8446 section 5.1: payload of one record. */
const MAX_RECORD = 16_384;
const EXTENSION_SERVER_NAME = 0;
const EXTENSION_ALPN = 16;

/** Reads the ClientHello that begins at `b[0]` (RFC 8446 section 4.1.2). 'more': not all of it is there. 'not-tls': it is none. */
export function parseClientHello(b: Buffer): ClientHello | 'more' | 'not-tls' {
  const message = collectHandshake(b);
  if (typeof message === 'string') return message;
  const cursor = new Reader(message);
  // Version and random.
  cursor.skip(34);
  cursor.vector(1);
  cursor.vector(2);
  cursor.vector(1);
  const extensions = new Reader(cursor.left > 0 ? cursor.vector(2) : Buffer.alloc(0));
  if (cursor.failed) return 'not-tls';
  return readExtensions(extensions);
}

/** The handshake message, put together from its records: it may span several. */
function collectHandshake(b: Buffer): Buffer | 'more' | 'not-tls' {
  const parts: Buffer[] = [];
  let collected = 0;
  let need = 4;
  for (let at = 0; ;) {
    if (b.length > at && b[at] !== HANDSHAKE) return 'not-tls';
    if (b.length > at + 1 && b[at + 1] !== 3) return 'not-tls';
    if (b.length < at + RECORD_HEADER) return 'more';
    const length = b.readUInt16BE(at + 3);
    if (length === 0 || length > MAX_RECORD) return 'not-tls';
    const start = at + RECORD_HEADER;
    const part = b.subarray(start, start + length);
    parts.push(part);
    collected += part.length;
    if (collected > 0 && (parts[0]?.[0] ?? 0) !== CLIENT_HELLO) return 'not-tls';
    if (collected >= 4) need = 4 + Buffer.concat(parts).readUIntBE(1, 3);
    if (need > 4 && collected >= need) return Buffer.concat(parts).subarray(4, need);
    if (part.length < length) return 'more';
    at = start + length;
  }
}

function readExtensions(extensions: Reader): ClientHello | 'not-tls' {
  let serverName = '';
  const alpn: string[] = [];
  while (extensions.left > 0 && !extensions.failed) {
    const type = extensions.number(2);
    const body = new Reader(extensions.vector(2));
    if (type === EXTENSION_SERVER_NAME) {
      const list = new Reader(body.vector(2));
      // Only host names are defined (RFC 6066 section 3).
      if (list.number(1) === 0) serverName = list.vector(2).toString('latin1');
    } else if (type === EXTENSION_ALPN) {
      const list = new Reader(body.vector(2));
      while (list.left > 0 && !list.failed) alpn.push(list.vector(1).toString('latin1'));
    }
  }
  return extensions.failed ? 'not-tls' : { serverName, alpn };
}

/** Reads numbers and length-prefixed vectors; after running out, everything is empty and `failed` is set. */
class Reader {
  failed = false;
  readonly #b: Buffer;
  #at = 0;

  constructor(b: Buffer) {
    this.#b = b;
  }

  get left(): number {
    return this.#b.length - this.#at;
  }

  skip(n: number): void {
    this.#take(n);
  }

  number(bytes: number): number {
    const b = this.#take(bytes);
    return b.length === bytes ? b.readUIntBE(0, bytes) : 0;
  }

  vector(lengthBytes: number): Buffer {
    return this.#take(this.number(lengthBytes));
  }

  #take(n: number): Buffer {
    if (this.failed || n > this.left) {
      this.failed = true;
      return this.#b.subarray(0, 0);
    }
    this.#at += n;
    return this.#b.subarray(this.#at - n, this.#at);
  }
}
