/**
 * The control plane of a benchmark's sidecars and gateways: identity, trust, destinations, policies and exports over
 * mutual TLS, as they find them in a cluster. It is a process of its own, so that nothing of it counts as theirs.
 * Argument: the file that the trust anchor is written to.
 */
import { writeFileSync } from 'node:fs';
import type { DescMethod, DescService } from '@bufbuild/protobuf';
import type { Server, ServerWritableStream, ServiceDefinition, UntypedHandleCall } from '@grpc/grpc-js';
import { decode, encode } from '../api/proto/codec.ts';
import { Exports } from '../api/proto/gen/isthmus/control_pb.js';
import { Destination } from '../api/proto/gen/linkerd/destination_pb.js';
import { InboundServerPolicies } from '../api/proto/gen/linkerd/inbound_pb.js';
import { OutboundPolicies } from '../api/proto/gen/linkerd/outbound_pb.js';
import { methods } from '../api/proto/methods.ts';
import {
  FakeControlPlane as Destinations,
  type FakeEndpoint,
  type FakeExport,
} from '../proxy/testing/mesh/fake-control-plane.ts';
import type { WorkloadNames } from '../workload-identity/index.ts';
import { FakeControlPlane as Identities } from '../workload-identity/testing/fake-control-plane.ts';
import { makeAnchor, makeIssuer } from '../workload-identity/testing/test-ca.ts';

/** The two clusters of the gateway's case. */
export type Cluster = 'east' | 'west';

/** What one sidecar or gateway is told. */
export interface Told {
  readonly names: WorkloadNames & { readonly clusterId: Cluster };
  readonly services: readonly { readonly authority: string; readonly endpoints: FakeEndpoint[] }[];
  /** What a gateway may serve. */
  readonly exports?: FakeExport[];
}

/** Asks for an address at which that is told; answered with `Serving` of the same number. */
export interface Serve {
  readonly kind: 'serve';
  readonly number: number;
  readonly told: Told;
}

export interface Serving {
  readonly kind: `serving ${number}`;
  readonly address: string;
}

type StreamMethod = (typeof methods)['getProfile'];

const SERVICES: readonly DescService[] = [Destination, InboundServerPolicies, OutboundPolicies, Exports];

const [anchorsFile = ''] = process.argv.slice(2);
const anchor = await makeAnchor();
const issuers = { east: await makeIssuer(anchor, 'east'), west: await makeIssuer(anchor, 'west') };
writeFileSync(anchorsFile, anchor.pem);
process.on('message', ({ number, told }: Serve) => {
  serve(told).then(
    (address) => process.send?.({ kind: `serving ${number}`, address } satisfies Serving),
    () => process.exit(1),
  );
});
process.send?.({ kind: 'listening' });

async function serve({ names, services, exports = [] }: Told): Promise<string> {
  const destinations = new Destinations();
  for (const { authority, endpoints } of services) destinations.setService(authority, endpoints);
  destinations.setExports(exports);
  const identities = new Identities(issuers[names.clusterId], names);
  await identities.start([anchor], names.clusterId, (grpc) => addTo(grpc, destinations));
  return identities.address;
}

function addTo(grpc: Server, destinations: Destinations): void {
  for (const service of SERVICES) {
    const streams = service.methods.flatMap((described) => {
      const method = Object.values(methods).find(({ path }) => path === pathOf(described));
      // What sidecars do not call nobody need answer.
      return method?.kind === 'server-stream' ? [{ described, method: method as StreamMethod }] : [];
    });
    const of = <T>(make: (stream: (typeof streams)[number]) => T): Record<string, T> =>
      Object.fromEntries(streams.map((stream) => [stream.described.localName, make(stream)]));
    grpc.addService(
      of(({ described }) => definition(described)) satisfies ServiceDefinition,
      of<UntypedHandleCall>(
        ({ method }) =>
          (call: ServerWritableStream<object, object>) =>
            answer(destinations, method, call),
      ),
    );
  }
}

function pathOf({ parent, name }: DescMethod): string {
  return `/${parent.typeName}/${name}`;
}

/** How the gRPC library is told of one method. */
function definition(method: DescMethod) {
  return {
    path: pathOf(method),
    requestStream: false,
    responseStream: true,
    requestSerialize: (message: object) => encode(method.input.typeName, message),
    requestDeserialize: (bytes: Buffer) => decode(method.input.typeName, bytes),
    responseSerialize: (message: object) => encode(method.output.typeName, message),
    responseDeserialize: (bytes: Buffer) => decode(method.output.typeName, bytes),
  };
}

function answer(
  destinations: Destinations,
  method: StreamMethod,
  call: ServerWritableStream<object, object>,
): void {
  const stream = destinations.channel().serverStream(method, call.request, {
    message: (message) => void call.write(message),
    end: (error) => call.emit('error', error ?? new Error('ended')),
  });
  call.once('cancelled', () => stream.cancel());
}
