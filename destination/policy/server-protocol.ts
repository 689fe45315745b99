import type { PolicyServer } from '../../api/policy-types.ts';
import { quoted, type TellProblem } from './problems.ts';

export type ServerProtocol = 'detect' | 'http1' | 'http2' | 'grpc' | 'opaque' | 'tls';

const PROTOCOLS: ReadonlyMap<string, ServerProtocol> = new Map([
  ['unknown', 'detect'],
  ['HTTP/1', 'http1'],
  ['HTTP/2', 'http2'],
  ['gRPC', 'grpc'],
  ['opaque', 'opaque'],
  ['TLS', 'tls'],
]);

/** What is spoken on a Server's port; what is not said, or not understood, is detected. */
export function serverProtocol({ spec }: PolicyServer, tell: TellProblem): ServerProtocol {
  const text = spec?.proxyProtocol ?? 'unknown';
  const protocol = PROTOCOLS.get(text);
  if (protocol !== undefined) return protocol;
  tell(
    `the protocol is detected: proxyProtocol is ${quoted(text)}, it must be one of ${[...PROTOCOLS.keys()].join(', ')}`,
  );
  return 'detect';
}

/** Nobody looks at the bytes of such a port. */
export function isOpaqueProtocol(protocol: ServerProtocol): boolean {
  return protocol === 'opaque' || protocol === 'tls';
}
