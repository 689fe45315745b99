/**
 * `npm run test:api-server`: what holds for every Kubernetes API server, asked of the one of `$KUBECONFIG` (a cluster-admin's, current context). Everything is made in
 * namespaces of its own and removed. `CONTRACT_RESTART` and `CONTRACT_COMPACT`, shell commands that restart the server and compact its store, add the scenarios that need them.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const SUITES = ['test/contract/contract.test.ts'];
/** A real API server takes its time over restarts. */
const TEST_TIMEOUT_MS = 300_000;

const kubeconfig = process.env['KUBECONFIG'] ?? '';
const problem = problemOf(kubeconfig);
if (problem === undefined) {
  const { status } = spawnSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', '--test', `--test-timeout=${TEST_TIMEOUT_MS}`, ...SUITES],
    { cwd: root, stdio: 'inherit', env: { ...process.env, CONTRACT_KUBECONFIG: kubeconfig } },
  );
  process.exitCode = status ?? 1;
} else {
  process.stderr.write(`test:api-server: ${problem}\n`);
  process.exitCode = 2;
}

function problemOf(path: string): string | undefined {
  if (path === '')
    return 'KUBECONFIG is not set: name the kubeconfig of a cluster-admin of the API server to test';
  if (path.includes(':'))
    return `KUBECONFIG names several files (${path}): name the one of the API server to test`;
  return existsSync(path) ? undefined : `the kubeconfig ${path} is not there`;
}
