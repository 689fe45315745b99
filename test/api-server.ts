/**
 * `npm run test:api-server`: what holds for every Kubernetes API server, and the controllers' own suites, asked of an
 * embedded cluster and then of the server of `$KUBECONFIG` (a cluster-admin's, current context). Both must pass the
 * same number of tests, those that are listed apart (`contract/exceptions.ts`).
 *
 * | variable | meaning |
 * |---|---|
 * | `TEST_API_SERVER_IN_USE=yes` | test a server that has namespaces of others |
 * | `TEST_WEBHOOK_HOST` | address of this machine at which the server reaches webhooks; 127.0.0.1 by default, for a server in a container its network's gateway |
 * | `CONTRACT_RESTART`, `CONTRACT_COMPACT` | shell commands that restart the server and compact its store: they add the scenarios that need them |
 *
 * Everything is made in namespaces of its own and removed, CustomResourceDefinitions that were not there before too.
 * Endpoints' addresses are of 198.18.0.0/15 and never dialled.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openCluster } from '../cli/cluster-access.ts';
import type { KubernetesClient } from '../kubernetes/types.ts';
import { describeUse, leftOvers, removeMade, snapshot } from './testing/cluster-use.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const CONTRACT = ['test/contract/contract.test.ts'];
/** One at a time: what is cluster-wide in a mesh has one name. The installation first: our kinds are not there yet, and it takes them away. */
const CONTROLLERS = [
  'test/install/install.test.ts',
  'identity/certify.test.ts',
  'identity/trust.test.ts',
  'destination/services.test.ts',
  'destination/policy/optional-kind.test.ts',
  'destination/status/policy-reporter.test.ts',
  'injector/webhook-by-url.test.ts',
  'mirror-controller/link-sync.test.ts',
];
/** A real API server takes its time over restarts. */
const TEST_TIMEOUT_MS = 600_000;

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

const kubeconfig = process.env['KUBECONFIG'] ?? '';
const problem = problemOf(kubeconfig);
if (problem === undefined) process.exitCode = await testServer();
else refuse(problem);

function problemOf(path: string): string | undefined {
  if (path === '')
    return 'KUBECONFIG is not set: name the kubeconfig of a cluster-admin of the API server to test';
  if (path.includes(':'))
    return `KUBECONFIG names several files (${path}): name the one of the API server to test`;
  return existsSync(path) ? undefined : `the kubeconfig ${path} is not there`;
}

function refuse(why: string): void {
  process.stderr.write(`test:api-server: ${why}\n`);
  process.exitCode = 2;
}

/** Answers the exit code. */
async function testServer(): Promise<number> {
  const before = await withClient(snapshot);
  const use = describeUse(before);
  if (use !== undefined && process.env['TEST_API_SERVER_IN_USE'] !== 'yes') {
    refuse(`the cluster seems to be in use (${use}): TEST_API_SERVER_IN_USE=yes tests it nevertheless`);
    return 2;
  }
  const embedded = runSuites('');
  const real = runSuites(kubeconfig);
  const left = await withClient(async (client) => {
    await removeMade(client, before);
    return leftOvers(client, before);
  });
  tell('embedded', embedded);
  tell('real', real);
  const alike = embedded.passed === real.passed + real.skipped - embedded.skipped;
  if (!alike) process.stdout.write('the two kinds of server did not pass the same tests\n');
  if (left.length > 0) process.stdout.write(`left behind: ${left.join(', ')}\n`);
  return embedded.failed + real.failed === 0 && alike && left.length === 0 ? 0 : 1;
}

/** A connection of its own: while the suites run nobody would see that the server has closed it. */
async function withClient<T>(work: (client: KubernetesClient) => Promise<T>): Promise<T> {
  const { client } = await openCluster({ kubeconfig });
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

function tell(kind: string, { passed, failed, skipped }: Counts): void {
  process.stdout.write(`${kind} API server: ${passed} passed, ${failed} failed, ${skipped} skipped\n`);
}

/** Runs all suites against the server of a kubeconfig; '' is an embedded one. */
function runSuites(path: string): Counts {
  return [runTests(path, CONTRACT), runTests(path, CONTROLLERS)].reduce((sum, counts) => ({
    passed: sum.passed + counts.passed,
    failed: sum.failed + counts.failed,
    skipped: sum.skipped + counts.skipped,
  }));
}

function runTests(path: string, files: readonly string[]): Counts {
  const dir = mkdtempSync(join(tmpdir(), 'isthmus-api-server-'));
  try {
    const report = join(dir, 'report');
    const { status } = spawnSync(
      process.execPath,
      [
        '--disable-warning=ExperimentalWarning',
        '--import',
        new URL('property-seed.ts', import.meta.url).href,
        '--test',
        '--test-concurrency=1',
        `--test-timeout=${TEST_TIMEOUT_MS}`,
        '--test-reporter=spec',
        '--test-reporter-destination=stdout',
        '--test-reporter=tap',
        `--test-reporter-destination=${report}`,
        ...files,
      ],
      { cwd: root, stdio: 'inherit', env: { ...process.env, TEST_KUBECONFIG: path } },
    );
    return countsOf(readFileSync(report, 'utf8'), status === 0);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** The totals at the end of a TAP report. A run that failed without a failed test counts as one. */
function countsOf(report: string, succeeded: boolean): Counts {
  const total = (name: string): number =>
    Number(new RegExp(`^# ${name} (\\d+)$`, 'm').exec(report)?.[1] ?? '0');
  const failed = total('fail') + total('cancelled');
  return {
    passed: total('pass'),
    failed: succeeded ? failed : Math.max(failed, 1),
    skipped: total('skipped'),
  };
}
