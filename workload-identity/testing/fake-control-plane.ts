import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { createServer, type Server as TlsServer, type TLSSocket } from 'node:tls';
import { create, type DescMethod, fromBinary, type Message, toBinary } from '@bufbuild/protobuf';
import {
  Server,
  ServerCredentials,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerUnaryCall,
  status,
} from '@grpc/grpc-js';
import {
  type TrustBundle,
  type TrustBundleAck,
  TrustBundles,
} from '../../api/proto/gen/isthmus/control_pb.js';
import {
  type CertifyRequest,
  type CertifyResponse,
  CertifyResponseSchema,
  Identity,
} from '../../api/proto/gen/linkerd/identity_pb.js';
import { freshAddress } from '../../test/testing/addresses.ts';
import type { WorkloadNames } from '../types.ts';
import { type Made, makeLeaf, privateKeyPem, requestedKey, workload } from './test-ca.ts';

/** How the gRPC library is told of one method. */
export function definition<I extends Message, O extends Message>(method: DescMethod) {
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming',
    responseStream: method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming',
    requestSerialize: (message: I) => Buffer.from(toBinary(method.input, message)),
    requestDeserialize: (bytes: Buffer) => fromBinary(method.input, bytes) as I,
    responseSerialize: (message: O) => Buffer.from(toBinary(method.output, message)),
    responseDeserialize: (bytes: Buffer) => fromBinary(method.output, bytes) as O,
  };
}

export type SyncCall = ServerDuplexStream<TrustBundleAck, TrustBundle>;

/** Identity and trust bundles on one port, as a test wants them. It speaks gRPC by the library, and makes certificates by the test CA. */
export class FakeControlPlane {
  readonly requests: CertifyRequest[] = [];
  /** What Certify does; by default it issues. */
  certify: (request: CertifyRequest) => Promise<CertifyResponse>;
  /** Open trust streams, in the order of their opening. */
  readonly syncs: SyncCall[] = [];
  readonly acknowledgements: TrustBundleAck[] = [];
  leafLifetimeMs = 86_400_000;
  now: () => number = Date.now;
  readonly #issuer: Made;
  readonly #names: WorkloadNames;
  readonly #waiters = new Set<() => void>();
  readonly #sockets = new Set<Socket>();
  #server: TlsServer | undefined;
  #grpc: Server | undefined;
  /** Of its own: the port is let go at `stop`. */
  readonly #host = freshAddress();
  #port = 0;

  /** @param names whom issued leaves speak for */
  constructor(issuer: Made, names: WorkloadNames) {
    this.#issuer = issuer;
    this.#names = names;
    this.certify = (request) => this.issue(request);
  }

  get address(): string {
    return `${this.#host}:${this.#port}`;
  }

  /** @param addMore further services of the same port */
  async start(
    anchors: readonly Made[],
    clusterId = 'east',
    addMore: (grpc: Server) => void = () => {},
  ): Promise<void> {
    const own = await makeLeaf(this.#issuer, workload('isthmus-control-plane', clusterId, 'isthmus'));
    const grpc = new Server();
    grpc.addService(
      { certify: definition<CertifyRequest, CertifyResponse>(Identity.method.certify) },
      {
        certify: (
          call: ServerUnaryCall<CertifyRequest, CertifyResponse>,
          done: sendUnaryData<CertifyResponse>,
        ) => {
          this.requests.push(call.request);
          this.#changed();
          void this.#answer(call.request, done);
        },
      },
    );
    grpc.addService(
      { sync: definition<TrustBundleAck, TrustBundle>(TrustBundles.method.sync) },
      { sync: (call: SyncCall) => this.#onSync(call) },
    );
    addMore(grpc);
    const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
    const server = createServer({
      key: await privateKeyPem(own),
      cert: own.pem + this.#issuer.pem,
      ca: anchors.map((made) => made.pem),
      requestCert: true,
      rejectUnauthorized: false,
      minVersion: 'TLSv1.3',
      ALPNProtocols: ['h2'],
    });
    server.on('secureConnection', (socket: TLSSocket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      injector.injectConnection(socket);
    });
    server.listen(this.#port, this.#host);
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
    this.#grpc = grpc;
  }

  /** Cuts every connection and stops to listen; the port is taken again by `start`. */
  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.syncs.length = 0;
    this.#grpc?.forceShutdown();
    if (this.#server === undefined) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server = undefined;
    await closed;
  }

  /** Waits until `predicate` holds; looked at whenever something has come in. */
  async until(predicate: () => boolean): Promise<void> {
    while (!predicate()) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiters.add(resolve);
      await promise;
      this.#waiters.delete(resolve);
    }
  }

  async issue(request: CertifyRequest): Promise<CertifyResponse> {
    const publicKey = requestedKey(request.certificateSigningRequest);
    const now = this.now();
    const notAfter = Math.floor((now + this.leafLifetimeMs) / 1000) * 1000;
    const leaf = await makeLeaf(this.#issuer, this.#names, { publicKey, notBefore: now - 60_000, notAfter });
    return create(CertifyResponseSchema, {
      leafCertificate: leaf.x509.raw,
      intermediateCertificates: [new X509Certificate(this.#issuer.pem).raw],
      validUntil: { seconds: BigInt(notAfter / 1000) },
    });
  }

  async #answer(request: CertifyRequest, done: sendUnaryData<CertifyResponse>): Promise<void> {
    try {
      done(null, await this.certify(request));
    } catch (error) {
      done({ code: status.UNAVAILABLE, details: (error as Error).message });
    }
  }

  #onSync(call: SyncCall): void {
    this.syncs.push(call);
    call.on('data', (ack: TrustBundleAck) => {
      this.acknowledgements.push(ack);
      this.#changed();
    });
    call.on('error', () => {});
    call.on('end', () => call.end());
    this.#changed();
  }

  #changed(): void {
    for (const waiter of this.#waiters) waiter();
  }
}
