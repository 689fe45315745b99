import assert from 'node:assert/strict';
import { at, names, stringAt } from '../json.ts';
import { configMap, pod } from '../objects.ts';
import type { Scenario, Theme } from '../scenario.ts';

async function makeThree(s: Scenario): Promise<string> {
  for (const [name, labels] of [
    ['a', { app: 'x', tier: 'front', size: '3' }],
    ['b', { app: 'y' }],
    ['c', {}],
  ] as const) {
    await s.expect(201, 'POST', s.path('configmaps'), {
      body: configMap(name, {}, { labels }),
      record: false,
    });
  }
  return `${s.path('configmaps')}?`;
}

/** What every namespace is given of itself is not part of the lists. */
const OWN = 'fieldSelector=metadata.name!%3Dkube-root-ca.crt';

export const reading: Theme = {
  name: 'reading',
  scenarios: {
    'a list is ordered by name and carries a resourceVersion': async (s) => {
      const list = await makeThree(s);
      const { body } = await s.call('GET', `${list}${OWN}`);
      assert.deepEqual(names(body), ['a', 'b', 'c']);
      assert.match(stringAt(body, 'metadata.resourceVersion'), /^\d+$/);
      await s.expect(200, 'GET', `${s.path('configmaps')}/a`);
      assert.deepEqual(names(await s.expect(200, 'GET', s.path('secrets'))), []);
    },
    'pages of a list are one snapshot': async (s) => {
      const list = `${await makeThree(s)}labelSelector=app`;
      const all = s.path('leases', 'coordination.k8s.io/v1');
      for (const name of ['p1', 'p2', 'p3']) {
        await s.expect(201, 'POST', all, { body: { metadata: { name } }, record: false });
      }
      const first = await s.expect(200, 'GET', `${all}?limit=2`);
      assert.deepEqual(names(first), ['p1', 'p2']);
      assert.equal(at(first, 'metadata.remainingItemCount'), 1);
      await s.expect(200, 'DELETE', `${all}/p3`);
      await s.expect(201, 'POST', all, { body: { metadata: { name: 'p4' } } });
      const token = encodeURIComponent(stringAt(first, 'metadata.continue'));
      const second = (await s.call('GET', `${all}?limit=2&continue=${token}`, { record: false })).body;
      assert.deepEqual(names(second), ['p3']);
      assert.equal(at(second, 'metadata.resourceVersion'), at(first, 'metadata.resourceVersion'));
      assert.equal(at(second, 'metadata.continue'), undefined);
      // How many are left is not known where a selector chooses.
      const selected = await s.expect(200, 'GET', `${list}&limit=1`);
      assert.equal(at(selected, 'metadata.remainingItemCount'), undefined);
      const both = await s.call('GET', `${all}?limit=2&continue=${token}&resourceVersion=5`, {
        record: false,
      });
      assert.equal(both.code, 400);
      assert.equal(both.body['message'], 'specifying resource version is not allowed when using continue');
    },
    'a limit and a token must be well formed': async (s) => {
      const list = s.path('configmaps');
      await s.call('GET', `${list}?limit=x`);
      await s.call('GET', `${list}?continue=nonsense`);
      await s.call('GET', `${list}?limit=-1&${OWN}`);
      await s.call('GET', `${list}?limit=0&${OWN}`);
    },
    'labels select': async (s) => {
      const list = await makeThree(s);
      const select = async (selector: string): Promise<unknown[]> =>
        names(await s.expect(200, 'GET', `${list}${OWN}&labelSelector=${encodeURIComponent(selector)}`));
      assert.deepEqual(await select('app=x'), ['a']);
      assert.deepEqual(await select('app==x'), ['a']);
      assert.deepEqual(await select('app!=x'), ['b', 'c']);
      assert.deepEqual(await select('app in (x, y),!tier'), ['b']);
      assert.deepEqual(await select('app notin (x)'), ['b', 'c']);
      assert.deepEqual(await select('tier'), ['a']);
      assert.deepEqual(await select('!app'), ['c']);
      assert.deepEqual(await select('size>2'), ['a']);
      assert.deepEqual(await select('size<3'), []);
      assert.deepEqual(await select('app in (x),tier=front'), ['a']);
      assert.deepEqual(await select('app in ()'), []);
      assert.deepEqual(await select('app='), []);
    },
    'a label selector that can not be read is an error': async (s) => {
      const list = s.path('configmaps');
      for (const selector of [
        'a b',
        'app in (x',
        'app in x',
        '=x',
        'app=x y',
        'a=b,,c=d',
        '-a=x',
        'app>x',
        'app=-x',
        'app in (x))',
        '!',
        'app==',
        ',',
        'a/b/c=d',
      ]) {
        await s.call('GET', `${list}?${OWN}&labelSelector=${encodeURIComponent(selector)}`);
      }
    },
    'fields select': async (s) => {
      const list = await makeThree(s);
      const select = async (selector: string): Promise<unknown[]> =>
        names(await s.expect(200, 'GET', `${list}fieldSelector=${encodeURIComponent(selector)}`));
      assert.deepEqual(await select('metadata.name=a'), ['a']);
      assert.deepEqual(await select('metadata.name==a'), ['a']);
      assert.deepEqual(await select(`metadata.name!=kube-root-ca.crt,metadata.namespace=${s.namespace}`), [
        'a',
        'b',
        'c',
      ]);
      assert.deepEqual(await select('metadata.name=a,metadata.name=b'), []);
    },
    'pods, secrets, services and events are selected by fields of their own': async (s) => {
      await s.hasDefaultAccount();
      await s.expect(201, 'POST', s.path('pods'), { body: pod('p'), pick: () => 'made' });
      await s.expect(201, 'POST', s.path('secrets'), {
        body: { metadata: { name: 's' }, type: 'example.com/x' },
      });
      const selected: readonly (readonly [string, string, number])[] = [
        ['pods', 'status.phase=Pending', 1],
        ['pods', 'status.phase!=Pending', 0],
        ['pods', 'spec.nodeName=', 1],
        ['pods', 'spec.restartPolicy=Always,spec.schedulerName=nobody', 1],
        ['pods', 'spec.serviceAccountName=default', 1],
        ['pods', 'spec.hostNetwork=false', 1],
        ['pods', 'status.podIP=1.2.3.4', 0],
        ['secrets', 'type=example.com/x', 1],
        ['secrets', 'type=Opaque', 0],
      ];
      for (const [resource, selector, count] of selected) {
        const body = await s.expect(
          200,
          'GET',
          `${s.path(resource)}?fieldSelector=${encodeURIComponent(selector)}`,
          { pick: names },
        );
        assert.equal(names(body).length, count, selector);
      }
    },
    'a field that can not be selected by is an error': async (s) => {
      for (const [resource, selector] of [
        ['configmaps', 'data.x=1'],
        ['pods', 'spec.hostname=1'],
        ['secrets', 'data=1'],
        ['services', 'spec.x=1'],
        ['events', 'x=1'],
        ['configmaps', 'metadata.name'],
        ['configmaps', 'metadata.name>1'],
        ['configmaps', 'a=b=c'],
      ] as const) {
        await s.expect(400, 'GET', `${s.path(resource)}?fieldSelector=${encodeURIComponent(selector)}`);
      }
      await s.call('GET', `${s.path('deployments', 'apps/v1')}?fieldSelector=spec.replicas%3D1`);
      await s.call('GET', `/api/v1/namespaces?fieldSelector=spec.x%3D1`);
    },
    'resourceVersion and resourceVersionMatch': async (s) => {
      const list = await makeThree(s);
      const { body } = await s.call('GET', `${list}${OWN}`);
      const version = stringAt(body, 'metadata.resourceVersion');
      await s.expect(200, 'DELETE', `${s.path('configmaps')}/c`);
      const read = async (query: string): Promise<unknown[]> =>
        names((await s.call('GET', `${list}${OWN}&${query}`, { record: false })).body);
      assert.deepEqual(await read(`resourceVersion=${version}&resourceVersionMatch=Exact`), ['a', 'b', 'c']);
      assert.deepEqual(await read(`resourceVersion=${version}&resourceVersionMatch=NotOlderThan`), [
        'a',
        'b',
      ]);
      assert.deepEqual(await read(`resourceVersion=${version}`), ['a', 'b']);
      assert.deepEqual(await read('resourceVersion=0'), ['a', 'b']);
      for (const query of [
        'resourceVersionMatch=Exact',
        'resourceVersionMatch=NotOlderThan',
        'resourceVersion=0&resourceVersionMatch=Exact',
        'resourceVersion=0&resourceVersionMatch=Foo',
        'resourceVersion=abc',
        'resourceVersion=-1',
        'resourceVersion=abc&resourceVersionMatch=Exact',
      ]) {
        await s.call('GET', `${list}${query}`);
      }
      const pair = await s.call(
        'GET',
        `${list}${OWN}&limit=1&resourceVersion=${version}&resourceVersionMatch=Exact`,
        { record: false },
      );
      assert.deepEqual(names(pair.body), ['a']);
    },
    'a resourceVersion of the future is a timeout': async (s) => {
      const future = '999999999999';
      for (const path of [s.path('configmaps'), `${s.path('configmaps')}/kube-root-ca.crt`]) {
        const { code, body, headers } = await s.call('GET', `${path}?resourceVersion=${future}`, {
          record: false,
        });
        assert.equal(code, 504, path);
        assert.match(
          String(body['message']),
          /^Timeout: Too large resource version: 999999999999, current: \d+$/,
        );
        assert.equal(body['reason'], 'Timeout');
        assert.deepEqual(at(body, 'details.causes'), [
          { reason: 'ResourceVersionTooLarge', message: 'Too large resource version' },
        ]);
        assert.equal(headers['retry-after'], '1');
      }
    },
    'what is missing is told in a Status': async (s) => {
      await s.refuse(404, 'configmaps "none" not found', 'GET', `${s.path('configmaps')}/none`);
      await s.refuse(
        404,
        'deployments.apps "none" not found',
        'GET',
        `${s.path('deployments', 'apps/v1')}/none`,
      );
      await s.refuse(404, 'namespaces "none-such" not found', 'GET', '/api/v1/namespaces/none-such');
      await s.call('GET', '/api/v1/namespaces/none-such/configmaps');
      await s.call('GET', s.path('nothings'));
      await s.call('GET', '/apis/none.example/v1/things');
      await s.call('GET', '/apis/apps/v9/deployments');
      await s.call('GET', '/apis/apps/v1/things');
      await s.call('GET', '/nothing');
      await s.call('GET', `${s.path('configmaps')}/kube-root-ca.crt/status`);
      await s.call('GET', '/api/v1/configmaps/x');
      await s.call('GET', '/api/v1/namespaces/x/namespaces/y');
    },
    'a method that is not for the path is refused': async (s) => {
      await s.expect(405, 'PUT', s.path('configmaps'), { body: configMap('a') });
      await s.expect(405, 'POST', `${s.path('configmaps')}/a`, { body: configMap('a') });
      await s.expect(405, 'PATCH', s.path('configmaps'), { body: {} });
      await s.call('POST', '/api/v1/configmaps', { body: configMap('a') });
      await s.call('DELETE', '/api/v1/configmaps');
      await s.call('DELETE', '/api/v1/namespaces?labelSelector=none');
      await s.call('GET', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews');
      await s.call('GET', '/apis/authentication.k8s.io/v1/tokenreviews/x');
    },
    'Accept chooses the form of an answer': async (s) => {
      await makeThree(s);
      const one = `${s.path('configmaps')}/a`;
      const accept = (value: string): { headers: Record<string, string> } => ({ headers: { accept: value } });
      await s.call('GET', one, accept('application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io'));
      await s.call(
        'GET',
        `${s.path('configmaps')}?${OWN}`,
        accept('application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io'),
      );
      await s.call(
        'GET',
        `${s.path('configmaps')}?${OWN}`,
        accept('application/json;as=Table;v=v1;g=meta.k8s.io,application/json'),
      );
      await s.call('GET', one, accept('*/*'));
      await s.call('GET', one, accept('application/*'));
      await s.call('GET', one, accept('text/html, application/json'));
      await s.expect(406, 'GET', one, accept('text/html'));
      await s.expect(406, 'GET', s.path('configmaps'), accept('application/json;as=Foo;v=v1;g=meta.k8s.io'));
      await s.expect(
        406,
        'GET',
        one,
        accept('application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io'),
      );
      await s.expect(200, 'GET', one, accept('text/html;q=0.9, application/json;q=0.8'));
      await s.expect(406, 'POST', s.path('configmaps'), { ...accept('text/html'), body: configMap('z') });
    },
    'tables of the kinds that people list': async (s) => {
      const table = { headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' } };
      for (const [groupVersion, resource] of [
        ['', 'pods'],
        ['', 'services'],
        ['', 'secrets'],
        ['', 'serviceaccounts'],
        ['', 'events'],
        ['', 'endpoints'],
        ['apps/v1', 'deployments'],
        ['apps/v1', 'replicasets'],
        ['batch/v1', 'jobs'],
        ['coordination.k8s.io/v1', 'leases'],
        ['discovery.k8s.io/v1', 'endpointslices'],
        ['rbac.authorization.k8s.io/v1', 'roles'],
        ['rbac.authorization.k8s.io/v1', 'rolebindings'],
      ] as const) {
        await s.expect(200, 'GET', `${s.path(resource, groupVersion)}?labelSelector=none`, {
          ...table,
          pick: ({ columnDefinitions }) => ({ columnDefinitions }),
        });
      }
      await s.expect(201, 'POST', s.path('configmaps'), { body: configMap('t', { k: 'v' }) });
      await s.expect(200, 'GET', `${s.path('configmaps')}/t`, {
        ...table,
        pick: (body) => at(body, 'rows.0.object.kind'),
      });
      await s.expect(200, 'GET', `${s.path('configmaps')}/t?includeObject=None`, {
        ...table,
        pick: (body) => Object.keys(at(body, 'rows.0') as object),
      });
      await s.expect(200, 'GET', `${s.path('configmaps')}/t?includeObject=Object`, {
        ...table,
        pick: (body) => at(body, 'rows.0.object'),
      });
      await s.call('GET', `${s.path('configmaps')}/t?includeObject=Foo`, table);
    },
  },
};
