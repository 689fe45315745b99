/**
 * A sidecar or a gateway as a process of its own, started and ended as in a pod, with a control plane of the test kind
 * inside. The parent certifies it and tells it of services, by messages.
 */
import { readdirSync } from 'node:fs';
import { startGateway } from '../../gateway/index.ts';
import { silentLog } from '../../log/index.ts';
import { gatewayConfig, startProxy } from '../../proxy/index.ts';
import { proxyConfig } from '../../proxy/config.ts';
import { run } from '../../proxy/run.ts';
import { FakeControlPlane } from '../../proxy/testing/mesh/fake-control-plane.ts';
import type { FakeEndpoint, FakeExport } from '../../proxy/testing/mesh/fake-control-plane.ts';
import { createWorkloadIdentity, systemClock, type WorkloadNames } from '../../workload-identity/index.ts';

/** What the parent says. The first is `setup`. */
export type ToPart =
  | {
      readonly kind: 'setup';
      readonly part: 'proxy' | 'gateway';
      readonly names: WorkloadNames;
      readonly anchorsFile: string;
      readonly exports: FakeExport[];
    }
  | { readonly kind: 'service'; readonly authority: string; readonly endpoints: FakeEndpoint[] }
  | { readonly kind: 'certified'; readonly leaf: string; readonly issuer: string; readonly notAfter: number }
  | { readonly kind: 'look' };

/** What it answers. DER is base64. */
export type FromPart =
  | { readonly kind: 'hello' }
  | { readonly kind: 'ready' }
  | { readonly kind: 'csr'; readonly csr: string }
  | ({ readonly kind: 'looked' } & Look);

/** What a process holds, after a collection of garbage where `gc` is exposed. Bytes, and numbers of things. */
export interface Look {
  readonly rss: number;
  readonly heap: number;
  readonly external: number;
  readonly descriptors: number;
  readonly handles: Readonly<Record<string, number>>;
  /** Certificates that it has had. */
  readonly certificates: number;
}

const controlPlane = new FakeControlPlane();
let certificates = 0;

function say(message: FromPart): void {
  process.send?.(message);
}

function heard<K extends ToPart['kind']>(kind: K): Promise<Extract<ToPart, { kind: K }>> {
  return new Promise((resolve) => {
    const listen = (message: ToPart): void => {
      if (message.kind !== kind) return;
      process.off('message', listen);
      resolve(message as Extract<ToPart, { kind: K }>);
    };
    process.on('message', listen);
  });
}

function look(): Look {
  globalThis.gc?.();
  const { rss, heapUsed, external } = process.memoryUsage();
  const handles: Record<string, number> = {};
  for (const name of process.getActiveResourcesInfo()) handles[name] = (handles[name] ?? 0) + 1;
  const descriptors = readdirSync('/proc/self/fd').length;
  return { rss, heap: heapUsed, external, descriptors, handles, certificates };
}

process.on('message', (message: ToPart) => {
  if (message.kind === 'service') controlPlane.setService(message.authority, message.endpoints);
  if (message.kind === 'look') say({ kind: 'looked', ...look() });
});
// A parent that was killed leaves nothing behind.
process.once('disconnect', () => process.exit(0));
const asked = heard('setup');
say({ kind: 'hello' });
const { part, names, anchorsFile, exports } = await asked;
controlPlane.setExports(exports);
const identity = createWorkloadIdentity({
  names,
  podName: names.serviceAccount,
  anchorsFile,
  certify: {
    kind: 'local',
    certifier: async ({ csr }) => {
      const answer = heard('certified');
      say({ kind: 'csr', csr: Buffer.from(csr).toString('base64') });
      const { leaf, issuer, notAfter } = await answer;
      certificates++;
      return {
        leaf: Buffer.from(leaf, 'base64'),
        intermediates: [Buffer.from(issuer, 'base64')],
        validUntil: notAfter,
      };
    },
  },
  resolve: () => Promise.reject(new Error('nothing is resolved here')),
  logger: silentLog,
  clock: systemClock,
});
await identity.ready;
const more = { identity, channel: () => controlPlane.channel() };
if (part === 'gateway')
  await run('gateway', gatewayConfig, (config, options) => startGateway(config, { ...options, ...more }));
else await run('proxy', proxyConfig, (config, options) => startProxy(config, { ...options, ...more }));
say({ kind: 'ready' });
