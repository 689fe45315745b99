import { create, toBinary } from '@bufbuild/protobuf';

import {
  type ExportedServices,
  type ExportedServices_Service,
  ExportedServices_ServiceSchema,
  ExportedServicesSchema,
} from '../api/proto/gen/isthmus/control_pb.js';
import type { Service } from '../api/kubernetes-types.ts';
import { label } from '../api/names.ts';
import { GrpcError, grpcStatus, type PeerIdentity } from '../workload-identity/index.ts';
import type { ClusterReader } from './cluster-state.ts';
import { isOwnGateway, ownGatewayId } from './own-gateway.ts';
import type { ServerStream } from './server-stream.ts';
import type { DestinationSettings } from './settings.ts';
import { sharing, type StreamDeps, streamView } from './stream-view.ts';

/** `isthmus.control.v1.Exports`: what the gateway may serve. */
export interface ExportsService {
  /** Streams the whole state, at start and on every change. Throws PermissionDenied for anyone but this cluster's gateway. */
  watch(peer: PeerIdentity | undefined, stream: ServerStream<ExportedServices>): void;
}

export function createExportsService(deps: StreamDeps, settings: DestinationSettings): ExportsService {
  return {
    watch: (peer, stream) => {
      requireGateway(peer, settings);
      streamView(
        deps,
        {
          method: 'Exports.Watch',
          watch: sharing('exports', { compute: exportedServices, equal: sameExports }),
          step: (_before, after) => ({ messages: [after] }),
        },
        stream,
      );
    },
  };
}

/** Which Services the gateway may serve, and which are mirrors, so that it can answer 508 for those. In the order of their names. */
function exportedServices(cluster: ClusterReader): ExportedServices {
  const services = [...cluster.services()].map(exported).filter((service) => service !== undefined);
  return create(ExportedServicesSchema, { services: services.sort(byName) });
}

function exported(service: Service): ExportedServices_Service | undefined {
  const { name, namespace, labels } = service.metadata ?? {};
  if (name === undefined || namespace === undefined) return undefined;
  const mirror = labels?.[label.mirroredService] === 'true';
  const offered = labels?.[label.exported] === 'true' && service.spec?.type !== 'ExternalName';
  if (!mirror && !offered) return undefined;
  return create(ExportedServices_ServiceSchema, { name, namespace, mirror, ports: tcpPorts(service) });
}

function tcpPorts(service: Service): number[] {
  return (service.spec?.ports ?? [])
    .filter(({ protocol = 'TCP' }) => protocol === 'TCP')
    .map(({ port }) => port);
}

function byName(a: ExportedServices_Service, b: ExportedServices_Service): number {
  return `${a.namespace}/${a.name}` < `${b.namespace}/${b.name}` ? -1 : 1;
}

function sameExports(a: ExportedServices, b: ExportedServices): boolean {
  const bytes = (value: ExportedServices): Uint8Array => toBinary(ExportedServicesSchema, value);
  return Buffer.compare(bytes(a), bytes(b)) === 0;
}

/** Only this cluster's gateway may ask what is exported. Throws PermissionDenied, or Unauthenticated for a client without a certificate. */
function requireGateway(peer: PeerIdentity | undefined, settings: DestinationSettings): void {
  if (peer === undefined) {
    throw new GrpcError(grpcStatus.unauthenticated, 'a client certificate of the mesh is needed');
  }
  if (isOwnGateway(peer, settings)) return;
  const name = peer.spiffeId ?? peer.dnsName ?? 'unnamed';
  throw new GrpcError(
    grpcStatus.permissionDenied,
    `${name} is not this cluster's gateway ${ownGatewayId(settings)}`,
  );
}
