/**
 * `npm run test:kind`: the mesh on three kind clusters (`kind-clusters/`), with Docker, kind and kubectl. The clusters
 * stay for the next run; with `CI` set they are made anew and removed. `KIND_NODE_IMAGE` names the image of their
 * nodes. On a machine that cannot run kind it says so in one line and passes.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { interruptible } from '../../cli/interruption.ts';
import { standardOutput, step } from '../../cli/output.ts';
import { bringUp } from '../../kind-clusters/bring-up.ts';
import { CLUSTERS } from '../../kind-clusters/clusters.ts';
import { deleteCluster, requireTools } from '../../kind-clusters/kind.ts';
import { forgetTrust } from '../../kind-clusters/mesh.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** In order: what the failures leave behind must not meet the traffic. */
const FILES = [
  'test/kind/traffic.test.ts',
  'test/kind/injection.test.ts',
  'test/kind/failures.test.ts',
  'test/kind/unlink.test.ts',
];
/** A file; most of it is the time that nodes and pods take on a busy machine. */
const FILE_TIMEOUT_MS = 1_200_000;

const fresh = (process.env['CI'] ?? '') !== '';
const missing = await missingTool();
if (missing === undefined) process.exitCode = await interruptible(testOnKind);
else process.stdout.write(`skipped: test:kind (${missing})\n`);

async function missingTool(): Promise<string | undefined> {
  try {
    await requireTools();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

async function testOnKind(signal: AbortSignal): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-kind-'));
  // Not the person's: contexts that come and go are not to be found there.
  process.env['KUBECONFIG'] = join(folder, 'kubeconfig');
  try {
    if (fresh) await removeClusters();
    await bringUp({ clusters: CLUSTERS, output: standardOutput, signal });
    const flags = ['--test', '--test-concurrency=1', `--test-timeout=${FILE_TIMEOUT_MS}`];
    const run = spawnSync(process.execPath, [...flags, ...FILES], { cwd: root, stdio: 'inherit' });
    return run.status ?? 1;
  } finally {
    if (fresh) await removeClusters();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function removeClusters(): Promise<void> {
  for (const { name } of CLUSTERS)
    await step(standardOutput, `remove cluster ${name}`, () => deleteCluster(name));
  await forgetTrust();
}
