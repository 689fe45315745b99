/** A collector that takes spans and forgets them. Tells its port to who started it. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const server = createServer((incoming, response) => {
  incoming.resume();
  incoming.on('end', () => response.end());
});
server.listen(0, '127.0.0.1', () => {
  process.send?.({ kind: 'listening', port: (server.address() as AddressInfo).port });
});
