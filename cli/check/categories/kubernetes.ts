import type { Lease, Node } from '../../../api/kubernetes-types.ts';
import { resources } from '../../../kubernetes/resources.ts';
import { type Check, error, none, ok, type Verdict, warning } from '../check.ts';
import { clockVerdict } from '../clock-verdict.ts';
import type { Facts } from '../facts.ts';

/** Native sidecars are on by default from 1.29. */
const MINIMUM_MINOR = 29;
/** A CA certificate made on this machine is valid from a minute before. */
const LOCAL_TOLERANCE_MS = 60_000;
/** kubelet renews its Lease every 10 s, and counts as dead after 40. */
const LEASE_TOLERANCE_MS = 60_000;
const NODE_LEASES = 'kube-node-lease';

/** Whether the cluster can be spoken with, and is one that a mesh can run on. */
export const kubernetesChecks: readonly Check[] = [
  {
    id: 'k8s-client',
    category: 'kubernetes-api',
    stage: 'always',
    description: 'can initialize the client',
    fatal: true,
    run: async (facts) => {
      await facts.cluster();
      return ok;
    },
  },
  {
    id: 'k8s-api',
    category: 'kubernetes-api',
    stage: 'always',
    description: 'can query the Kubernetes API',
    fatal: true,
    waits: true,
    run: async (facts) => {
      await version(facts);
      return ok;
    },
  },
  {
    id: 'k8s-credentials',
    category: 'kubernetes-api',
    stage: 'always',
    description: 'the Kubernetes API accepts the credentials',
    fatal: true,
    run: async (facts) => {
      await facts.clock();
      return ok;
    },
  },
  {
    id: 'clock-local',
    category: 'kubernetes-api',
    stage: 'always',
    description: 'the clock of this machine agrees with that of the API server',
    run: async (facts) => clockVerdict("the API server's clock", await facts.clock(), LOCAL_TOLERANCE_MS),
  },
  {
    id: 'clock-nodes',
    category: 'kubernetes-api',
    stage: 'always',
    description: 'the clocks of the nodes agree with that of the API server',
    run: nodeClocks,
  },
  {
    id: 'k8s-version',
    category: 'kubernetes-version',
    stage: 'always',
    description: 'is running the minimum Kubernetes API version',
    run: async (facts) => {
      const { major, minor, gitVersion } = await version(facts);
      return isRecent(`v${major}.${minor}`)
        ? ok
        : error(`the API server is ${gitVersion}; the mesh needs 1.${MINIMUM_MINOR} or later`);
    },
  },
  {
    id: 'k8s-kubelets',
    category: 'kubernetes-version',
    stage: 'always',
    description: 'nodes are running the minimum Kubernetes version',
    run: async (facts) => {
      const old = (await facts.nodes()).filter((node) => !isRecent(kubeletOf(node)));
      const names = old.map((node) => `${node.metadata?.name}: kubelet ${kubeletOf(node)}`);
      return none('error', `native sidecars need 1.${MINIMUM_MINOR} or later`, names);
    },
  },
];

interface VersionInfo {
  major: string;
  minor: string;
  gitVersion: string;
}

async function version(facts: Facts): Promise<VersionInfo> {
  return (await facts.client()).raw<VersionInfo>('GET', '/version');
}

function kubeletOf({ status }: Node): string {
  return status?.nodeInfo?.kubeletVersion ?? '';
}

/** A node that has not told its version yet is none to judge. */
function isRecent(text: string): boolean {
  const [, major, minor] = /^v(\d+)\.(\d+)/.exec(text) ?? [];
  if (major === undefined || minor === undefined) return true;
  return Number(major) > 1 || Number(minor) >= MINIMUM_MINOR;
}

/** A kubelet writes its own time into its Lease: one that lies in the future, or far back on a node that is ready, is of a clock that is wrong. */
async function nodeClocks(facts: Facts): Promise<Verdict> {
  const client = await facts.client();
  const nodes = await facts.nodes();
  const { aheadMs, uncertaintyMs } = await facts.clock();
  const { items } = await client.list(resources.leases, { namespace: NODE_LEASES });
  const now = facts.options.now() + aheadMs;
  const ready = new Set(nodes.filter(isReady).map(({ metadata }) => metadata?.name));
  const wrong = items
    .filter(({ metadata }) => ready.has(metadata?.name))
    .flatMap((lease) => {
      const away = renewedAt(lease) - now;
      const isWrong = away > uncertaintyMs + FUTURE_MS || away < -(LEASE_TOLERANCE_MS + uncertaintyMs);
      const seconds = Math.round(Math.abs(away) / 1000);
      return isWrong ? [`${lease.metadata?.name}: ${seconds} s ${away > 0 ? 'ahead' : 'behind'}`] : [];
    });
  return wrong.length === 0
    ? ok
    : warning(
        `certificates and tokens of pods there may be refused; set the clocks by NTP: ${wrong.join(', ')}`,
      );
}

/** Lease times are exact to a microsecond: what lies in the future by more than the reading's own error and this is no rounding. */
const FUTURE_MS = 2_000;

function renewedAt({ spec }: Lease): number {
  return Date.parse(spec?.renewTime ?? '');
}

function isReady({ status }: Node): boolean {
  return status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') === true;
}
