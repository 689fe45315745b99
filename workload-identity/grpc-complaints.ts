import type { Clock } from './clock.ts';
import { type GrpcError, type GrpcCode, grpcStatus } from './grpc-error.ts';
import type { Logger } from './types.ts';

/** ms between two lines about the same thing: a peer that is away for a day must not fill a fleet's logs. */
const QUIET_MS = 60_000;

/** What a peer may answer for good reason, or what whoever asked has brought about. That nobody is there is told of the connection. */
const ORDINARY: ReadonlySet<GrpcCode> = new Set([
  grpcStatus.cancelled,
  grpcStatus.invalidArgument,
  grpcStatus.notFound,
  grpcStatus.failedPrecondition,
  grpcStatus.unimplemented,
  grpcStatus.unavailable,
]);

interface Told {
  /** ms, monotonic. */
  at: number;
  /** Untold since then. */
  more: number;
}

/** Tells what is wrong with a peer: the first of each kind at once, then once a minute at most, with how many there were in between. */
export class Complaints {
  readonly #peer: string;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #told = new Map<string, Told>();

  constructor(peer: string, logger: Logger, clock: Clock) {
    this.#peer = peer;
    this.#logger = logger;
    this.#clock = clock;
  }

  /** No connection came about. */
  connection(error: string): void {
    this.#tell('connection', { error }, 'no connection to the control plane: what was told last holds');
  }

  /** A stream has ended. @param method its path */
  stream(method: string, error: GrpcError): void {
    if (ORDINARY.has(error.code)) return;
    const message = 'the control plane said what cannot be used: what was told last holds';
    this.#tell(method, { method, error: error.message }, message);
  }

  #tell(kind: string, fields: object, message: string): void {
    const now = this.#clock.monotonic();
    const told = this.#told.get(kind);
    if (told !== undefined && now - told.at < QUIET_MS) {
      told.more++;
      return;
    }
    this.#told.set(kind, { at: now, more: 0 });
    this.#logger.warn({ peer: this.#peer, ...fields, before: told?.more ?? 0 }, message);
  }
}
