/** Connections that ask for much and read nothing. Argument: a `StalledLoad` as JSON. Ends when its parent does. */
import { connect } from 'node:net';

export interface StalledLoad {
  host: string;
  port: number;
  target: string;
  connections: number;
}

const load = JSON.parse(process.argv[2] ?? '') as StalledLoad;
for (let i = 0; i < load.connections; i++) {
  const socket = connect({ host: load.host, port: load.port, noDelay: true });
  socket.pause();
  socket.on('error', () => socket.destroy());
  socket.write(`GET ${load.target} HTTP/1.1\r\nHost: app\r\n\r\n`);
}
process.on('disconnect', () => process.exit(0));
