import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import type { Pod } from '../../api/kubernetes-types.ts';
import { suiteCleaner, temporaryFolder } from '../../test/testing/cleaner.ts';
import type { EmbeddedCluster } from '../index.ts';
import { isPodReady, lines, pod, runningCluster, until } from '../testing/running-cluster.ts';

/** A script that says what happens to it in the file $LOG, and lives until SIGTERM. */
function living(name: string): string {
  return `trap 'echo ${name} term >> $LOG; exit 0' TERM; echo ${name} up >> $LOG; while :; do sleep 0.05; done`;
}

await describe('pods as processes', async () => {
  const cleaner = suiteCleaner();
  let dir = '';
  let cluster: EmbeddedCluster;

  before(async () => {
    dir = await temporaryFolder(cleaner);
    cluster = await runningCluster(cleaner, join(dir, 'data'));
  });

  const log = (name: string): { path: string; read: () => string[] } => {
    const path = join(dir, `${name}.log`);
    return { path, read: () => (existsSync(path) ? lines(readFileSync(path, 'utf8')) : []) };
  };
  const statusOf = (name: string): NonNullable<Pod['status']> =>
    (cluster.loopback.get('pods', 'default', name) as Pod | undefined)?.status ?? {};

  await it('starts init containers and sidecars in order and ends them in reverse', async () => {
    const { path, read } = log('order');
    const env = [{ name: 'LOG', value: path }];
    await cluster.loopback.create(
      'pods',
      pod('order', {
        initContainers: [
          { name: 'first', image: 'sh', args: ['echo first >> $LOG'], env },
          {
            name: 'side',
            image: 'sh',
            args: [living('side')],
            env,
            restartPolicy: 'Always',
            startupProbe: { exec: { command: ['grep', '-q', 'side up', path] }, periodSeconds: 1 },
          },
          { name: 'other', image: 'sh', args: [living('other')], env, restartPolicy: 'Always' },
          { name: 'last', image: 'sh', args: ['echo last >> $LOG'], env },
        ],
        containers: [
          {
            name: 'main',
            image: 'sh',
            args: [living('main')],
            env,
            // Told by the status, which is watched: the file would be looked at too early, and never again.
            readinessProbe: { exec: { command: ['grep', '-q', 'main up', path] }, periodSeconds: 1 },
            lifecycle: { preStop: { exec: { command: ['sh', '-c', 'echo main preStop >> $LOG'] } } },
          },
        ],
      }),
    );
    await until(cluster.loopback, 'pods', 'order', isPodReady);
    const { initContainerStatuses = [] } = statusOf('order');
    assert.deepEqual(
      initContainerStatuses.map((c) => [c.name, c.ready, c.started]),
      [
        ['first', true, false],
        ['side', true, true],
        ['other', true, true],
        ['last', true, false],
      ],
    );
    await cluster.loopback.delete('pods', 'default', 'order');
    await until(cluster.loopback, 'pods', 'order', (object) => object === undefined);
    const said = read();
    assert.deepEqual(said.slice(0, 2), ['first', 'side up'], 'a sidecar holds up what comes after it');
    assert.ok(said.indexOf('last') < said.indexOf('main up'));
    assert.deepEqual(said.slice(-4), ['main preStop', 'main term', 'other term', 'side term']);
  });

  await it('restarts a container that fails: at once, then after a back-off', async () => {
    await cluster.loopback.create(
      'pods',
      pod('crash', {
        containers: [
          {
            name: 'main',
            image: 'sh',
            args: ['echo no luck; exit 3'],
            terminationMessagePolicy: 'FallbackToLogsOnError',
          },
        ],
      }),
    );
    await until(
      cluster.loopback,
      'pods',
      'crash',
      (object) =>
        (object as Pod | undefined)?.status?.containerStatuses?.[0]?.state?.waiting?.reason ===
        'CrashLoopBackOff',
    );
    const [container] = statusOf('crash').containerStatuses ?? [];
    assert.equal(container?.restartCount, 1);
    assert.equal(container.lastState?.terminated?.exitCode, 3);
    assert.match(container.lastState.terminated.message ?? '', /no luck/);
    assert.match(
      container.state?.waiting?.message ?? '',
      /^back-off 10s restarting failed container=main pod=crash_default\(/,
    );
    assert.equal(statusOf('crash').phase, 'Running');
  });

  await it('kills the whole process group when the grace is over', async () => {
    const { path, read } = log('stubborn');
    await cluster.loopback.create(
      'pods',
      pod('stubborn', {
        terminationGracePeriodSeconds: 1,
        containers: [
          {
            name: 'main',
            image: 'sh',
            args: [
              "trap '' TERM; sleep 300 & echo $! >> $LOG; echo up >> $LOG; while :; do sleep 0.05; done",
            ],
            env: [{ name: 'LOG', value: path }],
            readinessProbe: { exec: { command: ['grep', '-q', 'up', path] }, periodSeconds: 1 },
          },
        ],
      }),
    );
    await until(cluster.loopback, 'pods', 'stubborn', isPodReady);
    const child = Number(read()[0]);
    assert.ok(existsSync(`/proc/${child}`));
    await cluster.loopback.delete('pods', 'default', 'stubborn');
    await until(cluster.loopback, 'pods', 'stubborn', (object) => object === undefined);
    const stat = existsSync(`/proc/${child}/stat`) ? readFileSync(`/proc/${child}/stat`, 'utf8') : 'Z';
    assert.match(stat, /Z/, 'the child that ignored SIGTERM is gone, or waits to be reaped');
  });

  await it('ends a pod that is not to be restarted as Succeeded or Failed', async () => {
    for (const [name, code, phase] of [
      ['good', 0, 'Succeeded'],
      ['bad', 7, 'Failed'],
    ] as const) {
      await cluster.loopback.create(
        'pods',
        pod(name, {
          restartPolicy: 'Never',
          containers: [{ name: 'main', image: 'sh', args: [`exit ${code}`] }],
        }),
      );
      await until(
        cluster.loopback,
        'pods',
        name,
        (object) => (object as Pod | undefined)?.status?.phase === phase,
      );
      assert.equal(statusOf(name).containerStatuses?.[0]?.state?.terminated?.exitCode, code);
    }
  });

  await it('says of an image that it does not know what a kubelet says', async () => {
    await cluster.loopback.create(
      'pods',
      pod('stranger', { containers: [{ name: 'main', image: 'who:1' }] }),
    );
    await until(
      cluster.loopback,
      'pods',
      'stranger',
      (object) =>
        (object as Pod | undefined)?.status?.containerStatuses?.[0]?.state?.waiting?.reason ===
        'ErrImagePull',
    );
    assert.equal(statusOf('stranger').phase, 'Pending');
  });

  await it('restarts a container whose liveness probe fails', async () => {
    await cluster.loopback.create(
      'pods',
      pod('sick', {
        terminationGracePeriodSeconds: 1,
        containers: [
          {
            name: 'main',
            image: 'sh',
            args: ['exec sleep 300'],
            livenessProbe: { exec: { command: ['false'] }, periodSeconds: 1, failureThreshold: 1 },
          },
        ],
      }),
    );
    await until(
      cluster.loopback,
      'pods',
      'sick',
      (object) => ((object as Pod | undefined)?.status?.containerStatuses?.[0]?.restartCount ?? 0) >= 1,
    );
    assert.equal(statusOf('sick').containerStatuses?.[0]?.lastState?.terminated?.exitCode, 143);
  });

  await it('hands environment, arguments and volumes to the process, and brings volumes up to date in place', async () => {
    const { path, read } = log('volumes');
    await cluster.loopback.create('configmaps', {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'settings', namespace: 'default' },
      data: { colour: 'blue' },
    } as Pod);
    const script = `
      const fs = require('fs');
      const file = process.argv[1];
      const say = (text) => fs.appendFileSync(process.env.LOG, text + '\\n');
      say([process.env.COLOUR, process.env.GREETING, process.env.POD, process.env.POD_IP === undefined].join(' '));
      say(fs.readFileSync(file, 'utf8'));
      say(String(fs.existsSync(process.env.ISTHMUS_VOLUME_ROOT + '/var/run/secrets/kubernetes.io/serviceaccount/token')));
      fs.watch(require('path').dirname(file), () => {
        if (fs.readFileSync(file, 'utf8') !== 'blue') { say(fs.readFileSync(file, 'utf8')); process.exit(0); }
      });`;
    await cluster.loopback.create(
      'pods',
      pod('volumes', {
        restartPolicy: 'Never',
        containers: [
          {
            name: 'main',
            image: 'node',
            args: [script, '/etc/settings/colour'],
            env: [
              { name: 'LOG', value: path },
              { name: 'COLOUR', valueFrom: { configMapKeyRef: { name: 'settings', key: 'colour' } } },
              { name: 'GREETING', value: 'like-$(COLOUR)' },
              { name: 'POD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
            ],
            volumeMounts: [{ name: 'settings', mountPath: '/etc/settings' }],
            readinessProbe: { exec: { command: ['grep', '-q', 'true', path] }, periodSeconds: 1 },
          },
        ],
        volumes: [{ name: 'settings', configMap: { name: 'settings' } }],
      }),
    );
    await until(cluster.loopback, 'pods', 'volumes', isPodReady);
    await cluster.loopback.patch('configmaps', 'default', 'settings', { data: { colour: 'green' } });
    await until(
      cluster.loopback,
      'pods',
      'volumes',
      (object) => (object as Pod | undefined)?.status?.phase === 'Succeeded',
    );
    assert.deepEqual(read(), ['blue like-blue volumes true', 'blue', 'true', 'green']);
  });
});
