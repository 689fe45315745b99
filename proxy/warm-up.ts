import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { dnsIdentity, spiffeId } from '../api/names.ts';
import type { Logger, WorkloadIdentity } from '../workload-identity/index.ts';
import type { ProxyConfig, ProxyPorts } from './config.ts';
import { startProxy, type Proxy } from './proxy.ts';
import { WarmUpControlPlane } from './warm-up-control-plane.ts';

/** Requests after which the compilers have seen the usual way often enough. More would gain little and cost the pod's start. */
const REQUESTS = 2_000;
/** Under way at once: so many that output is batched as it is under load. */
const CONNECTIONS = 8;
/** ms that a warm-up has at most: where a processor is that slow, the time is better spent on real requests. */
const MAX_MS = 2_000;
/** ms for its connections to close. */
const GRACE_MS = 200;

const HOST = '127.0.0.1';
const SERVICE = 'warm-up.isthmus:80';
const BODY = 'x'.repeat(100);
const ANSWER = `HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: ${BODY.length}\r\n\r\n${BODY}`;
const REQUEST = `GET http://${SERVICE}/ HTTP/1.1\r\nhost: ${SERVICE}\r\naccept: */*\r\n\r\n`;

const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/**
 * Sends requests through a second proxy of this process, out and in again over mutual TLS on the loopback interface, so that the code is compiled when the first
 * real request comes. That proxy has ports, metrics and a control plane of its own: nobody else sees it. Ends early when `busy` says that there is real work.
 * Rejects when the second proxy cannot be had, which hurts nobody.
 * @returns requests that were answered
 */
export async function warmUp(
  config: ProxyConfig,
  identity: WorkloadIdentity,
  busy: () => boolean,
  requests = REQUESTS,
): Promise<number> {
  await identity.ready;
  if (busy()) return 0;
  const app = await startApp();
  try {
    const ports = await freePorts();
    const endpoint = {
      address: HOST,
      port: portOf(app),
      inboundPort: ports.inbound,
      spiffeId: spiffeId(config.workload),
      dnsName: dnsIdentity(config.workload),
    };
    const proxy = await secondProxy(config, identity, ports, new WarmUpControlPlane(endpoint));
    const answered = await ask(ports.outbound, requests, busy);
    await proxy.drain();
    return answered;
  } finally {
    app.close();
  }
}

function secondProxy(
  config: ProxyConfig,
  identity: WorkloadIdentity,
  ports: ProxyPorts,
  controlPlane: WarmUpControlPlane,
): Promise<Proxy> {
  const own: ProxyConfig = {
    ...config,
    pod: { ...config.pod, ip: HOST },
    mode: 'explicit',
    ports,
    times: { ...config.times, graceMs: GRACE_MS },
  };
  return startProxy(own, { log: SILENT, identity, channel: () => controlPlane });
}

/** Resolves when enough was asked, the time is over, or there is something better to do. */
async function ask(port: number, requests: number, busy: () => boolean): Promise<number> {
  const end = performance.now() + MAX_MS;
  let done = 0;
  const sockets = Array.from({ length: CONNECTIONS }, () => connect({ host: HOST, port, noDelay: true }));
  const closed = sockets.map((socket) => {
    let answered = 0;
    socket.on('data', (chunk: Buffer) => {
      answered += chunk.length;
      // What is added to the answer on its way is less than another answer.
      if (answered < ANSWER.length) return;
      answered = 0;
      if (++done < requests && performance.now() < end && !busy()) socket.write(REQUEST);
      else socket.destroy();
    });
    socket.write(REQUEST);
    return untilClosed(socket);
  });
  const timer = setTimeout(() => sockets.forEach((socket) => socket.destroy()), MAX_MS);
  await Promise.all(closed);
  clearTimeout(timer);
  return done;
}

function untilClosed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('error', () => socket.destroy());
    socket.once('close', () => resolve());
  });
}

async function startApp(): Promise<Server> {
  const app = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    // One request at a time, each small enough to come whole.
    socket.on('data', () => socket.write(ANSWER));
  });
  app.listen(0, HOST);
  await once(app, 'listening');
  return app;
}

/** Ports that nobody listens on now. */
async function freePorts(): Promise<ProxyPorts> {
  const servers = await Promise.all(Array.from({ length: 3 }, startApp));
  const [inbound = 0, outbound = 0, admin = 0] = servers.map(portOf);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return { inbound, outbound, admin };
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
