import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { VERSION } from '../api/names.ts';

const launcher = fileURLToPath(new URL('bin/isthmus.mjs', import.meta.url));

function isthmus(args: string[], env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [launcher, ...args], {
    encoding: 'utf8',
    env: { ...process.env, KUBECONFIG: '', HOME: '/nonexistent', ...env },
  });
  return { status, stdout, stderr };
}

function kubeconfig(t: TestContext, content: string): string {
  const dir = mkdtempSync(join(tmpdir(), 'isthmus-test-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const file = join(dir, 'config');
  writeFileSync(file, content);
  return file;
}

test('who has no home is told where things are looked for, and not the folder that one is in', () => {
  const { status, stdout } = isthmus(['check'], { HOME: '' });
  assert.equal(status, 1);
  assert.match(stdout, /no kubeconfig at \/\.kube\/config$/m);
});

test('the version of the client needs no cluster', () => {
  assert.deepEqual(isthmus(['version', '--client', '-o', 'json']), {
    status: 0,
    stdout: `{"client":"${VERSION}"}\n`,
    stderr: '',
  });
});

test("an unknown command is the user's mistake: exit code 1, no stack", () => {
  const { status, stderr } = isthmus(['instal']);
  assert.equal(status, 1);
  assert.match(stderr, /error: .*\n/);
  assert.doesNotMatch(stderr, /\n\s+at /);
});

test('a context may have the name of a command', () => {
  const { status, stderr } = isthmus([
    '--context',
    'check',
    'gateways',
    '--kubeconfig',
    '/nonexistent/config',
  ]);
  assert.equal(status, 1);
  assert.match(stderr, /kubeconfig \/nonexistent\/config cannot be read/);
});

test('what is missing is looked up in the help of its command', () => {
  for (const [args, help] of [
    [['link'], 'isthmus link --help'],
    [['cluster', 'create'], 'isthmus cluster --help'],
    [['constructor'], 'isthmus --help'],
  ] as const) {
    const { status, stderr } = isthmus([...args]);
    assert.equal(status, 1);
    assert.ok(stderr.endsWith(`See \`${help}\`.\n`), stderr);
  }
});

test("a flag without its value is the user's mistake, and begins nothing", () => {
  for (const flag of ['--for', '--data-dir']) {
    const { status, stdout, stderr } = isthmus(['demo', flag]);
    assert.equal(status, 1);
    assert.match(stderr, new RegExp(`^error: Not enough arguments following: ${flag.slice(2)}\\n`));
    assert.doesNotMatch(stderr, /\n\s+at /);
    assert.equal(stdout, '');
  }
});

test('a command of a group is asked for', () => {
  const { status, stderr } = isthmus(['trust']);
  assert.equal(status, 1);
  assert.match(stderr, /isthmus trust --help/);
});

test('a kubeconfig that is not there is named', () => {
  const { status, stderr } = isthmus(['gateways', '--kubeconfig', '/nonexistent/config']);
  assert.equal(status, 1);
  assert.match(stderr, /kubeconfig \/nonexistent\/config cannot be read/);
});

test('a kubeconfig that is no YAML is named', (t) => {
  const file = kubeconfig(t, '{ clusters: [');
  const { status, stderr } = isthmus(['gateways', '--kubeconfig', file]);
  assert.equal(status, 1);
  assert.ok(stderr.includes(file));
});

test('a context that is not there is answered with those that are', (t) => {
  const file = kubeconfig(
    t,
    'contexts: [{name: east, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]\nusers: [{name: u, user: {}}]\n',
  );
  const { status, stderr } = isthmus(['gateways', '--kubeconfig', file, '--context', 'nord']);
  assert.equal(status, 1);
  assert.match(stderr, /context "nord" is not in the kubeconfig\n\s+There are: east\./);
});

test('an API that nobody serves is said to be unreachable, with its address', (t) => {
  const file = kubeconfig(
    t,
    'current-context: east\ncontexts: [{name: east, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]\nusers: [{name: u, user: {token: t}}]\n',
  );
  const { status, stderr } = isthmus(['gateways', '--kubeconfig', file]);
  assert.equal(status, 1);
  assert.match(stderr, /the API of context "east" \(https:\/\/127\.0\.0\.1:1\) cannot be reached/);
});

test('an odd cluster name is refused before anything is made', () => {
  const { status, stderr } = isthmus(['cluster', 'create', 'East_1', '--data-dir', '/nonexistent/x']);
  assert.equal(status, 1);
  assert.match(stderr, /"East_1" is no cluster name/);
});

test('completion prints a script', () => {
  const { status, stdout } = isthmus(['completion']);
  assert.equal(status, 0);
  assert.match(stdout, /isthmus/);
});

/** A Node on the PATH that is too old to run the CLI itself, such as the distribution's. */
function olderNode(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((dir) => !dir.includes('node_modules'));
  return folders
    .map((dir) => join(dir, 'node'))
    .find((node) => {
      const { stdout } = spawnSync(node, ['--version'], { encoding: 'utf8' });
      return /^v(\d+)\./.exec(stdout ?? '')?.[1] !== undefined && Number(/^v(\d+)/.exec(stdout)?.[1]) < 26;
    });
}

const older = olderNode();
test(
  'started by an older Node it finds its own',
  { skip: older === undefined ? 'no older Node is on the PATH' : false },
  () => {
    const { status, stdout } = spawnSync(older ?? '', [launcher, 'version', '--client', '--short'], {
      encoding: 'utf8',
    });
    assert.equal(status, 0);
    assert.equal(stdout, `${VERSION}\n`);
  },
);
