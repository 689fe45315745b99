import type { Protocol } from '../detect/detect.ts';
import type { OpaqueServerConnection } from '../transport/opaque.ts';
import type { TimerWheel } from '../transport/timers.ts';
import type { Transport, TransportHandler } from '../transport/transport.ts';
import { connectHead } from '../upstream/connect-head.ts';
import { Detecting, type Kept } from './detecting.ts';
import type { Target } from './target.ts';

/** What becomes of the inside of a tunnel. */
export interface TunnelHandlers {
  detected(protocol: Protocol): void;
  http1(transport: Transport): TransportHandler;
  http2(transport: Transport): TransportHandler;
  opaque(transport: Transport): OpaqueServerConnection;
}

/**
 * ms that HTTP waits for word whether it may be looked at: a client's first bytes are often there before the control
 * plane has answered. No longer, as with policies: a control plane that is away must not keep its clients waiting.
 */
const WORD_MS = 1_000;

/**
 * Serves a connection whose target is known, before its protocol is: the inside of a CONNECT, or a redirected one. Its
 * bytes are looked at, unless discovery says that the target is opaque.
 * @param rest what was read before
 * @param detectMs ms until the inside counts as opaque
 */
export function serveTunnel(
  transport: Transport,
  target: Target,
  rest: Buffer,
  timers: TimerWheel,
  detectMs: number,
  handlers: TunnelHandlers,
): void {
  const detecting = new Detecting(transport, timers, rest, (protocol, kept) => {
    unsubscribe();
    if (protocol === undefined) return;
    handlers.detected(protocol);
    if (protocol.kind === 'http1' || protocol.kind === 'http2') {
      const handler = handlers[protocol.kind](transport);
      transport.handler = handler;
      handler.onData(kept.bytes, 0, kept.bytes.length);
      if (kept.ended) handler.onEnd();
    } else becomeOpaque(handlers.opaque(transport), transport, target, kept);
  });
  const lookAtTarget = (): void => {
    if (target.opaque === true) detecting.end({ kind: 'opaque', reason: 'marked' });
    else if (target.opaque === false) detecting.release();
  };
  const unsubscribe = target.onFound(lookAtTarget);
  if (target.opaque === undefined) detecting.hold(WORD_MS);
  else lookAtTarget();
  detecting.start(detectMs);
}

function becomeOpaque(
  connection: OpaqueServerConnection,
  transport: Transport,
  target: Target,
  { bytes, ended }: Kept,
): void {
  transport.handler = connection;
  connection.start(connectHead(target.authority), bytes);
  if (ended) connection.onEnd();
}
