import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

/** A span as a collector reads it. */
export interface ReadSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string;
  readonly name: string;
  readonly kind: number;
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly error: boolean;
  readonly attributes: Readonly<Record<string, string | number>>;
  /** Of the process that made it. */
  readonly resource: Readonly<Record<string, string | number>>;
  readonly scope: string;
}

type Fields = Map<number, (Uint8Array | bigint)[]>;

/** Any message, by field number: with a reader that is not the writer's own. */
function fieldsOf(bytes: Uint8Array): Fields {
  const reader = new BinaryReader(bytes);
  const fields: Fields = new Map();
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    const list = fields.get(number) ?? [];
    fields.set(number, list);
    if (type === WireType.LengthDelimited) list.push(reader.bytes());
    else if (type === WireType.Varint) list.push(BigInt(reader.uint64()));
    else if (type === WireType.Bit64) list.push(BigInt(reader.fixed64()));
    else throw new Error(`field ${number} is of type ${type}`);
  }
  return fields;
}

function messages(fields: Fields, number: number): Fields[] {
  return (fields.get(number) ?? []).map((value) => fieldsOf(value as Uint8Array));
}

function text(fields: Fields, number: number): string {
  const value = fields.get(number)?.[0];
  return value === undefined ? '' : new TextDecoder('utf-8', { fatal: true }).decode(value as Uint8Array);
}

function hex(fields: Fields, number: number): string {
  return Buffer.from((fields.get(number)?.[0] ?? new Uint8Array()) as Uint8Array).toString('hex');
}

function whole(fields: Fields, number: number): bigint {
  return (fields.get(number)?.[0] ?? 0n) as bigint;
}

function attributes(list: readonly Fields[]): Record<string, string | number> {
  const found: Record<string, string | number> = {};
  for (const one of list) {
    const [value = new Map()] = messages(one, 2);
    found[text(one, 1)] = value.has(1) ? text(value, 1) : Number(whole(value, 3));
  }
  return found;
}

function readSpan(span: Fields, resource: ReadSpan['resource'], scope: string): ReadSpan {
  return {
    traceId: hex(span, 1),
    spanId: hex(span, 2),
    parentId: hex(span, 4),
    name: text(span, 5),
    kind: Number(whole(span, 6)),
    startNs: whole(span, 7),
    endNs: whole(span, 8),
    error: messages(span, 15).some((status) => whole(status, 3) === 2n),
    attributes: attributes(messages(span, 9)),
    resource,
    scope,
  };
}

/** The spans of an `ExportTraceServiceRequest`. */
export function readSpans(body: Uint8Array): ReadSpan[] {
  return messages(fieldsOf(body), 1).flatMap((ofResource) => {
    const resource = attributes(messages(ofResource, 1).flatMap((one) => messages(one, 1)));
    return messages(ofResource, 2).flatMap((scoped) => {
      const scope = messages(scoped, 1)
        .map((one) => text(one, 1))
        .join();
      return messages(scoped, 2).map((span) => readSpan(span, resource, scope));
    });
  });
}

/** A collector of a test: takes OTLP/HTTP, or answers as it is told to. */
export class FakeCollector {
  readonly spans: ReadSpan[] = [];
  readonly requests: { url: string; headers: IncomingHttpHeaders }[] = [];
  /** The next answers, by their status or whole; 200 when there is none left. */
  readonly answers: (number | { status: number; headers?: Record<string, string>; body?: Buffer })[] = [];
  readonly #waiting: { n: number; resolve: () => void }[] = [];
  readonly #server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      this.requests.push({ url: incoming.url ?? '', headers: incoming.headers });
      const next = this.answers.shift() ?? 200;
      const { status, headers = {}, body } = typeof next === 'number' ? { status: next } : next;
      if (status === 200) this.spans.push(...readSpans(Buffer.concat(chunks)));
      response.writeHead(status, headers).end(body);
      for (const { n, resolve } of this.#waiting) if (this.spans.length >= n) resolve();
    });
  });

  /** @returns its `host:port` */
  async start(host: string): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, host, resolve));
    return `${host}:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Resolves when so many spans have come. */
  until(n: number): Promise<void> {
    if (this.spans.length >= n) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ n, resolve }));
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
