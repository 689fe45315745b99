import { BoundSocket } from 'node:net';
import { dnsIdentity, spiffeId } from '../api/names.ts';
import { silentLog } from '../log/index.ts';
import type { WorkloadIdentity } from '../workload-identity/index.ts';
import type { ProxyConfig, ProxyPorts } from './config.ts';
import { startProxy, type Proxy } from './proxy.ts';
import { listenOn } from './runtime.ts';
import { chooseTransport } from './transport/choose.ts';
import { connectPlain } from './transport/connect.ts';
import type { Listener } from './transport/listen.ts';
import type { Transport, Wrap } from './transport/transport.ts';
import { WarmUpControlPlane } from './warm-up-control-plane.ts';
import { WarmUpAnswerEnd, warmUpAnswers, WarmUpRequestEnd, warmUpRequests } from './warm-up-messages.ts';

/** Requests after which the compilers have seen the usual way often enough. More would gain little and cost the pod's start. */
const REQUESTS = 2_000;
/** Under way at once: the more there are, the more go out in one write, and the less the kernel's part of each costs. */
const CONNECTIONS = 32;
/**
 * ms that a warm-up has at most. Others learn of a new endpoint some time after its readiness; by then it has to be over, with all that it gave the compilers to do: real requests that come into
 * it queue behind it for longer than it would have saved them.
 */
const MAX_MS = 700;
/** ms without end: then something hangs. */
const GIVE_UP_MS = 30_000;
/** ms for its connections to close. */
const GRACE_MS = 200;

const HOST = '127.0.0.1';
const SERVICE = 'warm-up.isthmus:80';

/** How much a warm-up is, what comes first. On the slowest machine it is one request: an image's rehearsal has then seen the whole way. */
export interface WarmUpLimits {
  requests: number;
  ms: number;
}

/**
 * Sends requests through a second proxy of this process, out and in again over mutual TLS on the loopback interface, so that the code is compiled when the first
 * real request comes. That proxy has ports, metrics and a control plane of its own, and neither access log nor traces: nobody else sees it. Ends early when `busy` says that there is real work.
 * Rejects when the second proxy cannot be had, which hurts nobody.
 * @returns requests that were answered
 */
export async function warmUp(
  config: ProxyConfig,
  identity: WorkloadIdentity,
  busy: () => boolean,
  { requests, ms }: WarmUpLimits = { requests: REQUESTS, ms: MAX_MS },
): Promise<number> {
  await identity.ready;
  if (busy()) return 0;
  const end = performance.now() + ms;
  // Client and app drive their sockets as the proxy does: the runtime's streams would cost as much as all the rest.
  const { wrap } = await chooseTransport();
  const app = await startApp(wrap);
  try {
    const ports = freePorts();
    const endpoint = {
      address: HOST,
      port: app.port,
      inboundPort: ports.inbound,
      spiffeId: spiffeId(config.workload),
      dnsName: dnsIdentity(config.workload),
    };
    const proxy = await secondProxy(config, identity, ports, new WarmUpControlPlane(endpoint));
    const asking = new Asking(wrap, (done) => done < requests && performance.now() < end && !busy());
    const timer = setTimeout(() => asking.stop(), GIVE_UP_MS);
    const answered = await asking.run(ports.outbound);
    clearTimeout(timer);
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
    appPorts: new Set(),
    accessLog: undefined,
    traces: undefined,
  };
  return startProxy(own, { log: silentLog, identity, channel: () => controlPlane });
}

/** Requests, one after the other on each of its connections. */
class Asking {
  readonly #wrap: Wrap;
  readonly #more: (done: number) => boolean;
  readonly #open = new Set<Transport>();
  readonly #requests = warmUpRequests(SERVICE);
  #asked = 0;
  #done = 0;
  #over = false;

  /** @param more whether it goes on, by the number of requests that were answered */
  constructor(wrap: Wrap, more: (done: number) => boolean) {
    this.#wrap = wrap;
    this.#more = more;
  }

  /** Resolves when all connections have ended, with the number of requests that were answered. */
  async run(port: number): Promise<number> {
    await Promise.all(Array.from({ length: CONNECTIONS }, () => this.#connect(port)));
    return this.#done;
  }

  /** Ends all connections at once. */
  stop(): void {
    this.#over = true;
    for (const transport of this.#open) transport.destroy();
  }

  #connect(port: number): Promise<void> {
    return new Promise((resolve) => {
      connectPlain({ host: HOST, port, tcp: this.#wrap.tcp }, (_error, connection) => {
        if (connection === undefined) return resolve();
        const transport = this.#wrap(connection);
        this.#open.add(transport);
        this.#ask(transport, () => {
          this.#open.delete(transport);
          resolve();
        });
        if (this.#over) transport.destroy();
      });
    });
  }

  #ask(transport: Transport, onClose: () => void): void {
    const answer = new WarmUpAnswerEnd();
    transport.handler = {
      onData: (buffer, start, end) => {
        if (!answer.read(buffer, start, end) || this.#over) return;
        if (this.#more(++this.#done)) this.#send(transport);
        else this.stop();
      },
      onDrain() {},
      onEnd: () => transport.destroy(),
      onClose,
    };
    this.#send(transport);
  }

  #send(transport: Transport): void {
    const request = this.#requests[this.#asked++ % this.#requests.length];
    if (request !== undefined) transport.write(request, 0, request.length);
  }
}

/** An app that answers every request: they come one at a time on a connection. */
function startApp(wrap: Wrap): Promise<Listener> {
  const answers = warmUpAnswers();
  let answered = 0;
  const serve = (transport: Transport): void => {
    const request = new WarmUpRequestEnd();
    transport.handler = {
      onData: (buffer, start, end) => {
        if (!request.read(buffer, start, end)) return;
        const answer = answers[answered++ % answers.length];
        if (answer !== undefined) transport.write(answer, 0, answer.length);
      },
      onDrain() {},
      onEnd: () => transport.end(),
      onClose() {},
    };
  };
  const by = { maxConnections: 2 * CONNECTIONS, onDropped() {}, tcp: wrap.tcp };
  return listenOn(HOST, 0, (connection) => serve(wrap(connection)), by);
}

/** Ports that nobody listens on now. */
function freePorts(): ProxyPorts {
  const bound = Array.from({ length: 3 }, () => new BoundSocket({ host: HOST }));
  const [inbound = 0, outbound = 0, admin = 0] = bound.map((one) => one.address().port);
  for (const one of bound) one.close();
  return { inbound, outbound, admin };
}
