import { randomInt } from 'node:crypto';
import type { FieldError } from '../../schema/types.ts';
import type { StoredObject } from '../../types.ts';
import { invalid, internalError } from '../errors.ts';
import { isObject, type JsonObject, text } from '../json.ts';
import { storageName } from '../registry.ts';
import type { Store } from '../store/store.ts';
import type { Allocator } from './core.ts';

/** ClusterIPs are of 10.96.0.0/16 (kubeadm's 10.96.0.0/12, less to remember), node ports of Kubernetes' own range. */
const CLUSTER_IP_PREFIX = '10.96.';
const MIN_NODE_PORT = 30_000;
const MAX_NODE_PORT = 32_767;
/** Tries at random before the range counts as full. */
const TRIES = 4_096;

/** The first address of the range: the Service `kubernetes`. */
export const API_SERVICE_ADDRESS = '10.96.0.1';

/** Gives Services their ClusterIP and node ports, and keeps them across updates. What is in use is read from the store each time, so nothing can leak. */
export function createServiceAllocator(store: Store): Allocator {
  return (object, live, call) => {
    if (
      storageName(call.type.resource) !== 'services' ||
      call.subresource !== '' ||
      !isObject(object['spec'])
    )
      return;
    const spec = object['spec'];
    const others = store.list('services').filter(({ metadata }) => metadata.uid !== object.metadata.uid);
    const errors: FieldError[] = [
      ...allocateClusterIp(spec, specOf(live), others),
      ...allocateNodePorts(spec, specOf(live), others),
    ];
    if (errors.length > 0) throw invalid('Service', '', object.metadata.name ?? '', errors);
  };
}

function specOf(object: StoredObject | undefined): JsonObject {
  return isObject(object?.['spec']) ? object['spec'] : {};
}

function allocateClusterIp(
  spec: JsonObject,
  live: JsonObject,
  others: readonly StoredObject[],
): FieldError[] {
  if (spec['type'] === 'ExternalName') {
    delete spec['clusterIP'];
    delete spec['clusterIPs'];
    return [];
  }
  const used = new Set(others.map((other) => specOf(other)['clusterIP']));
  const given = Array.isArray(spec['clusterIPs']) ? (spec['clusterIPs'] as unknown[])[0] : undefined;
  let address = spec['clusterIP'] ?? given;
  if (address === undefined || address === '') address = live['clusterIP'];
  if (address === undefined || address === '') address = freeAddress(used);
  spec['clusterIP'] = address;
  spec['clusterIPs'] = [address];
  const familyErrors = setFamilies(spec, live);
  if (familyErrors.length > 0) return familyErrors;
  if (address === 'None' || address === live['clusterIP']) return [];
  const message = String(address).startsWith(CLUSTER_IP_PREFIX)
    ? used.has(address)
      ? `failed to allocate IP ${String(address)}: provided IP is already allocated`
      : undefined
    : `failed to allocate IP ${String(address)}: the provided network does not match the current range`;
  if (message === undefined) return [];
  return [
    {
      field: 'spec.clusterIPs',
      reason: 'FieldValueInvalid',
      message: `Invalid value: ${JSON.stringify([address])}: ${message}`,
    },
  ];
}

/**
 * The families of a cluster that has IPv4 alone. A headless Service without a selector is for addresses that somebody else writes: of both families, here too.
 */
function setFamilies(spec: JsonObject, live: JsonObject): FieldError[] {
  const isFree = spec['clusterIP'] === 'None' && Object.keys(spec['selector'] ?? {}).length === 0;
  spec['ipFamilyPolicy'] ??= live['ipFamilyPolicy'] ?? (isFree ? 'RequireDualStack' : 'SingleStack');
  spec['ipFamilies'] ??= ['IPv4'];
  const policy = spec['ipFamilyPolicy'];
  const families = spec['ipFamilies'] as string[];
  if (isFree) {
    const [first] = families;
    if (policy !== 'SingleStack' && families.length === 1)
      spec['ipFamilies'] = [first, first === 'IPv4' ? 'IPv6' : 'IPv4'];
    return [];
  }
  const wrong = (field: string, value: unknown, why: string): FieldError => ({
    field,
    reason: 'FieldValueInvalid',
    message: `Invalid value: ${JSON.stringify(value)}: ${why}`,
  });
  const errors: FieldError[] = [];
  if (policy === 'RequireDualStack')
    errors.push(
      wrong('spec.ipFamilyPolicy', policy, 'this cluster is not configured for dual-stack services'),
    );
  for (const [index, family] of families.entries())
    if (family !== 'IPv4')
      errors.push(wrong(`spec.ipFamilies[${index}]`, family, 'not configured on this cluster'));
  return errors;
}

function freeAddress(used: ReadonlySet<unknown>): string {
  for (let tries = 0; tries < TRIES; tries++) {
    const address = `${CLUSTER_IP_PREFIX}${randomInt(256)}.${randomInt(1, 255)}`;
    if (address !== API_SERVICE_ADDRESS && !used.has(address)) return address;
  }
  throw internalError('failed to allocate a serviceIP: range is full');
}

function allocateNodePorts(
  spec: JsonObject,
  live: JsonObject,
  others: readonly StoredObject[],
): FieldError[] {
  const ports = portsOf(spec);
  if (
    spec['type'] !== 'NodePort' &&
    (spec['type'] !== 'LoadBalancer' || spec['allocateLoadBalancerNodePorts'] === false)
  ) {
    // Of a Service that is one no more; what a client asks for outright is refused by validation.
    if (live['type'] === 'NodePort' || live['type'] === 'LoadBalancer')
      for (const port of ports) delete port['nodePort'];
    return [];
  }
  const used = new Set(others.flatMap((other) => portsOf(specOf(other)).map((port) => port['nodePort'])));
  const before = new Map(portsOf(live).map((port) => [portKey(port), port['nodePort']]));
  const errors: FieldError[] = [];
  for (const [index, port] of ports.entries()) {
    const asked = port['nodePort'];
    if (typeof asked === 'number' && asked !== 0) {
      const wrong =
        asked < MIN_NODE_PORT || asked > MAX_NODE_PORT
          ? `provided port is not in the valid range. The range of valid ports is ${MIN_NODE_PORT}-${MAX_NODE_PORT}`
          : used.has(asked)
            ? 'provided port is already allocated'
            : undefined;
      if (wrong !== undefined)
        errors.push({
          field: `spec.ports[${index}].nodePort`,
          reason: 'FieldValueInvalid',
          message: `Invalid value: ${asked}: ${wrong}`,
        });
    } else {
      const kept = before.get(portKey(port));
      port['nodePort'] = kept !== undefined && !used.has(kept) ? kept : freePort(used);
    }
    used.add(port['nodePort']);
  }
  return errors;
}

function portsOf(spec: JsonObject): JsonObject[] {
  return Array.isArray(spec['ports']) ? spec['ports'].filter(isObject) : [];
}

function portKey(port: JsonObject): string {
  return `${text(port['protocol'] ?? 'TCP')}/${String(port['port'])}`;
}

function freePort(used: ReadonlySet<unknown>): number {
  for (let tries = 0; tries < TRIES; tries++) {
    const port = randomInt(MIN_NODE_PORT, MAX_NODE_PORT + 1);
    if (!used.has(port)) return port;
  }
  throw internalError('failed to allocate a nodePort: range is full');
}
