import assert from 'node:assert/strict';
import { at, names, stringAt } from '../json.ts';
import { configMap } from '../objects.ts';
import type { Theme } from '../scenario.ts';

const OWN = 'fieldSelector=metadata.name!%3Dkube-root-ca.crt';

export const restart: Theme = {
  name: 'restart',
  exclusive: true,
  scenarios: {
    'what was acknowledged is there after a restart, and a watch goes on over it': async (s) => {
      const path = s.path('configmaps');
      const made = await s.expect(201, 'POST', path, { body: configMap('a', { x: '1' }) });
      const listed = await s.expect(200, 'GET', `${path}?${OWN}`);
      const open = await s.watch(
        `${path}?watch=1&${OWN}&resourceVersion=${stringAt(listed, 'metadata.resourceVersion')}`,
      );
      const ended = open.rest().then(
        () => undefined,
        () => undefined,
      );
      await s.restart();
      await ended;
      assert.deepEqual(await s.expect(200, 'GET', `${path}/a`), made);
      const list = await s.expect(200, 'GET', `${path}?${OWN}`);
      assert.deepEqual(names(list), ['a']);
      assert.ok(
        Number(at(list, 'metadata.resourceVersion')) >= Number(at(listed, 'metadata.resourceVersion')),
      );
      const stream = await s.watch(
        `${path}?watch=1&${OWN}&resourceVersion=${stringAt(list, 'metadata.resourceVersion')}&timeoutSeconds=120`,
      );
      await s.patch(200, 'merge', `${path}/a`, { data: { x: '2' } });
      const event = await stream.next();
      assert.deepEqual([at(event, 'type'), at(event, 'object.data.x')], ['MODIFIED', '2']);
    },
    'a watch from a revision that is no longer kept is told 410, and so is its list': async (s) => {
      const path = s.path('configmaps');
      const made = await s.expect(201, 'POST', path, { body: configMap('a') });
      for (const name of ['b', 'c']) await s.expect(201, 'POST', path, { body: configMap(name) });
      await s.patch(200, 'merge', `${path}/a`, { data: { x: '1' } });
      const page = await s.expect(200, 'GET', `${path}?limit=1`, { record: false });
      await s.patch(200, 'merge', `${path}/a`, { data: { x: '2' } });
      await s.restart({ compact: true });
      const version = stringAt(made, 'metadata.resourceVersion');
      const stream = await s.watch(`${path}?watch=1&resourceVersion=${version}&timeoutSeconds=120`);
      const event = await stream.next();
      assert.equal(stream.code, 200);
      assert.deepEqual(
        [at(event, 'type'), at(event, 'object.code'), at(event, 'object.reason'), at(event, 'object.status')],
        ['ERROR', 410, 'Expired', 'Failure'],
      );
      assert.match(
        stringAt(event, 'object.message'),
        new RegExp(`^too old resource version: ${version} \\(\\d+\\)$`),
      );
      assert.equal(await stream.next(), undefined);
      const token = encodeURIComponent(stringAt(page, 'metadata.continue'));
      const next = await s.client.call('GET', `${path}?limit=1&continue=${token}`);
      assert.equal(next.code, 410);
      assert.equal(next.body['reason'], 'Expired');
      // The answer to a page that has expired lets a client go on, no longer consistently.
      const inconsistent = encodeURIComponent(stringAt(next.body, 'metadata.continue'));
      assert.deepEqual(
        names((await s.client.call('GET', `${path}?continue=${inconsistent}`)).body).filter(
          (name) => name !== 'kube-root-ca.crt',
        ),
        ['b', 'c'],
      );
      const exact = await s.client.call(
        'GET',
        `${path}?resourceVersion=${version}&resourceVersionMatch=Exact`,
      );
      assert.equal(exact.code, 410);
    },
  },
};
