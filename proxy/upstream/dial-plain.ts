import { causes, type Cause } from '../errors.ts';
import { connectPlain, type ConnectOptions } from '../transport/connect.ts';
import type { Transport, Wrap } from '../transport/transport.ts';
import type { Connect } from './connect.ts';

export interface PlainDialOptions extends ConnectOptions {
  wrap: Wrap;
  /** A connection stands: for metrics. */
  onConnected: (transport: Transport) => void;
}

/** How to reach a server that is not meshed, or this pod's own app. */
export function plainDialer(options: PlainDialOptions): Connect {
  const { wrap } = options;
  const where = { ...options, tcp: wrap.tcp };
  return (_carries, callback) =>
    connectPlain(where, (error, connection) => {
      if (connection === undefined) return callback({ kind: 'failed', cause: causeOf(error) });
      const transport = wrap(connection);
      options.onConnected(transport);
      callback({ kind: 'connected', transport });
    });
}

/** Where this process, or its node, has no descriptor left, that says nothing of the server. */
function causeOf(error: NodeJS.ErrnoException | undefined): Cause {
  return error?.code === 'EMFILE' || error?.code === 'ENFILE' ? causes.overloaded : causes.connectFailed;
}
