import { isDeepStrictEqual } from 'node:util';
import type { EndpointSlice, Service } from '../../api/kubernetes-types.ts';
import { label } from '../../api/names.ts';
import type { StoredObject } from '../types.ts';
import type { ControllerContext, ControllerSpec } from './controller.ts';
import { ignoring, keyOf, splitKey } from './controller.ts';
import { getAs } from '../typed-client.ts';

/** Gives Services of type LoadBalancer the addresses of their ready endpoints: no other address of the cluster can be dialled. */
export function loadBalancer(context: ControllerContext): ControllerSpec {
  const { client } = context;
  return {
    name: 'load-balancer',
    sources: [
      { resource: 'services', keys: (service) => [keyOf(service)] },
      {
        resource: 'endpointslices.discovery.k8s.io',
        keys: (slice) => {
          const service = slice.metadata.labels?.[label.sliceServiceName];
          return service === undefined ? [] : [`${slice.metadata.namespace ?? ''}/${service}`];
        },
      },
    ],
    async reconcile(key) {
      const { namespace, name } = splitKey(key);
      const service = getAs<Service>(client, 'services', namespace, name);
      if (service === undefined) return;
      const shown = service.status?.loadBalancer ?? {};
      const wanted =
        service.spec?.type === 'LoadBalancer'
          ? { ingress: readyAddresses(client.list(SLICES, sliceSelector(namespace, name)).items) }
          : {};
      const plain = wanted.ingress?.length === 0 ? {} : wanted;
      if (isDeepStrictEqual(strip(shown), plain)) return;
      await ignoring(['NotFound'], () =>
        client.update(
          'services',
          { ...service, status: { ...service.status, loadBalancer: plain } } as Service,
          { subresource: 'status' },
        ),
      );
    },
  };
}

const SLICES = 'endpointslices.discovery.k8s.io';

function sliceSelector(namespace: string, service: string): { namespace: string; labelSelector: string } {
  return { namespace, labelSelector: `${label.sliceServiceName}=${service}` };
}

function readyAddresses(slices: readonly StoredObject[]): { ip: string }[] {
  const addresses = new Set<string>();
  for (const slice of slices as (StoredObject & EndpointSlice)[])
    for (const endpoint of slice.endpoints ?? [])
      if (endpoint.conditions?.ready !== false)
        for (const address of endpoint.addresses) addresses.add(address);
  return [...addresses].sort().map((ip) => ({ ip }));
}

/** Only what this controller writes; the API server adds `ipMode`. */
function strip(status: { ingress?: { ip?: string }[] }): { ingress?: { ip: string }[] } {
  if (status.ingress === undefined || status.ingress.length === 0) return {};
  return { ingress: status.ingress.map(({ ip = '' }) => ({ ip })) };
}
