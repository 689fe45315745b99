import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { applyRedirect, type Ran, type Run } from './apply.ts';
import { redirectConfig } from './config.ts';
import { redirectPlan } from './plan.ts';

const plan = redirectPlan(redirectConfig({}));
const OK: Ran = { code: 0, output: '' };
const ABSENT: Ran = { code: undefined, output: 'spawnSync nft ENOENT' };

function recorder(answer: (program: string, args: readonly string[]) => Ran): { run: Run; calls: string[] } {
  const calls: string[] = [];
  const run: Run = (program, args) => {
    calls.push([program, ...args].join(' '));
    return answer(program, args);
  };
  return { run, calls };
}

test('nftables is taken where it works, and nothing else is run', () => {
  const { run, calls } = recorder(() => OK);
  assert.equal(applyRedirect(plan, run, true), 'nftables');
  assert.deepEqual(calls, ['nft -f -']);
});

test('without nft iptables sets the rules of both families; jumps that are there are not doubled', () => {
  const inputs: string[] = [];
  const run: Run = (program, args, input) => {
    if (program === 'nft') return ABSENT;
    if (args.includes('-C')) return { code: args.includes('OUTPUT') ? 0 : 1, output: '' };
    inputs.push(`${program}\n${input}`);
    return OK;
  };
  assert.equal(applyRedirect(plan, run, true), 'iptables');
  assert.deepEqual(
    inputs.map((input) => input.split('\n')[0]),
    ['iptables-restore', 'ip6tables-restore'],
  );
  for (const input of inputs) {
    assert.match(input, /-A PREROUTING -j ISTHMUS_INBOUND/);
    assert.doesNotMatch(input, /-A OUTPUT/);
  }
});

test('a kernel without IPv6 gets no rules for it', () => {
  const { run, calls } = recorder((program) => (program === 'nft' ? ABSENT : OK));
  applyRedirect(plan, run, false);
  assert.ok(!calls.some((call) => call.startsWith('ip6')), calls.join('\n'));
});

test('the legacy tools are the last that are tried', () => {
  const { run } = recorder((program) =>
    program.includes('legacy') ? OK : { code: 1, output: 'Operation not supported' },
  );
  assert.equal(applyRedirect(plan, run, true), 'iptables-legacy');
});

test('when no tool works the error holds what each said, and what is needed', () => {
  const { run } = recorder((program) =>
    program === 'nft' ? ABSENT : { code: 4, output: 'Permission denied (you must be root)\n' },
  );
  assert.throws(
    () => applyRedirect(plan, run, true),
    /nftables: spawnSync nft ENOENT\n {2}iptables: Permission denied \(you must be root\)\n[^]*NET_ADMIN/,
  );
});

test('the process names what is wrong with its environment and ends with 64', () => {
  const main = fileURLToPath(new URL('main.ts', import.meta.url));
  const done = spawnSync(process.execPath, [main], {
    env: { ISTHMUS_REDIRECT_PROXY_UID: 'root' },
    encoding: 'utf8',
  });
  assert.equal(done.status, 64);
  assert.match(done.stderr, /ISTHMUS_REDIRECT_PROXY_UID is "root": it must be a user id above 0/);
});

test('without any tool the process says so and ends with 1', () => {
  const main = fileURLToPath(new URL('main.ts', import.meta.url));
  const env = { PATH: '', ISTHMUS_REDIRECT_PROXY_UID: '2102' };
  const done = spawnSync(process.execPath, [main], { env, encoding: 'utf8' });
  assert.equal(done.status, 1);
  assert.match(done.stderr, /could not be set/);
});

test('started by hand, outside of a pod, the process sets no rules', () => {
  const main = fileURLToPath(new URL('main.ts', import.meta.url));
  // Were the rules set all the same, no tool would be found to set them with.
  const done = spawnSync(process.execPath, [main], { env: { PATH: '' }, encoding: 'utf8' });
  assert.equal(done.status, 64);
  assert.match(done.stderr, /ISTHMUS_REDIRECT_PROXY_UID is not set: the injector sets it/);
});
