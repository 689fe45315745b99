import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { after, before, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { env, port } from '../../api/names.ts';
import {
  startControlPlaneProcess,
  type ControlPlaneProcess,
} from '../../control-plane/testing/control-plane-process.ts';
import { service, slice } from '../../destination/testing/fixture.ts';
import { resources } from '../../kubernetes/resources.ts';
import { ask, metricSum } from '../../proxy/testing/mesh/http.ts';
import { freshAddress } from '../testing/addresses.ts';
import { becomes } from '../testing/eventually.ts';
import { startPodApp, type PodApp } from './apps.ts';
import { http1Load } from './load.ts';

const SOON = { limitMs: 20_000, everyMs: 50 };
const SERVICES = 10;
/** Each takes most of a second. */
const RESTARTS = 7;
/** Of these every third is killed at its first word, as a rule before it serves. The last is not. */
const THIRD = 3;
const FIRST_WORD = /./;
const SERVING = /"service":"policy".*"serving"/;
/** Of so many looks at the descriptors the least counts: one may meet a connection that is tried just then. */
const LOOKS = 10;

suite('a control plane that is killed and comes back, again and again', { timeout: 120_000 }, () => {
  let plane: ControlPlaneProcess;
  let current: ChildProcess;
  let sidecar: ChildProcess;
  let app: PodApp;
  const ip = freshAddress();
  const appIp = freshAddress();
  const nameOf = (i: number): string => `web-${i}.shop:80`;

  before(async () => {
    plane = await startControlPlaneProcess({ logLevel: 'info' });
    current = plane.child;
    await plane.logged(SERVING);
    app = await startPodApp(appIp);
    for (let i = 0; i < SERVICES; i++) {
      const name = `web-${i}`;
      const ports = [{ name: 'http', port: 80, targetPort: app.http1Port }];
      plane.api.put(resources.services, service(name, ports, { spec: { clusterIP: `10.0.1.${i}` } }));
      plane.api.put(resources.endpointSlices, slice(name, [{ ip: appIp }], { port: app.http1Port }));
    }
    sidecar = startSidecar();
    await becomes('the sidecar to be ready', isReady, SOON);
    for (let i = 0; i < SERVICES; i++) assert.equal((await ask(ip, `http://${nameOf(i)}/`)).status, 200);
  });
  after(async () => {
    for (const child of [sidecar, current]) await killed(child);
    app?.close();
    await plane?.cleanUp();
  });

  function startSidecar(): ChildProcess {
    const tokenFile = join(plane.dir, 'token-web');
    writeFileSync(tokenFile, 'token');
    return spawn(process.execPath, [fileURLToPath(new URL('../../proxy/main.ts', import.meta.url))], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: {
        [env.podName]: 'web',
        [env.podNamespace]: 'shop',
        [env.podIp]: ip,
        [env.nodeName]: 'node-1',
        [env.serviceAccount]: 'web',
        [env.clusterName]: 'east',
        [env.identityAddress]: `${plane.ip}:${port.identity}`,
        [env.destinationAddress]: `${plane.ip}:${port.destination}`,
        [env.policyAddress]: `${plane.ip}:${port.policy}`,
        [env.trustAnchorsFile]: plane.anchorsFile,
        [env.identityTokenFile]: tokenFile,
        [env.logLevel]: 'error',
      },
    });
  }

  const isReady = async (): Promise<boolean> => (await fetch(`http://${ip}:${port.admin}/ready`)).ok;
  const streams = (kind: 'live' | 'broken' | 'stale_seconds'): Promise<number> =>
    metricSum(ip, `control_streams_${kind}`);

  const openFds = (): Promise<number> => metricSum(ip, 'process_open_fds');
  /** With no control plane, no load and no idle connection to the app, so that one that is lost shows. */
  async function ownFds(): Promise<number> {
    app.closeIdle();
    let least = Infinity;
    for (let i = 0; i < LOOKS; i++) least = Math.min(least, await openFds());
    return least;
  }
  async function withoutControlPlane(): Promise<void> {
    await killed(current);
    await becomes('the sidecar to miss it', async () => (await streams('stale_seconds')) > 0, SOON);
  }

  /** Resolves when the new one has logged such a line. */
  async function restart(until: RegExp): Promise<void> {
    await killed(current);
    const child = plane.again();
    current = child;
    let seen = false;
    for await (const line of createInterface({ input: child.stdout })) {
      seen = until.test(line);
      if (seen) break;
    }
    assert.ok(seen, `the control plane ended before it logged ${until.source}`);
    // Whose output nobody reads must not stand still.
    child.stdout.resume();
  }

  test('no request fails, nothing is left of those before, and what is told of its absence is true', async () => {
    const live = await streams('live');
    const watches = plane.api.watchCount;
    assert.ok(live > SERVICES && watches > 0);
    await withoutControlPlane();
    const fds = await ownFds();

    let n = 0;
    const load = http1Load(() => ip, `http://${nameOf(0)}/`, 2, false, 2);
    const others = async (): Promise<void> => {
      const { status } = await ask(ip, `http://${nameOf(n++ % SERVICES)}/`);
      assert.equal(status, 200);
    };
    await load.more(10);
    for (let i = 1; i <= RESTARTS; i++) {
      const early = i % THIRD === 0;
      await restart(early ? FIRST_WORD : SERVING);
      if (early) await killed(current);
      await others();
    }
    await becomes('the sidecar to be told by the last', async () => (await streams('live')) === live, SOON);
    assert.deepEqual([await streams('broken'), await streams('stale_seconds')], [0, 0]);
    await plane.api.until(() => plane.api.watchCount === watches);

    await withoutControlPlane();
    assert.deepEqual([await streams('live'), await streams('broken')], [0, live]);
    await others();
    await load.stop();
    assert.deepEqual(load.counts.failed, []);
    await becomes(
      `the descriptors to be as few as before, ${fds}`,
      async () => (await ownFds()) <= fds,
      SOON,
    );
    await plane.api.until(() => plane.api.watchCount === 0);
  });
});

async function killed(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}
