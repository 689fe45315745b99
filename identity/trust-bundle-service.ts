import { create } from '@bufbuild/protobuf';
import {
  type TrustBundle,
  type TrustBundleAck,
  TrustBundleSchema,
} from '../api/proto/gen/isthmus/control_pb.js';
import type { Log } from '../kubernetes/log.ts';
import { splitKey } from '../kubernetes/object-key.ts';
import { GrpcError, grpcStatus, type PeerIdentity } from '../workload-identity/index.ts';
import type { BundleWatch } from './bundle-watch.ts';

/** Streams of one replica; beyond that another replica is needed anyway. */
const MAX_STREAMS = 20_000;
/** Characters of a workload's error that are kept. */
const MAX_ERROR_LENGTH = 256;

/** The server's half of a stream, free of any gRPC library. */
export interface BundleStream {
  /** False when the transport has taken all it wants for now: `onDrain` tells when it wants more. */
  write(bundle: TrustBundle): boolean;
  onDrain(listener: () => void): void;
  /** Called once, at once when the call is over already. */
  onClose(listener: () => void): void;
  fail(error: GrpcError): void;
}

/** The client's half. */
export interface AckStream {
  onMessage(listener: (ack: TrustBundleAck) => void): void;
}

/** A workload that has a stream open. */
interface Connected {
  stream: BundleStream;
  peer: PeerIdentity;
  /** `namespace/pod`; undefined before its first message. */
  workload: string | undefined;
  acknowledged: bigint;
  error: string;
  /** What the stream was sent last, and whether it can take more. */
  sent: bigint;
  writable: boolean;
}

/** How far this replica's workloads are with the present bundle. */
export interface AcknowledgementCount {
  sequence: bigint;
  acknowledged: number;
  pending: number;
}

/** Streams the trust bundle to workloads and knows which of them have put it into use. */
export class TrustBundleService {
  readonly #deps: TrustBundleDeps;
  readonly #connected = new Set<Connected>();
  readonly #unsubscribe: () => void;

  constructor(deps: TrustBundleDeps) {
    this.#deps = deps;
    this.#unsubscribe = deps.bundle.onChange(() => {
      for (const entry of this.#connected) this.#send(entry);
      deps.changed();
    });
  }

  /** `TrustBundles.Sync`. Only workloads of this cluster are served; each speaks for pods of its own ServiceAccount alone. */
  sync(acks: AckStream, stream: BundleStream, peer: PeerIdentity | undefined): void {
    const refusal = this.#refusal(peer);
    if (peer === undefined || refusal !== undefined) {
      stream.fail(
        refusal ?? new GrpcError(grpcStatus.unauthenticated, 'a client certificate of the mesh is needed'),
      );
      return;
    }
    const entry: Connected = {
      stream,
      peer,
      workload: undefined,
      acknowledged: 0n,
      error: '',
      sent: 0n,
      writable: true,
    };
    this.#connected.add(entry);
    stream.onClose(() => {
      if (this.#connected.delete(entry)) this.#deps.changed();
    });
    stream.onDrain(() => {
      entry.writable = true;
      this.#send(entry);
    });
    acks.onMessage((ack) => this.#onAck(entry, ack));
    this.#send(entry);
  }

  /**
   * Counts each workload once, by its newest stream. One whose pod the API does not know counts as pending: nobody
   * waits for it, so it must not stand for another.
   */
  count(): AcknowledgementCount {
    const sequence = this.#deps.bundle.current?.sequence ?? 0n;
    const newest = new Map<string, Connected>();
    for (const entry of this.#connected) {
      if (entry.workload !== undefined) newest.set(entry.workload, entry);
    }
    const acknowledged = [...newest].filter(
      ([workload, entry]) => entry.acknowledged === sequence && this.#isKnown(workload),
    ).length;
    return { sequence, acknowledged, pending: newest.size - acknowledged };
  }

  stop(): void {
    this.#unsubscribe();
  }

  #isKnown(workload: string): boolean {
    const { namespace = '', name } = splitKey(workload);
    return this.#deps.serviceAccountOf(namespace, name) !== undefined;
  }

  #refusal(peer: PeerIdentity | undefined): GrpcError | undefined {
    if (peer?.workload === undefined) {
      return new GrpcError(
        grpcStatus.unauthenticated,
        'a client certificate with a SPIFFE ID of the mesh is needed',
      );
    }
    if (peer.workload.clusterId !== this.#deps.clusterId) {
      return new GrpcError(
        grpcStatus.permissionDenied,
        `trust bundles are for workloads of cluster ${this.#deps.clusterId}, not of ${peer.workload.clusterId}`,
      );
    }
    if (this.#connected.size >= MAX_STREAMS) {
      return new GrpcError(grpcStatus.resourceExhausted, 'there are too many trust bundle streams');
    }
    return undefined;
  }

  #onAck(entry: Connected, ack: TrustBundleAck): void {
    const refusal = this.#ackRefusal(entry, ack);
    if (refusal !== undefined) {
      entry.stream.fail(refusal);
      return;
    }
    const error = ack.error.slice(0, MAX_ERROR_LENGTH);
    if (error !== '' && error !== entry.error) {
      this.#deps.log.warn({ workload: entry.workload, error }, 'a workload refused the trust bundle');
    }
    entry.workload = `${ack.namespace}/${ack.workload}`;
    entry.acknowledged = error === '' ? ack.sequence : 0n;
    entry.error = error;
    this.#deps.changed();
  }

  #ackRefusal(entry: Connected, ack: TrustBundleAck): GrpcError | undefined {
    const { workload } = entry.peer;
    const name = `${ack.namespace}/${ack.workload}`;
    if (ack.workload === '' || ack.namespace === '') {
      return new GrpcError(grpcStatus.invalidArgument, 'the acknowledgement names no workload');
    }
    if (entry.workload !== undefined && entry.workload !== name) {
      return new GrpcError(
        grpcStatus.invalidArgument,
        `this stream is that of ${entry.workload}, not of ${name}`,
      );
    }
    const known = this.#deps.serviceAccountOf(ack.namespace, ack.workload);
    if (ack.namespace !== workload?.namespace || (known !== undefined && known !== workload.serviceAccount)) {
      return new GrpcError(
        grpcStatus.permissionDenied,
        `${entry.peer.spiffeId} cannot acknowledge for ${name}`,
      );
    }
    return undefined;
  }

  #send(entry: Connected): void {
    const bundle = this.#deps.bundle.current;
    if (bundle === undefined || !entry.writable || entry.sent === bundle.sequence) return;
    entry.sent = bundle.sequence;
    entry.writable = entry.stream.write(
      create(TrustBundleSchema, {
        sequence: bundle.sequence,
        anchors: bundle.anchors.map((anchor) => anchor.raw),
      }),
    );
  }
}

export interface TrustBundleDeps {
  bundle: BundleWatch;
  clusterId: string;
  /** ServiceAccount of a pod; undefined when the pod is not known (yet). */
  serviceAccountOf: (namespace: string, pod: string) => string | undefined;
  log: Log;
  /** Told whenever `count()` may have changed. */
  changed: () => void;
}
