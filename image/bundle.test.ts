/** The bundle as the image holds it, in two embedded clusters instead of containers. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as yaml from 'js-yaml';
import type { KubernetesObject } from '../api/kubernetes-types.ts';
import { EXAMPLE_IMAGE, IMAGE } from '../api/names.ts';
import type { ClusterAccess } from '../cli/cluster-access.ts';
import { clientStats } from '../cli/demo/observe.ts';
import { applyObjects } from '../cli/install/apply.ts';
import { createClient } from '../kubernetes/client.ts';
import { linkCredentials } from '../kubernetes/credentials.ts';
import { eventually, isthmus } from '../test/cluster/harness.ts';
import { freshAddress } from '../test/testing/addresses.ts';
import { bundle } from './bundle.ts';
import { DATA_PLANE_FLAGS, folder, NODE_FLAGS, NODE_VARIABLE, startOf } from './layout.ts';
import { rehearse } from './rehearsal/rehearse.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

suite('the bundle', () => {
  const cleanups: (() => Promise<void> | void)[] = [];
  let dir = '';
  let files: string[] = [];

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'isthmus-bundle-'));
    cleanups.push(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }));
    files = await bundle(join(dir, 'dist'));
  });
  after(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  });

  const entrypoint = (): string => join(dir, 'dist', folder.parts, 'entrypoint.js');

  test('each part is one file that asks for nothing outside of the bundle', () => {
    assert.deepEqual(files.toSorted(), [
      'await.mjs',
      'control-plane.mjs',
      'entrypoint.js',
      'gateway.cjs',
      'link-worker.mjs',
      'mirror-controller.mjs',
      'proxy.cjs',
      'redirect.mjs',
    ]);
    for (const file of files) {
      const text = readFileSync(join(dir, 'dist', folder.parts, file), 'utf8');
      assert.doesNotMatch(text, /new URL\("[^"]+\.ts"/, `${file} names a source file`);
    }
    assert.deepEqual(readdirSync(join(dir, 'dist', folder.parts, 'node_modules')).toSorted(), [
      '@koromix',
      'koffi',
    ]);
  });

  test('what starts with every pod carries no runtime of protobuf and no library for logs', () => {
    const text = (file: string): string => readFileSync(join(dir, 'dist', folder.parts, file), 'utf8');
    // What protobuf-es says of bytes that are no message.
    const runtime = /illegal tag/;
    for (const file of ['proxy.cjs', 'gateway.cjs']) assert.doesNotMatch(text(file), runtime, file);
    for (const file of ['proxy.cjs', 'gateway.cjs']) assert.doesNotMatch(text(file), /sonic-boom/, file);
    assert.match(text('control-plane.mjs'), runtime);
  });

  test('packages with machine code load from beside the scripts that require them', () => {
    const script = join(dir, 'dist', folder.parts, 'proxy.cjs');
    const program = `const koffi = require('node:module').createRequire(${JSON.stringify(script)})('koffi');
      process.exit(koffi.load(null).func('int getpid()')() === process.pid ? 0 : 1);`;
    const done = spawnSync(process.execPath, ['--eval', program], { encoding: 'utf8' });
    assert.equal(done.status, 0, done.stderr);
  });

  test('an unknown part is answered with those that there are', () => {
    const done = spawnSync(process.execPath, [entrypoint(), 'nonsense'], { encoding: 'utf8' });
    assert.equal(done.status, 64);
    assert.match(done.stderr, /control-plane\|mirror-controller\|proxy\|gateway\|redirect/);
  });

  test('the script that starts parts hands on arguments and exit code', () => {
    const env = { PATH: `${dirname(process.execPath)}:${process.env['PATH']}` };
    const start = startOf(join(dir, 'dist'));
    const done = spawnSync(start, ['nonsense'], { encoding: 'utf8', env });
    assert.equal(done.status, 64, done.stderr);
    assert.match(done.stderr, /^usage: /);
  });

  test('parts, and their rehearsal, are started with the same flags everywhere', () => {
    const flags = NODE_FLAGS.join(' ');
    for (const file of ['image/start.sh', 'Dockerfile'])
      assert.ok(readFileSync(join(root, file), 'utf8').includes(flags), file);
  });

  test('only what believes the anchors of the mesh alone is started without public authorities', () => {
    const bin = join(dir, 'bin');
    mkdirSync(bin);
    writeFileSync(join(bin, 'node'), '#!/bin/sh\necho "$@"', { mode: 0o755 });
    const start = startOf(join(dir, 'dist'));
    const command = (part: string): string =>
      spawnSync(start, [part, 'more'], { encoding: 'utf8', env: { PATH: `${bin}:${process.env['PATH']}` } })
        .stdout;
    for (const part of ['proxy', 'gateway'])
      assert.match(
        command(part),
        new RegExp(`${DATA_PLANE_FLAGS.join(' ')} .*entrypoint.js ${part} more\n$`),
      );
    for (const part of ['control-plane', 'mirror-controller']) assert.doesNotMatch(command(part), /openssl/);
  });

  test('a signal opens no debugger in a part', () => {
    const caught =
      "/^SigCgt:\\t(\\w+)/m.exec(require('node:fs').readFileSync('/proc/self/status', 'utf8'))[1]";
    const mask = (...flags: string[]): bigint =>
      BigInt(
        `0x${execFileSync(process.execPath, [...flags, '--print', caught], { encoding: 'utf8' }).trim()}`,
      );
    const ofUser1 = 1n << BigInt(constants.signals.SIGUSR1 - 1);
    assert.notEqual(mask() & ofUser1, 0n, 'the runtime has its debugger there unless told otherwise');
    assert.equal(mask(...NODE_FLAGS) & ofUser1, 0n);
  });

  test('a rehearsal keeps what V8 has compiled of a part by its end', async () => {
    // Of the two the one that takes less time.
    await rehearse(entrypoint(), 'gateway', freshAddress());
    const { size } = statSync(join(dir, 'dist', folder.parts, 'gateway.cjs.compiled'));
    assert.ok(size > 100_000, `${size} bytes are no functions`);
  });

  test('two clusters of bundled parts: installed, linked, and a request crosses', async () => {
    const kubeconfigs = await Promise.all([startCluster('east'), startCluster('west')]);
    const env = { KUBECONFIG: kubeconfigs.join(':') };
    const trust = join(dir, 'trust');
    await command(['trust', 'create', '--out', trust], env);
    const install = (name: string): Promise<void> =>
      command(['install', '--context', name, '--cluster-name', name, '--trust', trust], env);
    await Promise.all([install('east'), install('west')]);
    const [east = never(), west = never()] = kubeconfigs.map(access);
    await apply(west, 'web.yaml');
    await apply(east, 'client.yaml');
    // Waits until the link works: for that control planes, gateways, mirror controllers and their worker threads run.
    await command(['link', '--context', 'east', '--to', 'west'], env);
    await eventually('a request that crosses', async () => {
      const stats = await clientStats({ name: 'east', access: east, pid: 0 });
      return stats !== undefined && stats.requests > stats.failures;
    });
  });

  /** An embedded cluster that runs the bundle. Answers the path of its kubeconfig. */
  async function startCluster(name: string): Promise<string> {
    const dataDir = join(dir, name);
    mkdirSync(dataDir);
    const config = join(dir, `${name}.json`);
    const images = {
      [IMAGE]: { command: [startOf(join(dir, 'dist'))], env: { [NODE_VARIABLE]: process.execPath } },
      [EXAMPLE_IMAGE]: { command: [process.execPath, join(dir, 'dist', folder.example, 'main.js')] },
    };
    writeFileSync(config, JSON.stringify({ name, dataDir, images, exitWithStdin: true }));
    const child = spawn(process.execPath, [join(root, 'embedded-cluster/main.ts'), '--config', config], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    cleanups.push(async () => {
      const exited = once(child, 'exit');
      child.stdin.end();
      await exited;
    });
    let output = '';
    for await (const chunk of child.stdout) {
      output += String(chunk);
      if (output.includes('\n')) break;
    }
    return (JSON.parse(output) as { kubeconfig: string }).kubeconfig;
  }

  function access(kubeconfig: string): ClusterAccess {
    const config = linkCredentials(readFileSync(kubeconfig, 'utf8'));
    const client = createClient(config, { userAgent: 'isthmus-test' });
    cleanups.push(() => client.close());
    return { context: '', config, client };
  }
});

async function apply({ client }: ClusterAccess, example: string): Promise<void> {
  const objects = yaml.loadAll(readFileSync(join(root, 'examples', example), 'utf8'));
  await applyObjects(client, objects as KubernetesObject[]);
}

async function command(args: readonly string[], env: Record<string, string>): Promise<void> {
  const { code, stdout, stderr } = await isthmus(args, env);
  assert.equal(code, 0, `isthmus ${args.join(' ')}: ${stderr}${stdout}`);
}

function never(): never {
  throw new Error('a cluster is missing');
}
