import type { ObjectMeta } from '../api/kubernetes-types.ts';
import { type ProxyConfig, type Setting, SETTINGS } from './proxy-config.ts';

const OURS = 'config.isthmus.dev';
const LINKERDS: readonly string[] = [
  'config.linkerd.io',
  'config.alpha.linkerd.io',
  'config.beta.linkerd.io',
];

/** Annotations of Linkerd's that ask for what our sidecar does not do: whoever set one has to know. Why, by name. */
export const UNSUPPORTED: Readonly<Record<string, string>> = {
  'close-wait-timeout': "the sidecar leaves the pod's kernel settings alone",
  'disable-identity': 'every sidecar has an identity',
  'enable-debug-sidecar': 'use "kubectl debug" with an image of your choice',
  'enable-gateway': 'gateways are those of the install',
  'proxy-require-identity-inbound-ports': 'use the default-inbound-policy annotation',
};

/** Annotations of Linkerd's that need nothing from us: what they tune is not there, or is right without. */
export const WITHOUT_EFFECT: ReadonlySet<string> = new Set([
  'control-port',
  'debug-image',
  'debug-image-pull-policy',
  'debug-image-version',
  'disable-tap',
  'enable-external-profiles',
  'init-image',
  'init-image-version',
  'pod-inbound-ports',
  'proxy-cpu-ratio-limit',
  'proxy-inbound-discovery-cache-unused-timeout',
  'proxy-log-format',
  'proxy-log-http-headers',
  'proxy-outbound-discovery-cache-unused-timeout',
]);

/**
 * Reads the sidecar's settings: pod over namespace, and on the same object `config.isthmus.dev` over `config.linkerd.io`. A value that can't be read is
 * left out with a warning: a mistake in an annotation of ours must not keep a pod from starting.
 */
export function proxyConfig(
  pod: ObjectMeta | undefined,
  namespace: ObjectMeta | undefined,
): { config: ProxyConfig; warnings: string[] } {
  const config: ProxyConfig = {};
  const objects = [pod, namespace];
  const warnings = objects.flatMap((object) => unheeded(object));
  for (const [name, setting] of Object.entries<Setting<unknown>>(SETTINGS)) {
    const found = lookUp(setting, objects);
    if (found === undefined) continue;
    const value = setting.parse(found.value);
    if (value === undefined) {
      warnings.push(
        `annotation ${found.key}: ${JSON.stringify(found.value)} is not ${setting.expected}; it is ignored`,
      );
    } else Object.assign(config, { [name]: value });
  }
  return { config, warnings };
}

function lookUp(
  { annotation, linkerd }: Setting<unknown>,
  objects: readonly (ObjectMeta | undefined)[],
): { key: string; value: string } | undefined {
  for (const object of objects) {
    for (const prefix of [OURS, ...linkerd]) {
      const key = `${prefix}/${annotation}`;
      const value = object?.annotations?.[key];
      if (value !== undefined) return { key, value };
    }
  }
  return undefined;
}

const KNOWN: ReadonlySet<string> = new Set(Object.values(SETTINGS).map(({ annotation }) => annotation));

/** Annotations that nothing comes of though somebody expects it: what we do not do, and what nobody reads, which is a typing error. */
function unheeded(object: ObjectMeta | undefined): string[] {
  return Object.keys(object?.annotations ?? {}).flatMap((key) => {
    const [prefix = '', name = ''] = key.split('/');
    const isLinkerds = LINKERDS.includes(prefix);
    if (KNOWN.has(name) || !(prefix === OURS || isLinkerds)) return [];
    if (isLinkerds && WITHOUT_EFFECT.has(name)) return [];
    const why = isLinkerds ? UNSUPPORTED[name] : undefined;
    return [`annotation ${key} is ignored: ${why ?? 'it is not known'}`];
  });
}
