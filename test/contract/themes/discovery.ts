import assert from 'node:assert/strict';
import { at, isObject, type Json, listAt } from '../json.ts';
import { unservedKinds, unservedSubresources } from '../exceptions.ts';
import type { Scenario, Theme } from '../scenario.ts';

/** What both kinds of server serve. */
const GROUP_VERSIONS = [
  'admissionregistration.k8s.io/v1',
  'apiextensions.k8s.io/v1',
  'apps/v1',
  'authentication.k8s.io/v1',
  'authorization.k8s.io/v1',
  'autoscaling/v1',
  'autoscaling/v2',
  'batch/v1',
  'coordination.k8s.io/v1',
  'discovery.k8s.io/v1',
  'events.k8s.io/v1',
  'networking.k8s.io/v1',
  'policy/v1',
  'rbac.authorization.k8s.io/v1',
  'scheduling.k8s.io/v1',
];
const AGGREGATED = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json';

/** What the embedded cluster has no use for (the groups that it has, with fewer resources). */
const RESOURCES: Readonly<Record<string, readonly string[]>> = {
  v1: [
    'configmaps',
    'endpoints',
    'events',
    'namespaces',
    'nodes',
    'pods',
    'secrets',
    'serviceaccounts',
    'services',
  ],
  'apps/v1': ['deployments', 'replicasets'],
  'batch/v1': ['jobs'],
  'discovery.k8s.io/v1': ['endpointslices'],
  'coordination.k8s.io/v1': ['leases'],
  'rbac.authorization.k8s.io/v1': ['clusterrolebindings', 'clusterroles', 'rolebindings', 'roles'],
  'authentication.k8s.io/v1': ['tokenreviews', 'selfsubjectreviews'],
  'authorization.k8s.io/v1': [
    'localsubjectaccessreviews',
    'selfsubjectaccessreviews',
    'selfsubjectrulesreviews',
    'subjectaccessreviews',
  ],
  'apiextensions.k8s.io/v1': ['customresourcedefinitions'],
  'admissionregistration.k8s.io/v1': ['mutatingwebhookconfigurations', 'validatingwebhookconfigurations'],
  'policy/v1': ['poddisruptionbudgets'],
};

function resourcesOf(body: Json, groupVersion: string): unknown {
  const wanted = new Set(RESOURCES[groupVersion]);
  return listAt(body, 'resources')
    .filter((entry) => wanted.has(String(at(entry, 'name')).split('/', 1)[0] ?? ''))
    .filter((entry) => !unservedSubresources.has(String(at(entry, 'name')).split('/')[1] ?? ''));
}

const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

/** `resource.group/version` of each kind in a group version; none when it has just gone. */
async function kindsOf(s: Scenario, groupVersion: string): Promise<string[]> {
  const path = groupVersion === 'v1' ? '/api/v1' : `/apis/${groupVersion}`;
  const { code, body } = await s.client.call('GET', path);
  if (code !== 200) return [];
  const [version = '', group] = groupVersion.split('/').reverse();
  return listAt(body, 'resources')
    .map((entry) => String(at(entry, 'name')))
    .filter((name) => !name.includes('/'))
    .map((name) => `${group === undefined ? name : `${name}.${group}`}/${version}`);
}

export const discovery: Theme = {
  name: 'discovery',
  scenarios: {
    'the groups and their versions': async (s) => {
      const body = await s.expect(200, 'GET', '/apis', { record: false });
      const groups = new Set(listAt(body, 'groups').map((group) => at(group, 'name')));
      for (const name of GROUP_VERSIONS) assert.ok(groups.has(name.split('/', 1)[0]), name);
      await s.expect(200, 'GET', '/apis/apps');
      await s.expect(200, 'GET', '/apis/autoscaling');
      await s.expect(200, 'GET', '/api', { pick: (answer) => [answer['kind'], answer['versions']] });
      await s.call('GET', '/apis/none.example.com');
      await s.call('GET', '/apis/apps/v9');
      await s.call('GET', '/api/v9');
    },
    'the resources of a group version': async (s) => {
      for (const groupVersion of Object.keys(RESOURCES)) {
        const path = groupVersion === 'v1' ? '/api/v1' : `/apis/${groupVersion}`;
        await s.expect(200, 'GET', path, {
          pick: (body) => ({ ...body, resources: resourcesOf(body, groupVersion) }),
        });
      }
    },
    'every kind of a fresh server is served, the listed ones apart': async (s) => {
      const { groups } = await s.expect(200, 'GET', '/apis', { record: false });
      const versions = [
        'v1',
        ...(groups as Json[])
          .flatMap((group) => listAt(group, 'versions'))
          .map((version) => String(at(version, 'groupVersion'))),
      ];
      const served = (await Promise.all(versions.map((version) => kindsOf(s, version)))).flat();
      // Whatever a CustomResourceDefinition has added is its own; of a scenario's, which has just gone, discovery may still tell.
      const definitions = await s.expect(200, 'GET', DEFINITIONS, { record: false });
      const custom = new Set(listAt(definitions, 'items').map((item) => String(at(item, 'metadata.name'))));
      const kinds = served.filter((kind) => {
        const resource = kind.slice(0, kind.indexOf('/'));
        return !unservedKinds.has(kind) && !custom.has(resource) && !resource.endsWith('.example.com');
      });
      s.exchanges.push({ request: 'kinds', body: kinds.sort() });
    },
    'aggregated discovery tells it all at once': async (s) => {
      for (const root of ['/api', '/apis']) {
        const body = await s.expect(200, 'GET', root, { headers: { accept: AGGREGATED }, record: false });
        assert.equal(body['kind'], 'APIGroupDiscoveryList');
        // In which order groups come is each server's own.
        const items = listAt(body, 'items').toSorted((a, b) =>
          String(at(a, 'metadata.name')) < String(at(b, 'metadata.name')) ? -1 : 1,
        );
        for (const item of items) {
          for (const version of listAt(item, 'versions')) {
            const group = at(item, 'metadata.name') as string | undefined;
            const name =
              group === undefined
                ? String(at(version, 'version'))
                : `${group}/${String(at(version, 'version'))}`;
            const wanted = new Set(RESOURCES[name]);
            const resources = listAt(version, 'resources').filter((entry) =>
              wanted.has(String(at(entry, 'resource'))),
            );
            if (wanted.size > 0)
              s.exchanges.push({
                request: `aggregated discovery of ${name}`,
                body: JSON.parse(JSON.stringify(resources.map(withoutStreams))),
              });
          }
        }
      }
    },
    'health, version and the keys of tokens': async (s) => {
      for (const path of ['/healthz', '/readyz', '/livez']) await s.expect(200, 'GET', path);
      const version = await s.expect(200, 'GET', '/version', { record: false });
      assert.match(String(version['gitVersion']), /^v1\.\d+\./);
      await s.expect(200, 'GET', '/openid/v1/jwks', {
        headers: { accept: 'application/jwk-set+json' },
        pick: (body) => listAt(body, 'keys').map((key) => at(key, 'use')),
      });
      await s.expect(200, 'GET', '/.well-known/openid-configuration', {
        pick: (body) => [body['response_types_supported'], body['subject_types_supported']],
      });
    },
    'OpenAPI v3': async (s) => {
      const index = await s.expect(200, 'GET', '/openapi/v3', { record: false });
      const paths = at(index, 'paths');
      assert.ok(isObject(paths));
      for (const groupVersion of GROUP_VERSIONS)
        assert.match(
          String(at(paths[`apis/${groupVersion}`], 'serverRelativeURL')),
          /^\/openapi\/v3\/apis\//,
          groupVersion,
        );
      const document = await s.expect(200, 'GET', '/openapi/v3/apis/apps/v1', { record: false });
      assert.match(String(document['openapi']), /^3\.0/);
      const schema = at(document, 'components.schemas') as Json;
      const deploymentSchema = schema['io.k8s.api.apps.v1.Deployment'];
      assert.deepEqual(at(deploymentSchema, 'x-kubernetes-group-version-kind'), [
        { group: 'apps', kind: 'Deployment', version: 'v1' },
      ]);
      const containers = at(schema['io.k8s.api.core.v1.PodSpec'], 'properties.containers');
      assert.deepEqual(at(containers, 'x-kubernetes-list-map-keys'), ['name']);
      assert.equal(at(containers, 'x-kubernetes-patch-merge-key'), 'name');
      assert.ok(
        isObject(
          at(document, 'paths./apis/apps/v1/namespaces/{namespace}/deployments/{name}') ??
            (document['paths'] as Json)['/apis/apps/v1/namespaces/{namespace}/deployments/{name}'],
        ),
      );
      await s.call('GET', '/openapi/v3/apis/none/v1', { pick: () => 'none' });
    },
  },
};

/** Streams into containers and what needs a node's own API are not served by the embedded cluster. */
function withoutStreams(entry: unknown): unknown {
  if (!isObject(entry) || !Array.isArray(entry['subresources'])) return entry;
  return {
    ...entry,
    subresources: entry['subresources'].filter(
      (subresource) => !unservedSubresources.has(String(at(subresource, 'subresource'))),
    ),
  };
}
