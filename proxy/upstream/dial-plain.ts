import type { Socket } from 'node:net';
import { causes } from '../errors.ts';
import { connectPlain, type ConnectOptions } from '../transport/connect.ts';
import type { Wrap } from '../transport/transport.ts';
import type { Connect } from './connect.ts';

export interface PlainDialOptions extends ConnectOptions {
  wrap: Wrap;
  /** A connection stands: for metrics. */
  onConnected: (socket: Socket) => void;
}

/** How to reach a server that is not meshed, or this pod's own app. */
export function plainDialer(options: PlainDialOptions): Connect {
  return (_carries, callback) =>
    connectPlain(options, (_error, socket) => {
      if (socket === undefined) return callback({ kind: 'failed', cause: causes.connectFailed });
      options.onConnected(socket);
      callback({ kind: 'connected', transport: options.wrap(socket) });
    });
}
