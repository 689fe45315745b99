import { Exports, TrustBundles } from '../api/proto/gen/isthmus/control_pb.js';
import { Destination } from '../api/proto/gen/linkerd/destination_pb.js';
import { Identity } from '../api/proto/gen/linkerd/identity_pb.js';
import { InboundServerPolicies } from '../api/proto/gen/linkerd/inbound_pb.js';
import { OutboundPolicies } from '../api/proto/gen/linkerd/outbound_pb.js';
import type { DestinationServices } from '../destination/index.ts';
import type { IdentityServices } from '../identity/index.ts';
import type { Log } from '../kubernetes/log.ts';
import { GrpcError, grpcStatus } from '../workload-identity/index.ts';
import type { Places, Served } from './places.ts';
import { type Call, RpcServer } from './rpc-server.ts';

/** One server for each port, with its services. */
export type Servers = Record<Served, RpcServer>;

/** Puts the services on their ports (ARCHITECTURE.md 3). */
export function createServers(
  identity: IdentityServices,
  destination: DestinationServices,
  places: Places,
  log: Log,
): Servers {
  return {
    identity: identityServer(new RpcServer('identity', places, log), identity),
    destination: destinationServer(new RpcServer('destination', places, log), identity, destination),
    policy: policyServer(new RpcServer('policy', places, log), destination),
  };
}

/** Open to clients without a certificate: they come for their first one, and show a token. */
function identityServer(server: RpcServer, identity: IdentityServices): RpcServer {
  server.unary(Identity.method.certify, (request) => identity.certify(request));
  return server;
}

/** For workloads of the mesh. */
function destinationServer(
  server: RpcServer,
  identity: IdentityServices,
  services: DestinationServices,
): RpcServer {
  const { destination, exports } = services;
  server.serverStreaming(Destination.method.get, (request, stream, call) => {
    requireMember(call);
    destination.get(request, stream, call.peer);
  });
  server.serverStreaming(Destination.method.getProfile, (request, stream, call) => {
    requireMember(call);
    destination.getProfile(request, stream);
  });
  server.serverStreaming(Exports.method.watch, (_request, stream, call) => exports.watch(call.peer, stream));
  server.bidiStreaming(TrustBundles.method.sync, (acks, stream, call) =>
    identity.syncTrustBundles(acks, stream, call.peer),
  );
  return server;
}

/**
 * Open to clients without a certificate, as Linkerd's is: a proxy asks for the policy of its ports before it has one, and lets everyone in when it gets
 * no answer.
 */
function policyServer(server: RpcServer, { policy }: DestinationServices): RpcServer {
  server.unary(InboundServerPolicies.method.getPort, (request) => policy.getPort(request));
  server.serverStreaming(InboundServerPolicies.method.watchPort, (request, stream) =>
    policy.watchPort(request, stream),
  );
  server.unary(OutboundPolicies.method.get, (request) => policy.getOutbound(request));
  server.serverStreaming(OutboundPolicies.method.watch, (request, stream) =>
    policy.watchOutbound(request, stream),
  );
  return server;
}

/**
 * Throws Unauthenticated for a client without a certificate. Linkerd's proxy opens its connection before it has one and
 * stays on it: ending the connection makes it come again with its certificate.
 */
function requireMember(call: Call): void {
  if (call.peer !== undefined) return;
  call.endConnection();
  throw new GrpcError(grpcStatus.unauthenticated, 'a client certificate of the mesh is needed');
}
