import type { DestinationProfile, GetDestination, Update } from '../api/proto/gen/linkerd/destination_pb.js';
import { GrpcError, grpcStatus, type PeerIdentity } from '../workload-identity/index.ts';
import { parseContextToken, type WorkloadContext } from './context-token.ts';
import { type EndpointSet, endpointSet, sameEndpointSet } from './endpoint-set.ts';
import { endpointUpdates } from './endpoint-updates.ts';
import { type ClientPlace, clientPlace, endpointsForClient, sameClientPlace } from './locality.ts';
import { isOwnGateway } from './own-gateway.ts';
import { profileOf, type ProfileResult, sameProfile } from './profile.ts';
import type { ServerStream } from './server-stream.ts';
import type { DestinationSettings } from './settings.ts';
import { sharing, type StreamDeps, streamView } from './stream-view.ts';
import { parseTarget, type Target } from './target.ts';
import type { Views, Watch } from './views.ts';

/** `io.linkerd.proxy.destination.Destination`: where a name leads. Calls throw GrpcError for what can't be answered. */
export interface DestinationService {
  /**
   * Streams the endpoints of a path: first all, then what changes. Ends with InvalidArgument when the name can't be a Service.
   * @param peer who asks
   */
  get(request: GetDestination, stream: ServerStream<Update>, peer?: PeerIdentity): void;
  /** Streams what a path is. Ends with InvalidArgument when it is no Service: the proxy then goes to the name itself. */
  getProfile(request: GetDestination, stream: ServerStream<DestinationProfile>): void;
}

export function createDestinationService(
  deps: StreamDeps,
  settings: DestinationSettings,
): DestinationService {
  const targetOf = (request: GetDestination): Target =>
    parseTarget(request.path, settings.clusterDomain, parseContextToken(request.contextToken).namespace);
  return {
    get: (request, stream, peer) => {
      const target = targetOf(request);
      const client = parseContextToken(request.contextToken);
      const isGateway = peer !== undefined && isOwnGateway(peer, settings);
      streamView(
        deps,
        {
          method: 'Get',
          watch: (views, changed) => watchEndpoints(views, { target, client, isGateway, settings }, changed),
          step: (before, after) => {
            if (after.kind === 'not-a-service') return { end: invalid(after.reason) };
            return {
              messages: endpointUpdates(before?.kind === 'endpoints' ? before : undefined, after),
            };
          },
        },
        stream,
      );
    },
    getProfile: (request, stream) => {
      const target = targetOf(request);
      const { namespace } = parseContextToken(request.contextToken);
      streamView(
        deps,
        {
          method: 'GetProfile',
          watch: sharing(`profile ${namespace ?? ''} ${targetKey(target)}`, {
            compute: (cluster) => profileOf(target, namespace, cluster, settings),
            equal: sameProfile,
          }),
          step: (_before, after: ProfileResult) =>
            after.kind === 'profile' ? { messages: [after.profile] } : { end: invalid(after.reason) },
        },
        stream,
      );
    },
  };
}

/** Endpoints are computed once for all clients; a client sees of them what is for its place. */
function watchEndpoints(
  views: Views,
  of: { target: Target; client: WorkloadContext; isGateway: boolean; settings: DestinationSettings },
  changed: () => void,
): Watch<EndpointSet> {
  const { target, client, isGateway, settings } = of;
  const all = views.watch(
    `endpoints ${targetKey(target)}`,
    { compute: (cluster) => endpointSet(target, cluster, settings), equal: sameEndpointSet },
    changed,
  );
  const { namespace = '', pod = '', nodeName = '' } = client;
  const place = views.watch(
    nodeName === '' ? `place of pod ${namespace}/${pod}` : `place of node ${nodeName}`,
    { compute: (cluster) => clientPlace(client, cluster), equal: sameClientPlace },
    changed,
  );
  return {
    get value() {
      return endpointsForClient(all.value, isGateway ? withoutNode(place.value) : place.value);
    },
    close: () => {
      all.close();
      place.close();
    },
  };
}

/** A gateway asks for clients of other clusters, who are on none of this one's nodes. */
function withoutNode({ zone }: ClientPlace): ClientPlace {
  return zone === undefined ? {} : { zone };
}

/** One text for each target, whatever form its name was asked in. */
export function targetKey(target: Target): string {
  if (target.kind === 'address') return `${target.ip} ${target.port}`;
  const { hostname = '', name, namespace, port, certain } = target;
  return `${hostname}/${name}/${namespace} ${port}${certain ? '' : ' ?'}`;
}

function invalid(reason: string): GrpcError {
  return new GrpcError(grpcStatus.invalidArgument, reason);
}
