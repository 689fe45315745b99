/**
 * What a warm-up says: as clients and servers in use write it, since code that was compiled for less is given up at the
 * first message that has more, and runs uncompiled until it is compiled anew. Of each kind there are some that differ:
 * lines that were read before are known by their bytes, and others are not.
 */

/** Messages of each side. */
const VARIANTS = 20;
/** Ends every body whose length is told, and stands nowhere else: `~`. */
const END = 0x7e;
/** First letter of the one method with a body: `P`. */
const POST = 0x50;
/** Ends every chunk of a body, and stands nowhere else: `|`. */
const CHUNK = 0x7c;
const LAST_CHUNK = Buffer.from('0\r\n\r\n');
const BODY = `${'x'.repeat(99)}~`;
const DAY_MS = 86_400_000;
const BROWSER = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';

/** Requests for a service, in the absolute form. @param authority `host:port` */
export function warmUpRequests(authority: string): readonly Buffer[] {
  const kinds = [
    (): string[] => [`GET http://${authority}/ HTTP/1.1`, `Host: ${authority}`],
    (id: string): string[] => [
      `GET http://${authority}/items?after=${id} HTTP/1.1`,
      `Host: ${authority}`,
      'User-Agent: Go-http-client/1.1',
      `X-Request-Id: ${id}`,
      `traceparent: 00-${id}${id}-${id}-01`,
      'Accept-Encoding: gzip',
    ],
    (id: string): string[] => [
      `GET http://${authority}/index.html HTTP/1.1`,
      `host: ${authority}`,
      'connection: keep-alive',
      `user-agent: ${BROWSER}`,
      'accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
      'accept-language: en-US,en;q=0.5',
      'accept-encoding: gzip, deflate, br',
      `cookie: session=${id}; theme=dark`,
    ],
    (id: string): string[] => [
      `POST http://${authority}/items HTTP/1.1`,
      `Host: ${authority}`,
      'Accept: application/json',
      'Content-Type: application/json',
      `Authorization: Bearer ${id}`,
      `Content-Length: ${BODY.length}`,
    ],
  ];
  return variants(kinds, (head) => message(head, head[0]?.startsWith('POST') === true ? BODY : ''));
}

/** Answers of servers. */
export function warmUpAnswers(): readonly Buffer[] {
  const length = `Content-Length: ${BODY.length}`;
  const kinds = [
    (id: string, date: string): string[] => [
      'HTTP/1.1 200 OK',
      'Server: nginx/1.28.0',
      `Date: ${date}`,
      'Content-Type: text/plain',
      length,
      `Last-Modified: ${date}`,
      'Connection: keep-alive',
      `ETag: "${id}"`,
      'Accept-Ranges: bytes',
    ],
    (id: string, date: string): string[] => [
      'HTTP/1.1 200 OK',
      'Content-Type: application/json; charset=utf-8',
      length,
      `ETag: W/"${id}"`,
      `Date: ${date}`,
      'Connection: keep-alive',
      'Keep-Alive: timeout=5',
    ],
    (_id: string, date: string): string[] => [
      'HTTP/1.1 404 Not Found',
      'content-type: text/plain; charset=utf-8',
      'x-content-type-options: nosniff',
      `date: ${date}`,
      length.toLowerCase(),
    ],
    (id: string, date: string): string[] => [
      'HTTP/1.1 201 Created',
      `Date: ${date}`,
      'Cache-Control: no-cache, no-store',
      'Vary: Accept-Encoding',
      `Set-Cookie: session=${id}; Path=/; HttpOnly`,
      `Location: /items/${id}`,
      length,
    ],
    (_id: string, date: string): string[] => [
      'HTTP/1.1 200 OK',
      'Content-Type: application/json',
      `Date: ${date}`,
      'Transfer-Encoding: chunked',
    ],
  ];
  const data = `${'x'.repeat(99)}${String.fromCharCode(CHUNK)}`;
  const chunked = `${data.length.toString(16)}\r\n${data}\r\n${LAST_CHUNK.toString()}`;
  return variants(kinds, (head) => message(head, head.at(-1)?.endsWith('chunked') === true ? chunked : BODY));
}

/** Tells when a request has come whole: one is under way at a time, and a head comes in one read. */
export class WarmUpRequestEnd {
  #wantsBody = false;

  /** @returns whether the bytes [start, end) end a request */
  read(buffer: Buffer, start: number, end: number): boolean {
    this.#wantsBody ||= buffer[start] === POST;
    const whole = !this.#wantsBody || buffer[end - 1] === END;
    if (whole) this.#wantsBody = false;
    return whole;
  }
}

/** Tells when an answer has come whole: its body says so, or the last chunk, which comes in one read. */
export class WarmUpAnswerEnd {
  #chunked = false;

  /** @returns whether the bytes [start, end) end an answer */
  read(buffer: Buffer, start: number, end: number): boolean {
    if (buffer[end - 1] === END) return true;
    const bytes = buffer.subarray(start, end);
    this.#chunked ||= bytes.includes(CHUNK);
    const whole = this.#chunked && bytes.subarray(-LAST_CHUNK.length).equals(LAST_CHUNK);
    if (whole) this.#chunked = false;
    return whole;
  }
}

/** Some of each kind in turns. */
function variants(
  kinds: readonly ((id: string, date: string) => string[])[],
  finish: (head: readonly string[]) => Buffer,
): readonly Buffer[] {
  return Array.from({ length: VARIANTS }, (_, i) => {
    const id = (i + 1).toString(16).padStart(16, 'c0ffee');
    return finish(kinds[i % kinds.length]?.(id, new Date(i * DAY_MS).toUTCString()) ?? []);
  });
}

function message(head: readonly string[], body: string): Buffer {
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`);
}
