import type { EnvVar } from '../api/kubernetes-types.ts';
import { telemetryEnv } from '../api/names.ts';
import type { SidecarTelemetry } from './context.ts';
import type { ProxyConfig } from './proxy-config.ts';

const NONE = 'none';

/** What a sidecar tells of single requests: what annotations ask for, over what the install says. @param namespace the pod's */
export function sidecarTelemetry(
  config: ProxyConfig,
  installed: SidecarTelemetry,
  namespace: string,
): EnvVar[] {
  return [...accessLog(config.accessLog ?? installed.accessLog), ...traces(config, installed, namespace)];
}

function accessLog(format = NONE): EnvVar[] {
  return format === NONE ? [] : [{ name: telemetryEnv.accessLog, value: format }];
}

function traces(config: ProxyConfig, installed: SidecarTelemetry, namespace: string): EnvVar[] {
  const collector = config.traceCollector ?? installed.traceCollector ?? NONE;
  if (collector === NONE) return [];
  const own = config.traceCollectorServiceAccount;
  // Another collector is another workload: what the install says of its own one does not hold for it.
  const installedIdentity =
    config.traceCollector === undefined ? installed.traceCollectorIdentity : undefined;
  const identity = own === undefined ? installedIdentity : workload(own, collector, namespace);
  const given: readonly [name: string, value: string | undefined][] = [
    [telemetryEnv.traceCollector, collector],
    [telemetryEnv.traceCollectorIdentity, identity],
    [telemetryEnv.traceSampling, config.traceSampling ?? installed.traceSampling],
    [telemetryEnv.traceServiceName, config.traceServiceName],
  ];
  return given.flatMap(([name, value]) => (value === undefined ? [] : [{ name, value }]));
}

/** As at Linkerd a ServiceAccount alone is one of the namespace that the collector's name says (`<svc>.<ns>…`); a name without one is of the pod's. */
function workload(serviceAccount: string, collector: string, namespace: string): string {
  if (serviceAccount.includes('/')) return serviceAccount;
  const named = collector.split(':')[0]?.split('.')[1];
  return `${named === undefined || /^\d*$/.test(named) ? namespace : named}/${serviceAccount}`;
}
