/**
 * What `npm test` runs: lint, type check and format check side by side, then every `*.test.ts` by Node's test runner.
 */
import { spawn, spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readCommandLine } from './testing/command-line.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
/**
 * Every test file is a process of its own, and many start others: each module is stripped and compiled once for all of
 * them. The folder is the one that the command uses, too.
 */
const compileCache = fileURLToPath(new URL('../node_modules/.cache/isthmus', import.meta.url));

interface Check {
  name: string;
  command: string[];
}

const CHECKS: Check[] = [
  {
    name: 'lint and import cycles',
    command: ['node_modules/.bin/oxlint', '--type-aware', '--deny-warnings'],
  },
  { name: 'types', command: ['node_modules/.bin/tsc', '--noEmit'] },
  { name: 'format', command: ['node_modules/.bin/oxfmt', '--check'] },
];

/**
 * Commands of their own: `test/netns` changes the machine's network namespaces and needs root, `test/kind` needs Docker
 * and kind, `test/processes` puts the parts as processes under load for half a minute, `test/interop` builds other
 * people's programs.
 */
const LEFT_OUT = ['node_modules', 'test/netns', 'test/kind', 'test/processes', 'test/interop'];
/** A file that takes longer hangs: the slowest, two clusters that are killed and come back, takes about a minute and a half. */
const TIMEOUT_MS = 300_000;
/** Test files side by side. Many wait for processes and timers of their own, so that two keep two cores busy. */
const CONCURRENCY = 2;

const USAGE = `usage: npm test -- [options] [path ...]
  --tests-only  without lint, type check and format check
  path          of a test file: these alone. Default: every *.test.ts
`;

const { values, positionals } = readCommandLine(USAGE, {
  'tests-only': { type: 'boolean', default: false },
});
const checksPassed = values['tests-only'] || (await runChecks());
const testsPassed = runTests(positionals);
process.exitCode = checksPassed && testsPassed ? 0 : 1;

async function runChecks(): Promise<boolean> {
  const results = await Promise.all(CHECKS.map(runCheck));
  return results.every(Boolean);
}

/** A check is silent when it passes. */
function runCheck({ name, command }: Check): Promise<boolean> {
  return new Promise((resolve) => {
    const [program = '', ...args] = command;
    const started = performance.now();
    const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (chunk: string) => (text += chunk));
    }
    child.on('error', (error) => (text += error.message));
    child.on('close', (code) => {
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      process.stdout.write(`${code === 0 ? '√' : '×'} ${name} (${seconds} s)\n${code === 0 ? '' : text}`);
      resolve(code === 0);
    });
  });
}

function runTests(only: readonly string[]): boolean {
  const files =
    only.length > 0
      ? [...only]
      : globSync('**/*.test.ts', {
          cwd: root,
          exclude: (path) => LEFT_OUT.some((part) => path.startsWith(part)),
        });
  const run = spawnSync(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      '--import',
      new URL('property-seed.ts', import.meta.url).href,
      '--test',
      `--test-concurrency=${CONCURRENCY}`,
      `--test-timeout=${TIMEOUT_MS}`,
      ...['spec', new URL('slowest-files.ts', import.meta.url).href].flatMap((reporter) => [
        `--test-reporter=${reporter}`,
        '--test-reporter-destination=stdout',
      ]),
      ...files.toSorted(),
    ],
    { cwd: root, stdio: 'inherit', env: { NODE_COMPILE_CACHE: compileCache, ...process.env } },
  );
  return run.status === 0;
}
