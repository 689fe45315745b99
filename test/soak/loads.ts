import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { port } from '../../api/names.ts';
import { startLoad, type Load } from '../processes/load.ts';

const nothing = (): void => {};

/** Calls over gRPC, on one connection a call: what comes back is the status in the trailers. */
export function grpcLoad(ip: string, authority: string, clients: number, pauseMs: number): Load {
  const ask = async (): Promise<void> => {
    const session = connectHttp2(`http://${ip}:${port.outbound}`);
    session.on('error', nothing);
    const stream = session.request(
      {
        ':authority': authority,
        ':path': '/pkg.Service/Call',
        ':method': 'POST',
        'content-type': 'application/grpc',
        te: 'trailers',
      },
      { endStream: false },
    );
    let status: unknown;
    stream.on('trailers', (fields) => (status = fields['grpc-status']));
    stream.resume();
    stream.end(Buffer.alloc(5));
    await once(stream, 'close');
    session.close();
    if (status !== '0') throw new Error(`grpc-status ${String(status)}`);
  };
  return startLoad(clients, ask, nothing, pauseMs);
}

/** Streams that are given up in the middle of what comes, on a connection that goes on. */
export function resetLoad(ip: string, authority: string, clients: number, pauseMs: number): Load {
  const session = connectHttp2(`http://${ip}:${port.outbound}`);
  session.on('error', nothing);
  const ask = async (): Promise<void> => {
    const stream = session.request({ ':authority': authority, ':path': '/big' });
    stream.on('error', nothing);
    const closed = new Promise((resolve) => stream.once('close', resolve));
    const begun = new Promise((resolve) => stream.once('data', () => resolve(true)));
    const isBegun = (await Promise.race([begun, closed])) === true;
    stream.close(8);
    if (!isBegun) throw new Error(`no data, code ${stream.rstCode}`);
    await closed;
  };
  return startLoad(clients, ask, () => session.close(), pauseMs);
}

/** Connections that read a little of much, rest, and are cut off. */
export function slowLoad(ip: string, host: string, clients: number, restMs: number): Load {
  const ask = async (): Promise<void> => {
    const socket = connect({ host: ip, port: port.outbound });
    socket.on('error', nothing);
    socket.write(`GET http://${host}/big HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await once(socket, 'data');
    socket.pause();
    await new Promise((resolve) => setTimeout(resolve, restMs));
    const closed = once(socket, 'close');
    socket.destroy();
    await closed;
  };
  return startLoad(clients, ask, nothing);
}

/** Connections that leave HTTP, say something, hear it, and end. */
export function upgradeLoad(ip: string, host: string, clients: number, pauseMs: number): Load {
  const ask = async (): Promise<void> => {
    const socket = connect({ host: ip, port: port.outbound });
    socket.write(
      `GET http://${host}/ws HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n`,
    );
    const [head] = (await once(socket, 'data')) as [Buffer];
    if (!head.toString().startsWith('HTTP/1.1 101 ')) throw new Error(head.toString());
    socket.write('echo');
    const [back] = (await once(socket, 'data')) as [Buffer];
    if (back.toString() !== 'echo') throw new Error(back.toString());
    socket.end();
    socket.resume();
    await once(socket, 'close');
  };
  return startLoad(clients, ask, nothing, pauseMs);
}

/** Requests of which only a part comes. */
export function brokenLoad(ip: string, host: string, clients: number, pauseMs: number): Load {
  const ask = async (): Promise<void> => {
    const socket = connect({ host: ip, port: port.outbound });
    socket.on('error', nothing);
    socket.write(`POST http://${host}/ HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 100\r\n\r\nhalf`);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    const closed = once(socket, 'close');
    socket.resetAndDestroy();
    await closed;
  };
  return startLoad(clients, ask, nothing);
}
