import type { KubernetesObject, Pod } from '../../../api/kubernetes-types.ts';
import { annotation, component } from '../../../api/names.ts';
import { lacksSidecar } from '../../../injector/index.ts';
import { type Check, error, none, ok, type Verdict, warning } from '../check.ts';
import { type Facts, nameOf } from '../facts.ts';
import { mapLimited } from '../map-limited.ts';
import { askIdentity, type PodIdentity } from '../pod-identity.ts';
import { imageVersion } from './versions.ts';

/** Leaves live 24 h and are renewed at 70 % of it: less than this means that renewing has failed for hours. */
const LEAF_WARNING_MS = 4 * 3_600_000;
/** What is meant as an annotation, and does nothing as a label. */
const ANNOTATIONS_ONLY =
  /^(isthmus\.dev\/inject|linkerd\.io\/inject|config\.(isthmus\.dev|linkerd\.io|alpha\.linkerd\.io)\/.+)$/;
/** The one that is a label: on namespaces, for the webhook. */
const LABELS_ONLY: ReadonlySet<string> = new Set([
  'mirror.linkerd.io/exported',
  'mirror.linkerd.io/federated',
  'config.isthmus.dev/admission-webhooks',
  'config.linkerd.io/admission-webhooks',
]);

/** Whether the proxies beside the apps are there, well, and trust what the cluster trusts. */
export const dataPlaneChecks: readonly Check[] = [
  {
    id: 'proxy-missing',
    category: 'isthmus-data-plane',
    stage: 'installed',
    description: 'pods in meshed namespaces have a proxy',
    run: missingProxies,
  },
  {
    id: 'proxy-namespace',
    category: 'isthmus-data-plane',
    stage: 'proxy',
    description: 'data plane namespace exists',
    run: async (facts) => {
      const { dataPlaneNamespace } = facts.options;
      if (dataPlaneNamespace === undefined) return ok;
      const names = (await facts.namespaces()).map(({ metadata }) => metadata?.name);
      return names.includes(dataPlaneNamespace) ? ok : error(`there is no namespace ${dataPlaneNamespace}`);
    },
  },
  {
    id: 'proxy-ready',
    category: 'isthmus-data-plane',
    stage: 'proxy',
    description: 'data plane proxies are ready',
    needs: ['proxy-namespace'],
    waits: true,
    run: async (facts) => {
      const unready = (await facts.meshedPods()).filter((pod) => proxyStatus(pod)?.ready !== true);
      return none('error', 'the proxy is not ready in', unready.map(nameOf));
    },
  },
  {
    id: 'proxy-version',
    category: 'isthmus-data-plane',
    stage: 'proxy',
    description: 'data plane is up-to-date with the control plane',
    needs: ['proxy-namespace', 'control-plane-version'],
    run: async (facts) => {
      const installed = imageVersion((await facts.values()).image);
      const others = (await facts.meshedPods()).flatMap((pod) => {
        const version = pod.metadata?.annotations?.[annotation.proxyVersion] ?? 'unknown';
        return version === installed ? [] : [`${nameOf(pod)}: ${version}`];
      });
      return none('warning', `not of version ${installed}; restart the workloads`, others);
    },
  },
  {
    id: 'proxy-labels',
    category: 'isthmus-data-plane',
    stage: 'proxy',
    description: 'data plane labels and annotations are configured correctly',
    needs: ['proxy-namespace'],
    run: misplaced,
  },
  {
    id: 'component-certificates',
    category: 'isthmus-identity-data-plane',
    stage: 'installed',
    description: "the components' certificates are valid, and below the anchors in force",
    waits: true,
    run: async (facts) => identities(facts, await facts.componentPods()),
  },
  {
    id: 'proxy-certificates',
    category: 'isthmus-identity-data-plane',
    stage: 'proxy',
    description: 'data plane proxies have valid certificates and trust the anchors in force',
    needs: ['proxy-namespace'],
    waits: true,
    run: async (facts) => identities(facts, await facts.meshedPods()),
  },
];

function proxyStatus({ status }: Pod): { ready: boolean } | undefined {
  const all = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  return all.find(({ name }) => name === component.proxy);
}

/** By the webhook's own rule: a pod that it would inject now was missed when it was made. */
async function missingProxies(facts: Facts): Promise<Verdict> {
  const namespaces = new Map(
    (await facts.namespaces()).map(({ metadata }) => [metadata?.name ?? '', metadata]),
  );
  const settings = {
    meshNamespace: facts.meshNamespace,
    ignoreLinkerdAnnotation: await facts.ignoresLinkerd(),
    proxyMode: (await facts.values()).proxyMode,
  };
  const { dataPlaneNamespace } = facts.options;
  const missed = (await facts.pods()).filter((pod) => {
    const name = pod.metadata?.namespace ?? '';
    if (dataPlaneNamespace !== undefined && name !== dataPlaneNamespace) return false;
    return lacksSidecar(pod, { name, metadata: namespaces.get(name) }, settings);
  });
  return none('warning', 'made while the webhook was away; restart', missed.map(nameOf));
}

/** Labels that should be annotations, and the other way round: nothing says so when it is applied. */
async function misplaced(facts: Facts): Promise<Verdict> {
  const { dataPlaneNamespace } = facts.options;
  const objects = [...(await facts.namespaces()), ...(await facts.pods()), ...(await facts.services())];
  const problems = objects.filter((o) => isLookedAt(o, dataPlaneNamespace)).flatMap(misplacedOn);
  return none('warning', 'without effect where they stand', problems);
}

function isLookedAt({ kind, metadata }: KubernetesObject, namespace: string | undefined): boolean {
  return (
    namespace === undefined || (kind === 'Namespace' ? metadata?.name : metadata?.namespace) === namespace
  );
}

function misplacedOn(o: KubernetesObject): string[] {
  const { labels = {}, annotations = {} } = o.metadata ?? {};
  const where = `${o.kind} ${nameOf(o)}`;
  return [
    ...Object.keys(labels)
      .filter((key) => ANNOTATIONS_ONLY.test(key) && !LABELS_ONLY.has(key))
      .map((key) => `${where}: label ${key} must be an annotation`),
    ...Object.keys(annotations)
      .filter((key) => LABELS_ONLY.has(key))
      .map((key) => `${where}: annotation ${key} must be a label`),
  ];
}

/** What processes tell of themselves. One that does not answer is told, and hides no other. */
async function identities(facts: Facts, pods: readonly Pod[]): Promise<Verdict> {
  const client = await facts.client();
  const { status } = await facts.trustBundle();
  const now = facts.options.now();
  const running = pods.filter((pod) => pod.status?.phase === 'Running');
  const answers = await mapLimited(running, async (pod) => ({ pod, asked: await askIdentity(client, pod) }));
  const bad: string[] = [];
  const doubtful: string[] = [];
  for (const { pod, asked } of answers) {
    if (asked.kind === 'forbidden') return warning(`the pods cannot be asked: ${asked.message}`);
    const name = nameOf(pod);
    if (asked.kind === 'told') {
      bad.push(...faults(asked.identity, status?.sequence, now).map((fault) => `${name}: ${fault}`));
      if (isEnding(asked.identity, now)) doubtful.push(`${name}: its certificate is not being renewed`);
    } else doubtful.push(`${name} does not answer: ${asked.message}`);
  }
  if (bad.length > 0) return none('error', 'peers will refuse, or be refused by', bad);
  return none('warning', 'not certain', doubtful);
}

function faults(
  { bundleSequence, certificateEnd }: PodIdentity,
  sequence: number | undefined,
  now: number,
): string[] {
  return [
    ...(certificateEnd === 0 ? ['it has no certificate'] : []),
    ...(certificateEnd !== 0 && certificateEnd < now
      ? [`its certificate expired at ${new Date(certificateEnd).toISOString()}`]
      : []),
    ...(sequence !== undefined && bundleSequence !== sequence
      ? [`it uses trust bundle ${bundleSequence}, and ${sequence} is in force`]
      : []),
  ];
}

function isEnding({ certificateEnd }: PodIdentity, now: number): boolean {
  return certificateEnd > now && certificateEnd - now < LEAF_WARNING_MS;
}
