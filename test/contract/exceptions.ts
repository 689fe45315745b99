import { serverKind } from '../testing/api-server.ts';
import { compactCommand, restartCommand } from './server.ts';

/** What is not asked of one of the two kinds of server, and why. Everything else must be alike. */
interface Exception {
  theme: string;
  /** Every scenario of the theme when absent. */
  scenario?: string;
  server: 'embedded' | 'real';
  reason: string;
  /** Holds only when this does. */
  when?: () => boolean;
}

const exceptions: readonly Exception[] = [
  {
    theme: 'restart',
    server: 'real',
    reason:
      'nobody said how this server is restarted and compacted ($CONTRACT_RESTART, $CONTRACT_COMPACT: shell commands)',
    when: () => restartCommand === '' || compactCommand === '',
  },
];

/** Why a scenario is not asked of this server; undefined when it is. */
export function skipped(theme: string, scenario: string): string | undefined {
  return exceptions.find(
    (entry) =>
      entry.theme === theme &&
      (entry.scenario ?? scenario) === scenario &&
      entry.server === serverKind &&
      (entry.when?.() ?? true),
  )?.reason;
}

/** The embedded cluster's meant differences, by what its README says of each in bold. */
export const meantDifferences = [
  // How its pods are processes.
  'Endpoint addresses are in 127.0.0.0/8.',
  'Nothing can be redirected.',
  'The injector sets',
  "Proxies dial a peer's port 4143",
  'Webhooks are called at a ready endpoint',
  'Pods share one user id and one address space',
  // Of its API.
  'Some kinds are not served',
  'Some subresources of pods are not served',
  'CEL is not evaluated',
  'Pod Security, quotas and limit ranges are not enforced',
  'Kinds without a controller stay as they were written',
  'Texts that quote Go',
] as const;

/** Kinds that a real server has and the embedded one has no use for, as `resource.group/version`. */
export const unservedKinds: ReadonlySet<string> = new Set([
  'apiservices.apiregistration.k8s.io/v1',
  'certificatesigningrequests.certificates.k8s.io/v1',
  'componentstatuses/v1',
  'csidrivers.storage.k8s.io/v1',
  'csinodes.storage.k8s.io/v1',
  'csistoragecapacities.storage.k8s.io/v1',
  'deviceclasses.resource.k8s.io/v1',
  'flowschemas.flowcontrol.apiserver.k8s.io/v1',
  'prioritylevelconfigurations.flowcontrol.apiserver.k8s.io/v1',
  'resourceclaims.resource.k8s.io/v1',
  'resourceclaimtemplates.resource.k8s.io/v1',
  'resourceslices.resource.k8s.io/v1',
  'storageclasses.storage.k8s.io/v1',
  'volumeattachments.storage.k8s.io/v1',
  'volumeattributesclasses.storage.k8s.io/v1',
]);

/** Subresources of pods that need a stream into a container, or a node's own API. */
export const unservedSubresources: ReadonlySet<string> = new Set([
  'attach',
  'ephemeralcontainers',
  'exec',
  'portforward',
  'proxy',
  'resize',
]);
