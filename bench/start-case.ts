import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { env as variable, port } from '../api/names.ts';
import { bundle, folder as bundled } from '../image/bundle.ts';
import { rehearse } from '../image/rehearsal/rehearse.ts';
import { freshAddress } from '../test/testing/addresses.ts';
import { FakeControlPlane } from '../workload-identity/testing/fake-control-plane.ts';
import { makeAnchor, makeIssuer, workload } from '../workload-identity/testing/test-ca.ts';
import { median } from './measure.ts';
import type { Stage } from './stage.ts';

const STARTS = 7;
const LOOK_MS = 2;
/** ms for one start. */
const GIVE_UP_MS = 10_000;

/** Time from the start of the bundled sidecar to its readiness: it has a certificate then, and listens. */
export async function startCase(stage: Stage): Promise<void> {
  const { folder, report } = stage;
  const dist = join(folder, 'dist');
  await bundle(dist);
  const entrypoint = join(dist, bundled.parts, 'entrypoint.js');
  const cache = join(folder, 'compile-cache');
  // As the image is made: without settings the sidecar ends as soon as it is loaded.
  spawnSync(process.execPath, [entrypoint, 'proxy'], { env: { NODE_COMPILE_CACHE: cache } });
  await rehearse(entrypoint, 'proxy', freshAddress());
  const anchor = await makeAnchor();
  const anchorsFile = join(folder, 'start-ca.crt');
  const tokenFile = join(folder, 'start-token');
  writeFileSync(anchorsFile, anchor.pem);
  writeFileSync(tokenFile, 'token');
  const controlPlane = new FakeControlPlane(await makeIssuer(anchor, 'east'), workload('web'));
  await controlPlane.start([anchor]);
  const times: number[] = [];
  for (let i = 0; i < STARTS; i++) {
    times.push(await oneStart(stage, entrypoint, cache, controlPlane.address, anchorsFile, tokenFile));
  }
  await controlPlane.stop();
  report.add('start to ready', {
    unit: 'ms',
    values: new Map([['isthmus', median(times)]]),
    goals: [{ key: 'start-to-ready', against: [], most: 150 }],
  });
}

async function oneStart(
  { processes }: Stage,
  entrypoint: string,
  cache: string,
  controlPlane: string,
  anchorsFile: string,
  tokenFile: string,
): Promise<number> {
  const ip = freshAddress();
  const { namespace, serviceAccount } = workload('web');
  const env = {
    POD_NAME: 'web-1',
    POD_NAMESPACE: namespace,
    POD_IP: ip,
    SERVICE_ACCOUNT: serviceAccount,
    [variable.clusterName]: 'east',
    [variable.identityAddress]: controlPlane,
    [variable.destinationAddress]: controlPlane,
    [variable.policyAddress]: controlPlane,
    [variable.trustAnchorsFile]: anchorsFile,
    [variable.identityTokenFile]: tokenFile,
    [variable.logLevel]: 'error',
    NODE_COMPILE_CACHE: cache,
  };
  const begun = performance.now();
  const child = processes.startNode('proxy', entrypoint, ['proxy'], [], env);
  while (!(await isReady(ip))) {
    if (performance.now() - begun > GIVE_UP_MS || child.exitCode !== null)
      throw new Error('the bundled sidecar does not become ready');
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  const took = performance.now() - begun;
  child.kill('SIGKILL');
  await once(child, 'exit');
  return took;
}

function isReady(host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request({ host, port: port.admin, path: '/ready', agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    asked.once('error', () => resolve(false));
    asked.end();
  });
}
