import assert from 'node:assert/strict';
import { at, type Json, stringAt } from '../json.ts';
import { pod } from '../objects.ts';
import type { Scenario, Theme } from '../scenario.ts';

async function account(s: Scenario): Promise<string> {
  await s.expect(201, 'POST', s.path('serviceaccounts'), { body: { metadata: { name: 'robot' } } });
  return `${s.path('serviceaccounts')}/robot/token`;
}

function request(spec: Json = {}): { body: Json } {
  return { body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec } };
}

async function tokenFor(s: Scenario, path: string, spec: Json = {}): Promise<string> {
  return stringAt(await s.expect(201, 'POST', path, request(spec)), 'status.token');
}

const REVIEWS = '/apis/authentication.k8s.io/v1/tokenreviews';

function review(s: Scenario, token: string, audiences?: string[]): Promise<Json> {
  return s.expect(201, 'POST', REVIEWS, {
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token, ...(audiences === undefined ? {} : { audiences }) },
    },
    // What the token holds differs from server to server; what is said about it must not.
    pick: (body) => scrub(body['status']),
  });
}

/** Reviews once the server has seen that the token's account, pod or Secret is gone. */
async function expectRefused(s: Scenario, token: string): Promise<void> {
  await s.poll(
    'the token to be refused',
    () => s.client.call('POST', REVIEWS, { body: { spec: { token } } }),
    ({ body }) => at(body, 'status.authenticated') === undefined,
  );
  assert.equal(at(await review(s, token), 'status.authenticated'), undefined);
}

/** Without what names this one token, and why it was not taken: that is said to logs. */
function scrub(status: unknown): unknown {
  const text = JSON.stringify(status).replaceAll(/JTI=[0-9a-f-]+/g, 'JTI=<uuid>');
  return JSON.parse(text.replaceAll(/"error":"(?:[^"\\\\]|\\\\.)*"/g, '"error":"<why>"')) as unknown;
}

export const tokens: Theme = {
  name: 'tokens',
  scenarios: {
    'a token says who it is, to the API server': async (s) => {
      const token = await tokenFor(s, await account(s));
      const reviewed = await review(s, token);
      assert.equal(at(reviewed, 'status.user.username'), `system:serviceaccount:${s.namespace}:robot`);
      await s.expect(201, 'POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {
        token,
        body: {},
        pick: (body) => scrub(at(body, 'status')),
      });
      await s.expect(403, 'GET', s.path('configmaps'), { token });
      await s.expect(403, 'GET', '/api/v1/nodes', { token });
      await s.expect(200, 'GET', '/api', { token, pick: (body) => body['kind'] });
      const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Json;
      assert.equal(claims['sub'], `system:serviceaccount:${s.namespace}:robot`);
      assert.equal(Number(claims['exp']) - Number(claims['iat']), 3600);
      assert.equal(at(claims['kubernetes.io'], 'serviceaccount.name'), 'robot');
    },
    'a token for another audience is not for the API server': async (s) => {
      const token = await tokenFor(s, await account(s), { audiences: ['identity.l5d.io', 'other'] });
      assert.equal(at(await review(s, token), 'status.authenticated'), undefined);
      assert.deepEqual(at(await review(s, token, ['identity.l5d.io', 'unknown']), 'status.audiences'), [
        'identity.l5d.io',
      ]);
      assert.equal(at(await review(s, token, ['unknown']), 'status.authenticated'), undefined);
      await s.refuse(401, 'Unauthorized', 'GET', s.path('configmaps'), { token });
    },
    'a token that is none': async (s) => {
      await review(s, 'nonsense');
      await s.expect(400, 'POST', REVIEWS, { body: { spec: { token: '' } } });
      await s.refuse(401, 'Unauthorized', 'GET', '/api', { token: 'nonsense' });
      const token = await tokenFor(s, await account(s));
      const [header = '', payload = '', signature = ''] = token.split('.');
      const forged = Buffer.from(payload, 'base64url').toString().replace('robot', 'admin');
      const altered = await review(
        s,
        [header, Buffer.from(forged).toString('base64url'), signature].join('.'),
      );
      assert.equal(at(altered, 'status.authenticated'), undefined);
    },
    'a token goes with its account, its pod or its Secret': async (s) => {
      const path = await account(s);
      await s.expect(201, 'POST', s.path('secrets'), { body: { metadata: { name: 'held' } }, record: false });
      const bySecret = await tokenFor(s, path, {
        boundObjectRef: { apiVersion: 'v1', kind: 'Secret', name: 'held' },
      });
      await s.expect(201, 'POST', s.path('pods'), {
        body: pod('p', { serviceAccountName: 'robot' }),
        pick: () => 'made',
      });
      const byPod = await tokenFor(s, path, { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: 'p' } });
      const free = await tokenFor(s, path);
      // Other tokens show that they hold at first: what a server has accepted once it may accept a little longer.
      for (const [kind, name] of [
        ['Secret', 'held'],
        ['Pod', 'p'],
      ]) {
        const token = await tokenFor(s, path, { boundObjectRef: { apiVersion: 'v1', kind, name } });
        assert.equal(at(await review(s, token), 'status.authenticated'), true);
      }
      await s.expect(200, 'DELETE', `${s.path('secrets')}/held`);
      await s.expect(200, 'DELETE', `${s.path('pods')}/p?gracePeriodSeconds=0`, { pick: () => 'gone' });
      for (const token of [bySecret, byPod]) await expectRefused(s, token);
      await s.expect(200, 'DELETE', path.replace('/token', ''));
      await s.expect(201, 'POST', s.path('serviceaccounts'), { body: { metadata: { name: 'robot' } } });
      await expectRefused(s, free);
    },
    'requests for tokens that are refused': async (s) => {
      const path = await account(s);
      await s.call('POST', path, request({ expirationSeconds: 5 }));
      await s.call(
        'POST',
        path,
        request({ boundObjectRef: { apiVersion: 'v1', kind: 'ConfigMap', name: 'x' } }),
      );
      await s.call(
        'POST',
        path,
        request({ boundObjectRef: { apiVersion: 'v1', kind: 'Secret', name: 'none' } }),
      );
      await s.call(
        'POST',
        path,
        request({ boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: 'none' } }),
      );
      await s.call('POST', path.replace('robot', 'none'), request());
      await s.call('POST', path, { body: { ...request().body, metadata: { name: 'other' } } });
      await s.call(
        'POST',
        path,
        request({ boundObjectRef: { apiVersion: 'v1', kind: 'Secret', name: 'none', uid: 'x' } }),
      );
      await s.call('GET', path);
    },
    'nobody in particular': async (s) => {
      await s.expect(403, 'GET', s.path('configmaps'), { token: '' });
      await s.expect(200, 'GET', '/version', {
        token: '',
        pick: (body) => Object.hasOwn(body, 'gitVersion'),
      });
      await s.expect(403, 'GET', '/metrics', { token: '' });
      await s.expect(200, 'GET', '/healthz', { token: '' });
    },
  },
};
