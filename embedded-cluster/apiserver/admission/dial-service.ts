import { valueAt } from '../json.ts';
import type { Store } from '../store/store.ts';
import type { DialService } from './webhooks.ts';

interface Address {
  address: string;
  port: number;
}

/** Reaches a Service at one of the ready endpoints in its EndpointSlices; in this cluster nothing answers at a ClusterIP. */
export function dialByEndpointSlices(store: Store): DialService {
  return async ({ namespace, name, port }) => {
    const service = store.get('services', namespace, name);
    if (service === undefined) throw new Error(`service ${JSON.stringify(name)} not found`);
    const ports = valueAt(service, 'spec.ports');
    const servicePort: unknown = Array.isArray(ports)
      ? ports.find((entry) => valueAt(entry, 'port') === port)
      : undefined;
    if (servicePort === undefined) throw new Error(`service ${JSON.stringify(name)} has no port ${port}`);
    const ready = readyAddresses(store, namespace, name, valueAt(servicePort, 'name') ?? '');
    const chosen = ready[Math.floor(Math.random() * ready.length)];
    if (chosen === undefined) throw new Error(`no endpoints available for service ${JSON.stringify(name)}`);
    return chosen;
  };
}

function readyAddresses(store: Store, namespace: string, service: string, portName: unknown): Address[] {
  const found: Address[] = [];
  for (const slice of store.list('endpointslices.discovery.k8s.io', namespace)) {
    if (slice.metadata.labels?.['kubernetes.io/service-name'] !== service) continue;
    const ports = asList(slice['ports']);
    const port = valueAt(
      ports.find((entry) => (valueAt(entry, 'name') ?? '') === portName),
      'port',
    );
    if (typeof port !== 'number') continue;
    for (const endpoint of asList(slice['endpoints'])) {
      if (valueAt(endpoint, 'conditions.ready') === false) continue;
      const [address] = asList(valueAt(endpoint, 'addresses'));
      if (typeof address === 'string') found.push({ address, port });
    }
  }
  return found;
}

function asList(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}
