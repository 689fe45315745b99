import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { FakeEndpoint } from '../../proxy/testing/mesh/fake-control-plane.ts';
import { startPodApp, type PodApp } from './apps.ts';
import { http1Load, http2Load, type Load } from './load.ts';
import { Parts, type Part } from './parts.ts';

const H1 = 'web.shop:80';
const H2 = 'rpc.shop:80';
const EXPORTED = 'web.shop.svc.cluster.local:80';
/** Answers that come in between the steps: enough that every connection has carried some. */
const BETWEEN = 60;

/** A pod with its app. */
interface Pod {
  readonly part: Part;
  readonly app: PodApp;
}

describe('a rolling restart under load loses nothing', () => {
  let parts: Parts;
  let pods: Pod[] = [];
  let client: Part;
  const apps: PodApp[] = [];

  before(async () => {
    parts = await Parts.create();
    pods = [await startServer('one'), await startServer('two')];
    client = await parts.start({ name: 'client', services: services() });
  });
  after(async () => {
    await parts.close();
    for (const app of apps) app.close();
  });

  async function startServer(name: string): Promise<Pod> {
    const part = await parts.start({ name });
    const app = await startPodApp(part.ip);
    apps.push(app);
    return { part, app };
  }

  function services(): Record<string, FakeEndpoint[]> {
    return {
      [H1]: pods.map(({ part, app }) => part.endpoint(app.http1Port)),
      [H2]: pods.map(({ part, app }) => part.endpoint(app.http2Port)),
    };
  }

  function tell(): void {
    for (const [authority, endpoints] of Object.entries(services())) client.tell(authority, endpoints);
  }

  async function finish(loads: readonly Load[]): Promise<void> {
    await Promise.all(loads.map((load) => load.stop()));
    for (const { counts } of loads) {
      assert.deepEqual(counts.failed.slice(0, 5), [], `${counts.failed.length} of ${counts.sent} failed`);
      assert.equal(counts.answered, counts.sent);
    }
  }

  const more = (loads: readonly Load[]): Promise<unknown> =>
    Promise.all(loads.map((load) => load.more(BETWEEN)));

  test('of the servers, one after the other: each is ended before anybody is told that it goes', async () => {
    const loads = [http1Load(() => client.ip, `http://${H1}/`, 4, true), http2Load(() => client.ip, H2, 2)];
    await more(loads);
    for (const old of pods) {
      pods = [...pods, await startServer('next')];
      tell();
      await more(loads);
      const ended = old.part.stop();
      pods = pods.filter((pod) => pod !== old);
      tell();
      assert.equal(await ended, 0);
      await more(loads);
    }
    await finish(loads);
  });

  test('of the apps, whose sidecars stay until everybody has been told', async () => {
    const loads = [http1Load(() => client.ip, `http://${H1}/`, 4, false), http2Load(() => client.ip, H2, 2)];
    await more(loads);
    for (const old of pods) {
      pods = [...pods, await startServer('next')];
      tell();
      await more(loads);
      old.app.leave();
      await more(loads);
      pods = pods.filter((pod) => pod !== old);
      tell();
      await more(loads);
      assert.equal(await old.part.stop(), 0);
    }
    await finish(loads);
  });

  test('of the client’s sidecar: connections are opened again where it says so', async () => {
    const old = client;
    const loads = [http1Load(() => client.ip, `http://${H1}/`, 4, false), http2Load(() => client.ip, H2, 2)];
    await more(loads);
    client = await parts.start({ name: 'client', services: services() });
    assert.equal(await old.stop(), 0);
    await more(loads);
    await finish(loads);
  });

  test('of the gateway', async () => {
    const startGateway = (): Promise<Part> =>
      parts.start({
        name: 'gateway',
        part: 'gateway',
        exports: [{ namespace: 'shop', name: 'web', ports: [80] }],
        services: { [EXPORTED]: services()[H1] ?? [] },
      });
    const old = await startGateway();
    const mirror = [old.mirrorOf(EXPORTED)];
    const foreign = await parts.start({ name: 'client', clusterId: 'west', services: { [H1]: mirror } });
    const loads = [http1Load(() => foreign.ip, `http://${H1}/`, 4, true)];
    await more(loads);
    const next = await startGateway();
    foreign.tell(H1, [...mirror, next.mirrorOf(EXPORTED)]);
    await more(loads);
    const ended = old.stop();
    foreign.tell(H1, [next.mirrorOf(EXPORTED)]);
    assert.equal(await ended, 0);
    await more(loads);
    await finish(loads);
  });

  test('of both replicas of the gateway, under loads from two clusters', async () => {
    const exported = { [H1]: EXPORTED, [H2]: 'rpc.shop.svc.cluster.local:80' };
    const told = services();
    const startReplica = (): Promise<Part> =>
      parts.start({
        name: 'gateway',
        part: 'gateway',
        exports: ['web', 'rpc'].map((name) => ({ namespace: 'shop', name, ports: [80] })),
        services: { [exported[H1]]: told[H1] ?? [], [exported[H2]]: told[H2] ?? [] },
      });
    let replicas = [await startReplica(), await startReplica()];
    const mirrors = (of: keyof typeof exported) => replicas.map((one) => one.mirrorOf(exported[of]));
    const clients = await Promise.all(
      ['west', 'north'].map((clusterId) =>
        parts.start({ name: 'client', clusterId, services: { [H1]: mirrors(H1), [H2]: mirrors(H2) } }),
      ),
    );
    const tellAll = (): void => {
      for (const one of clients) for (const name of [H1, H2] as const) one.tell(name, mirrors(name));
    };
    const loads = clients.flatMap(({ ip }) => [
      http1Load(() => ip, `http://${H1}/`, 4, true),
      http2Load(() => ip, H2, 2),
    ]);
    await more(loads);
    for (const old of replicas) {
      const next = await startReplica();
      replicas = [...replicas, next];
      tellAll();
      await more(loads);
      const ended = old.stop();
      // As in a cluster: that it goes is told later.
      await more(loads);
      replicas = replicas.filter((one) => one !== old);
      tellAll();
      assert.equal(await ended, 0);
      await more(loads);
    }
    await finish(loads);
  });
});
