/**
 * Requests at a fixed rate, whatever the answers do: what is slow then shows in the latencies, and not in fewer requests. Argument: a `RateLoad` as JSON.
 */
import { connect, type Socket } from 'node:net';

export interface RateLoad {
  host: string;
  port: number;
  /** The request target, as it goes onto the wire. */
  target: string;
  connections: number;
  /** Requests a second. */
  rate: number;
  /** ms, and how many of them at the start do not count. */
  durationMs: number;
  skipMs: number;
}

/** µs from a request's sending to its answer's end. */
export interface Latencies {
  requests: number;
  p50: number;
  p99: number;
}

/** The clock of the generator: several requests leave at each tick. */
const TICK_MS = 1;

class Connection {
  readonly #socket: Socket;
  readonly #request: Buffer;
  readonly #answered: (from: Connection, sentAt: number) => void;
  #sentAt = 0;
  #left = -1;

  constructor(socket: Socket, request: Buffer, answered: (from: Connection, sentAt: number) => void) {
    this.#socket = socket;
    this.#request = request;
    this.#answered = answered;
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
  }

  send(now: number): void {
    this.#sentAt = now;
    this.#socket.write(this.#request);
  }

  #read(chunk: Buffer): void {
    if (this.#left < 0) this.#left = lengthOf(chunk);
    this.#left -= chunk.length;
    if (this.#left > 0) return;
    this.#left = -1;
    this.#answered(this, this.#sentAt);
  }
}

/** Bytes of a whole answer whose head is at the chunk's start. */
function lengthOf(chunk: Buffer): number {
  const head = chunk.toString('latin1', 0, chunk.indexOf('\r\n\r\n') + 4);
  return head.length + Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
}

async function run(load: RateLoad): Promise<Latencies> {
  const request = Buffer.from(`GET ${load.target} HTTP/1.1\r\nHost: app\r\n\r\n`);
  const latencies: number[] = [];
  const idle: Connection[] = [];
  /** When each request was to be sent for which no connection was idle. */
  const late: number[] = [];
  const sockets = Array.from({ length: load.connections }, () =>
    connect({ host: load.host, port: load.port, noDelay: true }),
  );
  await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
  const begun = performance.now();
  const answered = (from: Connection, sentAt: number): void => {
    const now = performance.now();
    if (sentAt - begun >= load.skipMs) latencies.push((now - sentAt) * 1_000);
    const due = late.shift();
    if (due === undefined) idle.push(from);
    else from.send(due);
  };
  for (const socket of sockets) idle.push(new Connection(socket, request, answered));
  let sent = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    const due = Math.floor(((now - begun) * load.rate) / 1_000);
    for (; sent < due; sent++) {
      const connection = idle.shift();
      if (connection === undefined) late.push(now);
      else connection.send(now);
    }
  }, TICK_MS);
  await new Promise((resolve) => setTimeout(resolve, load.durationMs));
  clearInterval(timer);
  for (const socket of sockets) socket.destroy();
  latencies.sort((a, b) => a - b);
  const at = (share: number): number => latencies[Math.floor((latencies.length - 1) * share)] ?? Number.NaN;
  return { requests: latencies.length, p50: at(0.5), p99: at(0.99) };
}

const result = await run(JSON.parse(process.argv[2] ?? '') as RateLoad);
process.send?.({ kind: 'result', result });
process.disconnect?.();
