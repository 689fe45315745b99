import { isIP } from 'node:net';
import type { ObjectMeta } from '../api/kubernetes-types.ts';

/** Resource quantities by name of their annotation, as Kubernetes writes them (`100m`, `64Mi`). */
export interface Quantities {
  cpuRequest?: string;
  cpuLimit?: string;
  memoryRequest?: string;
  memoryLimit?: string;
}

/** What a pod or its namespace asks of the sidecar. */
export interface ProxyConfig extends Quantities {
  logLevel?: string;
  image?: string;
  defaultInboundPolicy?: string;
  opaquePorts?: string;
  /** User id of the sidecar. */
  proxyUid?: string;
  skipInboundPorts?: string;
  skipOutboundPorts?: string;
  skipSubnets?: string;
}

/** The quantity grammar of Kubernetes (resource.Quantity). */
const QUANTITY = /^\d+(\.\d+)?([numkMGTPE]|[KMGTPE]i|[eE]-?\d+)?$/;
/** Levels that our own logger knows; Linkerd's per-module filters are not among them. */
const LOG_LEVELS = /^(fatal|error|warn|info|debug|trace|silent)$/;
const ANY = /^/;
/** What the program that sets the rules would end over must not reach it. */
const SUBNETS = {
  test: (text: string): boolean =>
    text
      .split(',')
      .map((part) => part.trim())
      .every((part) => part === '' || isSubnet(part)),
};
/** Root is what most images' apps run as. */
const USER_ID = /^[1-9]\d{0,8}$/;

/** Annotation name after `config.isthmus.dev/` or `config.linkerd.io/`, and what its value has to look like. */
const SETTINGS: Record<
  keyof ProxyConfig,
  { annotation: string; valid: Pick<RegExp, 'test'>; expected: string }
> = {
  cpuRequest: { annotation: 'proxy-cpu-request', valid: QUANTITY, expected: 'a quantity such as 100m' },
  cpuLimit: { annotation: 'proxy-cpu-limit', valid: QUANTITY, expected: 'a quantity such as 1' },
  memoryRequest: { annotation: 'proxy-memory-request', valid: QUANTITY, expected: 'a quantity such as 64Mi' },
  memoryLimit: { annotation: 'proxy-memory-limit', valid: QUANTITY, expected: 'a quantity such as 250Mi' },
  logLevel: {
    annotation: 'proxy-log-level',
    valid: LOG_LEVELS,
    expected: 'one of error, warn, info, debug, trace',
  },
  image: { annotation: 'proxy-image', valid: /^\S+$/, expected: 'an image' },
  defaultInboundPolicy: {
    annotation: 'default-inbound-policy',
    valid: /^(all|cluster)-(un)?authenticated$|^deny$/,
    expected:
      'all-unauthenticated, all-authenticated, cluster-unauthenticated, cluster-authenticated or deny',
  },
  opaquePorts: { annotation: 'opaque-ports', valid: ANY, expected: 'ports' },
  proxyUid: { annotation: 'proxy-uid', valid: USER_ID, expected: 'a user id above 0' },
  skipInboundPorts: { annotation: 'skip-inbound-ports', valid: ANY, expected: 'ports' },
  skipOutboundPorts: { annotation: 'skip-outbound-ports', valid: ANY, expected: 'ports' },
  skipSubnets: {
    annotation: 'skip-subnets',
    valid: SUBNETS,
    expected: 'a list of address blocks such as 10.0.0.0/8',
  },
};

/** Linkerd's image annotation would put Linkerd's proxy where ours belongs. */
const OURS_ALONE: ReadonlySet<string> = new Set(['proxy-image']);

/**
 * Reads the sidecar's settings: pod over namespace, and on the same object `config.isthmus.dev` over `config.linkerd.io`. A value that can't be read is
 * left out with a warning: a mistake in an annotation of ours must not keep a pod from starting.
 */
export function proxyConfig(
  pod: ObjectMeta | undefined,
  namespace: ObjectMeta | undefined,
): { config: ProxyConfig; warnings: string[] } {
  const config: ProxyConfig = {};
  const warnings: string[] = [];
  for (const [setting, { annotation, valid, expected }] of Object.entries(SETTINGS)) {
    const found = lookUp(annotation, [pod, namespace]);
    if (found === undefined) continue;
    if (valid.test(found.value)) config[setting as keyof ProxyConfig] = found.value;
    else
      warnings.push(
        `annotation ${found.key}: ${JSON.stringify(found.value)} is not ${expected}; it is ignored`,
      );
  }
  return { config, warnings };
}

function isSubnet(text: string): boolean {
  const [address = '', prefix = '', ...rest] = text.split('/');
  const family = isIP(address);
  const most = family === 4 ? 32 : 128;
  return family !== 0 && rest.length === 0 && /^\d{1,3}$/.test(prefix) && Number(prefix) <= most;
}

function lookUp(
  name: string,
  objects: readonly (ObjectMeta | undefined)[],
): { key: string; value: string } | undefined {
  const prefixes = OURS_ALONE.has(name)
    ? ['config.isthmus.dev']
    : ['config.isthmus.dev', 'config.linkerd.io'];
  for (const object of objects) {
    for (const prefix of prefixes) {
      const key = `${prefix}/${name}`;
      const value = object?.annotations?.[key];
      if (value !== undefined) return { key, value };
    }
  }
  return undefined;
}
