import { type Method, methods } from '../../api/proto/methods.ts';
import {
  GrpcError,
  grpcStatus,
  type Call,
  type Channel,
  type StreamHandlers,
} from '../../workload-identity/index.ts';
import { WARM_UP_SERVICE } from './warm-up.ts';

/** Where the one service of a warm-up runs: behind what takes mutual TLS in this process. */
export interface WarmUpEndpoint {
  readonly address: string;
  readonly port: number;
  readonly inboundPort: number;
  readonly spiffeId: string;
  readonly dnsName: string;
  /** Behind a gateway: the exported service that it is asked for. */
  readonly authorityOverride?: string;
}

/** The control plane of a warm-up: every name is one service with one endpoint, everybody may ask it, and it is exported. */
export class WarmUpControlPlane implements Channel {
  readonly #endpoint: WarmUpEndpoint;

  constructor(endpoint: WarmUpEndpoint) {
    this.#endpoint = endpoint;
  }

  unary(): Promise<never> {
    return Promise.reject(new GrpcError(grpcStatus.unimplemented, 'a warm-up only streams'));
  }

  bidiStream(): never {
    throw new GrpcError(grpcStatus.unimplemented, 'a warm-up has no streams in both directions');
  }

  serverStream<I extends object, O extends object>(
    method: Method<'server-stream', I, O>,
    _message: unknown,
    handlers: StreamHandlers<O>,
  ): Call {
    // As over a network: never an answer within the call.
    const immediate = setImmediate(() => {
      const answer = this.#answer(method.path);
      if (answer === undefined) handlers.end(new GrpcError(grpcStatus.notFound, 'nothing is said of it'));
      else handlers.message(method.answer(answer));
    });
    return { cancel: () => clearImmediate(immediate) };
  }

  connect(): void {}

  close(): void {}

  #answer(path: string): object | undefined {
    if (path === methods.getProfile.path) return PROFILE;
    // Nothing particular, which clients have to read all the same.
    if (path === methods.watchOutbound.path) return {};
    if (path === methods.getEndpoints.path) return this.#endpoints();
    if (path === methods.watchPort.path) return everybody();
    return path === methods.watchExports.path ? exported() : undefined;
  }

  #endpoints(): object {
    const { address, port, inboundPort, spiffeId, dnsName, authorityOverride } = this.#endpoint;
    const ip = address.split('.').reduce((n, part) => n * 256 + Number(part), 0);
    const addr = {
      weight: WEIGHT,
      addr: { port, ip: { ip: { case: 'ipv4' as const, value: ip } } },
      protocolHint: { opaqueTransport: { inboundPort } },
      tlsIdentity: {
        strategy: { case: 'uriLikeIdentity' as const, value: { uri: spiffeId } },
        serverName: { name: dnsName },
      },
      ...(authorityOverride === undefined ? {} : { authorityOverride: { authorityOverride } }),
    };
    return { update: { case: 'add', value: { addrs: [addr] } } };
  }
}

/** As our control plane says it of a Service, and of each of its endpoints: what reads the rest is else compiled while the first requests wait. */
const PROFILE = { fullyQualifiedName: `${WARM_UP_SERVICE.name}.${WARM_UP_SERVICE.namespace}` };
const WEIGHT = 10_000;

function exported(): object {
  const { name, namespace, port } = WARM_UP_SERVICE;
  return { services: [{ name, namespace, ports: [port] }] };
}

function everybody(): object {
  return {
    protocol: { kind: { case: 'detect', value: {} } },
    authorizations: [{ authentication: { permit: { case: 'unauthenticated', value: {} } } }],
  };
}
