import { create } from '@bufbuild/protobuf';

import { GetDestinationSchema, type Update } from '../../api/proto/gen/linkerd/destination_pb.js';
import { component, spiffeId } from '../../api/names.ts';
import type { PeerIdentity } from '../../workload-identity/index.ts';
import { createDestinationService } from '../destination-service.ts';
import { ipText } from '../ip-address.ts';
import { namespace, service, settings, slice, testDeps, TestStream } from './fixture.ts';

export type SliceEndpoints = Parameters<typeof slice>[1];

/** This cluster's gateway. */
const GATEWAY: PeerIdentity = {
  dnsName: '',
  spiffeId: spiffeId({
    trustDomain: settings.trustDomain,
    clusterId: settings.clusterName,
    namespace: settings.meshNamespace,
    serviceAccount: component.gateway,
  }),
  workload: undefined,
  fingerprint: '',
  notAfter: 0,
};

/** A Service `web` with these endpoints, and clients that ask for it from wherever they are. */
export function webClients(endpoints: SliceEndpoints, spec: Parameters<typeof service>[2] = {}) {
  const deps = testDeps();
  const { state } = deps.views;
  const destination = createDestinationService(deps, settings);
  state.setNamespace('shop', namespace('shop'));
  state.setService('shop/web', service('web', undefined, spec));
  state.setSlice('shop/web-1', slice('web', endpoints));
  /** A stream of a client, and what it has been told since it was last asked: `+ip locality`, `-ip`, `noEndpoints`. */
  const client = (context: Record<string, string>, path = 'web.shop.svc:80', peer?: PeerIdentity) => {
    const stream = new TestStream<Update>();
    const contextToken = JSON.stringify(context);
    destination.get(create(GetDestinationSchema, { path, contextToken }), stream, peer);
    return { stream, told: () => stream.take().flatMap(brief) };
  };
  return {
    ...deps,
    state,
    client,
    on: (nodeName: string, path?: string) => client({ ns: 'shop', pod: 'c', nodeName }, path),
    gatewayOn: (nodeName: string) => client({ ns: 'isthmus', pod: 'g', nodeName }, undefined, GATEWAY),
  };
}

function brief({ update }: Update): string[] {
  if (update.case === 'add') {
    return update.value.addrs.map(
      ({ addr, metricLabels }) => `+${ipText(addr?.ip)} ${metricLabels['zone_locality']}`,
    );
  }
  return update.case === 'remove'
    ? update.value.addrs.map(({ ip }) => `-${ipText(ip)}`)
    : [String(update.case)];
}
