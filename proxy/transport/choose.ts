import { TLSSocket } from 'node:tls';
import { handleWrap } from './handle-transport.ts';
import { testPlain, testTls } from './self-test.ts';
import { wrapStream } from './stream-transport.ts';
import type { Wrap } from './transport.ts';

/** Which transport this process uses, and why. */
export interface ChosenTransport {
  readonly kind: 'handle' | 'stream';
  readonly wrap: Wrap;
  readonly reason: string;
  /**
   * Tests socket handles on TLS, which costs more than on plain TCP: where nobody waits for it. TLS sockets are wrapped
   * as public streams until it has passed, and for good if it does not. Later calls are one with the first.
   * @returns what went wrong; undefined: nothing, or there was nothing to test
   */
  tryTls(): Promise<string | undefined>;
}

/**
 * Tries the socket-handle transport on a loopback connection; public streams when this runtime does not pass.
 * @param wanted `streams`: without trying
 */
export function chooseTransport(wanted: 'fastest' | 'streams' = 'fastest'): Promise<ChosenTransport> {
  if (wanted === 'streams') return Promise.resolve(streams('public streams are asked for'));
  // A runtime does not change: who comes second in a process, as its warm-up does, need not try again.
  tried ??= tryTransport(handleWrap(wrapStream));
  return tried;
}

let tried: Promise<ChosenTransport> | undefined;

/** Tries one way to drive socket handles. */
export async function tryTransport(candidate: Wrap | undefined): Promise<ChosenTransport> {
  if (candidate === undefined) return streams('this runtime has no socket-handle interface');
  const failure = await testPlain(candidate);
  if (failure !== undefined) return streams(`the self-test of socket handles failed: ${failure}`);
  return new Handles(candidate);
}

function streams(reason: string): ChosenTransport {
  return { kind: 'stream', wrap: wrapStream, reason, tryTls: () => Promise.resolve(undefined) };
}

class Handles implements ChosenTransport {
  readonly kind = 'handle';
  readonly reason = 'the self-test passed';
  readonly wrap: Wrap;
  readonly #candidate: Wrap;
  #tls: Wrap = wrapStream;
  #trying: Promise<string | undefined> | undefined;

  constructor(candidate: Wrap) {
    this.#candidate = candidate;
    const wrap: Wrap = (connection) => (connection instanceof TLSSocket ? this.#tls : candidate)(connection);
    this.wrap = Object.assign(wrap, { tcp: candidate.tcp });
  }

  tryTls(): Promise<string | undefined> {
    this.#trying ??= this.#try();
    return this.#trying;
  }

  async #try(): Promise<string | undefined> {
    const failure = await testTls(this.#candidate);
    if (failure === undefined) this.#tls = this.#candidate;
    return failure;
  }
}
