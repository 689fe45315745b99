import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { type Answer, ask, causeOf } from '../../proxy/testing/mesh/http.ts';
import { type PolicyPod, PolicyMesh } from './policy-mesh.ts';

/** Routes as people write them, on their whole way to where requests go. */
let mesh: PolicyMesh;
let web: PolicyPod;
let old: PolicyPod;
let fresh: PolicyPod;
let bank: PolicyPod;
const OLD = { name: 'old', port: 80 };
const FRESH = { name: 'fresh', port: 80 };
const put: [kind: 'httpRoutes' | 'grpcRoutes' | 'serviceProfiles', name: string, namespace: string][] = [];

before(async () => {
  mesh = await PolicyMesh.create();
  [web, old, fresh, bank] = await Promise.all([
    mesh.start('web'),
    mesh.start('old'),
    mesh.start('fresh'),
    mesh.start('bank', 'bank'),
  ]);
  mesh.service('old', old);
  mesh.service('fresh', fresh);
});
after(() => mesh.close());
afterEach(async () => {
  for (const [kind, name, namespace] of put.splice(0)) mesh.remove(kind, name, namespace);
  await mesh.told();
});

interface RouteOptions {
  parent?: object;
  namespace?: string;
  annotations?: Record<string, string>;
  hostnames?: string[];
}

async function route(
  rules: object[],
  { parent = {}, namespace = 'shop', annotations = {}, hostnames = [] }: RouteOptions = {},
): Promise<void> {
  const parentRefs = [{ group: '', kind: 'Service', name: 'old', namespace: 'shop', ...parent }];
  const name = `r${put.length}`;
  mesh.put('httpRoutes', name, { parentRefs, hostnames, rules }, { namespace, annotations });
  put.push(['httpRoutes', name, namespace]);
  await mesh.told();
}

function get(path = '/', headers: Record<string, string> = {}, from = web): Promise<Answer> {
  return ask(from.pod.ip, `http://old.shop${path}`, { headers });
}

async function app(path = '/', headers: Record<string, string> = {}, from = web): Promise<string> {
  const answer = await get(path, headers, from);
  return answer.status === 200 ? answer.body.toString() : String(answer.status);
}

test('requests go where the most specific match sends them, and nowhere when none fits; without routes all is as before', async () => {
  assert.equal(await app(), 'old');
  await route([
    {
      matches: [{ path: { value: '/v2' } }, { headers: [{ name: 'version', value: '2' }] }],
      backendRefs: [FRESH],
    },
    { matches: [{ path: { value: '/v2/old' } }], backendRefs: [OLD] },
    { matches: [{ path: { type: 'Exact', value: '/' }, queryParams: [{ name: 'v', value: '1' }] }] },
  ]);
  assert.equal(await app('/v2/a?x=1'), 'fresh');
  assert.equal(await app('/any', { version: '2' }), 'fresh');
  assert.equal(await app('/v2/old/a'), 'old');
  assert.equal(await app('/?v=1'), 'old');
  const nowhere = await get('/any');
  assert.deepEqual([nowhere.status, causeOf(nowhere)], [404, 'no-route']);
  put.splice(0);
  mesh.remove('httpRoutes', 'r0');
  await mesh.told();
  assert.equal(await app('/any'), 'old');
});

test('a route with host names is for requests that call the Service so; the others are for other routes, or for none', async () => {
  const called = async (host: string): Promise<string> => {
    const answer = await ask(web.pod.ip, `http://${host}/`);
    return answer.status === 200 ? answer.body.toString() : String(answer.status);
  };
  await route([{ backendRefs: [FRESH] }], { hostnames: ['*.svc.cluster.local'] });
  assert.deepEqual([await called('old.shop.svc.cluster.local'), await called('old.shop')], ['fresh', '404']);
  await route([{ backendRefs: [OLD] }]);
  assert.deepEqual([await called('old.shop.svc.cluster.local'), await called('old.shop')], ['fresh', 'old']);
});

test('traffic is split by weight', async () => {
  await route([
    {
      backendRefs: [
        { ...OLD, weight: 0 },
        { ...FRESH, weight: 9 },
      ],
    },
  ]);
  const answers = await Promise.all(Array.from({ length: 20 }, () => app()));
  assert.deepEqual(new Set(answers), new Set(['fresh']));
  await route([{ matches: [{ path: { value: '/half' } }], backendRefs: [OLD, FRESH] }]);
  const halves = await Promise.all(Array.from({ length: 100 }, () => app('/half')));
  const share = halves.filter((one) => one === 'old').length;
  // Fifteen standard deviations would be needed to miss both.
  assert.ok(share > 0 && share < 100, String(share));
});

test('a backend that is not there keeps its share, which gets 500', async () => {
  await route([
    { matches: [{ path: { value: '/none' } }], backendRefs: [{ name: 'none', port: 80 }] },
    { matches: [{ path: { value: '/kind' } }], backendRefs: [{ ...OLD, kind: 'Bucket', group: 'x.io' }] },
    { matches: [{ path: { value: '/zero' } }], backendRefs: [{ ...OLD, weight: 0 }] },
  ]);
  assert.deepEqual(await Promise.all(['/none', '/kind', '/zero'].map((path) => app(path))), [
    '500',
    '500',
    '500',
  ]);
  mesh.service('none', fresh);
  await mesh.told();
  assert.equal(await app('/none'), 'fresh');
});

test("routes of a client's own namespace go before those for everybody; those of others do not count", async () => {
  await route([{ backendRefs: [{ ...FRESH, namespace: 'shop' }] }], { namespace: 'bank' });
  assert.deepEqual([await app('/', {}, bank), await app()], ['fresh', 'old']);
  await route([{ matches: [{ path: { value: '/x' } }] }], {});
  assert.deepEqual([await app('/', {}, bank), await app()], ['fresh', '404']);
  await route([{ backendRefs: [{ name: 'none', port: 80 }] }], { namespace: 'elsewhere' });
  assert.equal(await app('/x'), 'old');
});

test('a backend in another namespace is asked without a ReferenceGrant, and says itself who may', async () => {
  await route([{ backendRefs: [{ ...FRESH, namespace: 'shop' }] }], { namespace: 'bank' });
  assert.equal(await app('/', {}, bank), 'fresh');
  mesh.put('servers', 'fresh', { podSelector: { matchLabels: { app: 'fresh' } }, port: 'http' });
  await mesh.told();
  const denied = await get('/', {}, bank);
  assert.deepEqual([denied.status, causeOf(denied)], [403, 'unauthorized']);
  mesh.remove('servers', 'fresh');
});

test('a route is for the port that it names', async () => {
  await route([{ backendRefs: [FRESH] }], { parent: { port: 8080 } });
  await route([{ backendRefs: [FRESH] }], { parent: { sectionName: 'grpc' } });
  assert.equal(await app(), 'old');
  await route([{ backendRefs: [FRESH] }], { parent: { sectionName: 'http', port: 80 } });
  assert.equal(await app(), 'fresh');
});

test('fields of requests and answers are changed, of all and of those to one backend', async () => {
  const modifier = (name: string) => ({ set: [{ name, value: 'set' }] });
  await route([
    {
      filters: [
        {
          type: 'RequestHeaderModifier',
          requestHeaderModifier: { ...modifier('X-Rule'), remove: ['x-gone'] },
        },
        {
          type: 'ResponseHeaderModifier',
          responseHeaderModifier: { ...modifier('x-told'), remove: ['x-app'] },
        },
      ],
      backendRefs: [
        {
          ...FRESH,
          filters: [{ type: 'RequestHeaderModifier', requestHeaderModifier: modifier('x-backend') }],
        },
      ],
    },
  ]);
  const answer = await get('/', { 'x-rule': 'sent', 'x-gone': '1' });
  assert.deepEqual([answer.headers['x-told'], answer.headers['x-app']], ['set', undefined]);
  const { headers } = fresh.last;
  assert.deepEqual([headers['x-rule'], headers['x-backend'], headers['x-gone']], ['set', 'set', undefined]);
});

test('redirects replace what they name and keep the rest', async () => {
  const redirect = (requestRedirect: object) => [{ type: 'RequestRedirect', requestRedirect }];
  await route([
    {
      matches: [{ path: { value: '/a' } }],
      filters: redirect({ path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/b' } }),
    },
    {
      matches: [{ path: { value: '/port' } }],
      filters: redirect({ port: 8443, scheme: 'https', statusCode: 308 }),
    },
  ]);
  const seen = async (path: string): Promise<unknown[]> => {
    const { status, headers } = await get(path);
    return [status, headers.location];
  };
  assert.deepEqual(await seen('/a/c?d=e'), [302, 'http://old.shop/b/c?d=e']);
  assert.deepEqual(await seen('/a'), [302, 'http://old.shop/b']);
  assert.deepEqual(await seen('/port'), [308, 'https://old.shop:8443/port']);
});

test('times of a rule end requests; a time for each try does so without retries as well', async () => {
  await route([
    {
      matches: [{ path: { value: '/a' } }],
      timeouts: { request: '50ms' },
      backendRefs: [{ name: 'slow', port: 80 }],
    },
    {
      matches: [{ path: { value: '/b' } }],
      timeouts: { backendRequest: '50ms' },
      backendRefs: [
        { name: 'nowhere', port: 80, weight: 0 },
        { name: 'slow', port: 80 },
      ],
    },
  ]);
  await route([{ timeouts: { backendRequest: '50ms' } }], { parent: { name: 'slow' } });
  const slow = await mesh.start('slow');
  slow.app.server.removeAllListeners('request');
  mesh.service('slow', slow);
  await mesh.told();
  const itself = await ask(web.pod.ip, 'http://slow.shop/');
  assert.deepEqual([await app('/a'), await app('/b'), String(itself.status)], ['504', '504', '504']);
});

test('annotations of a route say what is tried again', async () => {
  const annotations = { 'retry.linkerd.io/http': '5xx', 'retry.linkerd.io/limit': '2' };
  await route([{ backendRefs: [FRESH] }], { annotations });
  fresh.asked.splice(0);
  fresh.failing = 2;
  assert.equal(await app(), 'fresh');
  assert.equal(fresh.asked.length, 3);
});

test('calls go by service and method, and their routes go before those of HTTP', async () => {
  await route([{ matches: [{ path: { value: '/never' } }] }]);
  const rules = [{ matches: [{ method: { service: 'shop.Cart', method: 'Add' } }], backendRefs: [FRESH] }];
  mesh.put('grpcRoutes', 'calls', { parentRefs: [{ group: '', kind: 'Service', name: 'old' }], rules });
  put.push(['grpcRoutes', 'calls', 'shop']);
  await mesh.told();
  assert.equal(await app('/shop.Cart/Add'), 'fresh');
  assert.equal(await app('/shop.Cart/Remove'), '404');
});

async function profile(spec: object, namespace = 'shop'): Promise<void> {
  mesh.put('serviceProfiles', 'old.shop.svc.cluster.local', spec, { namespace });
  put.push(['serviceProfiles', 'old.shop.svc.cluster.local', namespace]);
  await mesh.told();
}

test('a ServiceProfile goes before routes: the first of its own that fits counts, the others pass', async () => {
  await route([{ matches: [{ path: { value: '/never' } }] }]);
  assert.equal(await app('/any'), '404');
  old.asked.splice(0);
  await profile({
    routes: [
      {
        name: 'reads',
        condition: { all: [{ method: 'GET' }, { not: { pathRegex: '/once/.*' } }] },
        isRetryable: true,
        responseClasses: [{ condition: { status: { min: 503, max: 503 } }, isFailure: true }],
      },
      { name: 'rest', condition: { pathRegex: '/.*' } },
    ],
  });
  old.failing = 2;
  assert.equal(await app('/any'), 'old');
  assert.equal(old.asked.length, 3);
  old.failing = 1;
  assert.equal(await app('/once/x'), '503');
});

test("a profile's timeout ends requests, its budget bounds retries, its overrides split traffic", async () => {
  await profile({
    routes: [{ name: 'all', condition: { pathRegex: '/.*' }, isRetryable: true }],
    retryBudget: { retryRatio: 0, minRetriesPerSecond: 0, ttl: '10s' },
    dstOverrides: [
      { authority: 'fresh.shop.svc.cluster.local', weight: '500m' },
      { authority: 'old.shop.svc.cluster.local:80', weight: 0 },
    ],
  });
  fresh.asked.splice(0);
  fresh.failing = 1;
  assert.deepEqual([await app(), await app()], ['503', 'fresh']);
  assert.equal(fresh.asked.length, 2);
  await profile({
    routes: [{ name: 'all', condition: { method: 'GET' }, timeout: '50ms' }],
    dstOverrides: [{ authority: 'slow.shop.svc.cluster.local:80', weight: 1 }],
  });
  assert.equal(await app(), '504');
});

test("a profile of the client's namespace goes before the Service's", async () => {
  const to = (name: string) => ({
    routes: [],
    dstOverrides: [{ authority: `${name}.shop.svc.cluster.local`, weight: 1 }],
  });
  await profile(to('fresh'), 'bank');
  assert.deepEqual([await app(), await app('/', {}, bank)], ['old', 'fresh']);
  await profile(to('slow'));
  assert.equal(await app('/', {}, bank), 'fresh');
});
