import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test, type TestContext } from 'node:test';
import { port } from '../api/names.ts';
import { FakeControlPlane } from '../workload-identity/testing/fake-control-plane.ts';
import { makeAnchor, makeIssuer, workload } from '../workload-identity/testing/test-ca.ts';
import { freshAddress } from '../test/testing/addresses.ts';

/** At its end the process tells which it has loaded of Node's modules for HTTP, and for servers that processes share: each costs a start some ms. */
const TELL_LOADED =
  '--import=data:text/javascript,process.on("exit",()=>console.log("loaded:",process.moduleLoadList.filter(x=>/http|cluster|child_process|dgram/.test(x)).join()))';

function podEnv(dir: string, ip: string, controlPlane: string): NodeJS.ProcessEnv {
  return {
    POD_NAME: 'web-1',
    POD_NAMESPACE: 'shop',
    POD_IP: ip,
    SERVICE_ACCOUNT: 'web',
    ISTHMUS_CLUSTER_NAME: 'east',
    ISTHMUS_IDENTITY_ADDR: controlPlane,
    ISTHMUS_DESTINATION_ADDR: controlPlane,
    ISTHMUS_POLICY_ADDR: controlPlane,
    ISTHMUS_TRUST_ANCHORS_FILE: join(dir, 'ca.crt'),
    ISTHMUS_IDENTITY_TOKEN_FILE: join(dir, 'token'),
  };
}

function start(
  t: TestContext,
  part: string,
  env: NodeJS.ProcessEnv,
): { child: ChildProcess; output: () => string } {
  const main = fileURLToPath(new URL(`../${part}/main.ts`, import.meta.url));
  const child = spawn(process.execPath, [TELL_LOADED, main], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  t.after(() => child.kill('SIGKILL'));
  return { child, output: () => output };
}

async function untilLogged(child: ChildProcess, output: () => string, text: string): Promise<void> {
  while (!output().includes(text)) {
    assert.ok(child.stdout !== null && child.exitCode === null, output());
    await Promise.race([once(child.stdout, 'data'), once(child, 'close')]);
  }
}

test('a start that fails is told, and ends with 1: who started it tries again', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'isthmus-main-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(join(dir, 'ca.crt'), (await makeAnchor()).pem);
  writeFileSync(join(dir, 'token'), 'token');
  const ip = freshAddress();
  const other = createServer().listen(port.admin, ip);
  t.after(() => other.close());
  await once(other, 'listening');
  const { child, output } = start(t, 'proxy', podEnv(dir, ip, `${ip}:1`));
  const [code] = (await once(child, 'close')) as [number];
  assert.equal(code, 1);
  assert.match(output(), new RegExp(`cannot start.*${ip}:${port.admin}|${ip}:${port.admin}.*cannot start`));
});

for (const part of ['proxy', 'gateway']) {
  test(`${part}: a configuration that cannot be used ends with 64 and names the variables`, async (t) => {
    const { child, output } = start(t, part, { POD_IP: 'nonsense' });
    // Not its exit: what it has said may be read after that.
    const [code] = (await once(child, 'close')) as [number];
    assert.equal(code, 64);
    assert.match(output(), /POD_IP is "nonsense": it must be an IP address/);
    assert.match(output(), /POD_NAME is not set/);
  });

  test(`${part}: without a control plane it lives; one that comes certifies it, by HTTP of its own; it ends with 0 on SIGTERM`, async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'isthmus-main-'));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    const anchor = await makeAnchor();
    writeFileSync(join(dir, 'ca.crt'), anchor.pem);
    writeFileSync(join(dir, 'token'), 'token');
    const controlPlane = new FakeControlPlane(await makeIssuer(anchor, 'east'), workload('web'));
    // Its port, which nobody listens on at first.
    await controlPlane.start([anchor]);
    await controlPlane.stop();
    const ip = freshAddress();
    const { child, output } = start(t, part, podEnv(dir, ip, controlPlane.address));
    await untilLogged(child, output, `${part} started`);
    const get = async (path: string) => fetch(`http://${ip}:${port.admin}${path}`);
    assert.equal((await get('/live')).status, 200);
    const ready = await get('/ready');
    assert.equal(ready.status, 503);
    assert.match(await ready.text(), /not certified/);
    assert.match(await (await get('/metrics')).text(), /^proxy_build_info\{/m);
    await controlPlane.start([anchor]);
    t.after(() => controlPlane.stop());
    await controlPlane.until(() => controlPlane.acknowledgements.length === 1);
    child.kill('SIGTERM');
    const [code] = (await once(child, 'close')) as [number];
    assert.equal(code, 0, output());
    assert.match(output(), /^loaded: $/m);
  });
}
