import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import type { HttpRoute } from '../../api/route-types.ts';
import { createClient } from '../../kubernetes/client.ts';
import { silentLog } from '../../kubernetes/log.ts';
import { FakeClock } from '../../kubernetes/testing/fake-clock.ts';
import { resources } from '../../kubernetes/resources.ts';
import { openTestApi, type TestApi } from '../../test/testing/test-api.ts';
import { settings } from '../testing/fixture.ts';
import { Views } from '../views.ts';
import { watchCluster } from '../watch-cluster.ts';
import { reportPolicies } from './policy-reporter.ts';

let api: TestApi;
let shop: string;
const cleanups: (() => unknown)[] = [];
const events: string[] = [];

before(async () => {
  api = await openTestApi([resources.services, resources.httpRoutes, resources.servers]);
  shop = await api.namespace('shop');
  const client = createClient(api.config);
  cleanups.push(() => client.close());
  const views = new Views();
  const watch = watchCluster(client, views.state);
  cleanups.push(() => watch.stop());
  await watch.synced;
  const stopping = new AbortController();
  const reporting = reportPolicies(
    {
      client,
      views,
      settings,
      log: silentLog,
      events: {
        record: (about, _type, reason, message) =>
          events.push(
            `${about.metadata?.namespace} ${about.kind} ${about.metadata?.name} ${reason}: ${message}`,
          ),
      },
    },
    stopping.signal,
  );
  cleanups.push(() => {
    stopping.abort();
    return reporting;
  });
});
after(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await api.close();
});

const condition = (type: string): string | undefined => {
  const route = api.find(resources.httpRoutes, shop, 'r');
  return route?.status?.parents?.[0]?.conditions?.find((one) => one.type === type)?.status;
};

test('a route is told whether it holds, and told anew when that changes', async () => {
  const route: HttpRoute = {
    metadata: { name: 'r', namespace: shop },
    spec: {
      parentRefs: [{ group: '', kind: 'Service', name: 'web' }],
      rules: [{ backendRefs: [{ name: 'web', port: 80 }] }],
    },
  };
  await api.put(resources.httpRoutes, route);
  await api.until(() => condition('Accepted') === 'False' && condition('ResolvedRefs') === 'False');
  const service = { metadata: { name: 'web', namespace: shop }, spec: { ports: [{ port: 80 }] } };
  await api.put(resources.services, service);
  await api.until(() => condition('Accepted') === 'True' && condition('ResolvedRefs') === 'True');
  await api.remove(resources.services, shop, 'web');
  await api.until(() => condition('Accepted') === 'False');
});

test('what is wrong with another kind is told once', async () => {
  const server = (accessPolicy: string) => ({
    metadata: { name: 'web', namespace: shop },
    spec: { podSelector: {}, port: 80, accessPolicy },
  });
  const told = (): string[] =>
    events.filter((event) => event.startsWith(`${shop} Server web PolicyProblem: `));
  await api.put(resources.servers, server('all'));
  await api.until(() => told().length === 1);
  await api.put(resources.servers, server('every'));
  await api.until(() => told().length === 2);
  assert.match(told()[1] ?? '', /accessPolicy is "every"/);
});

test('a status that cannot be written holds up no other, and is tried again', async () => {
  const views = new Views();
  const asked: string[] = [];
  const waiting: { name: string; times: number; resolve: () => void }[] = [];
  const told = (name: string, times: number): Promise<void> =>
    new Promise((resolve) => waiting.push({ name, times, resolve }));
  const clock = new FakeClock();
  const stopping = new AbortController();
  const reporting = reportPolicies(
    {
      client: {
        mergePatch: (_resource, _namespace, name) => {
          asked.push(name);
          for (const one of waiting)
            if (asked.filter((other) => other === one.name).length >= one.times) one.resolve();
          return Promise.reject(new Error('out of order'));
        },
      },
      views,
      settings,
      log: silentLog,
      events: { record: () => {} },
      clock,
    },
    stopping.signal,
  );
  const put = (name: string): void => {
    const spec = { parentRefs: [{ group: '', kind: 'Service', name: 'web' }] };
    views.state.setPolicy('httpRoutes', `shop/${name}`, { metadata: { name, namespace: 'shop' }, spec });
  };
  const [bad, other, again] = [told('bad', 1), told('other', 1), told('bad', 3)];
  put('bad');
  await bad;
  put('other');
  await other;
  await clock.advance(60_000);
  await again;
  stopping.abort();
  await reporting;
});
