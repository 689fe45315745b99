import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Deployment } from '../../api/kubernetes-types.ts';
import { component } from '../../api/names.ts';
import { settingsFromEnvironment } from '../../control-plane/environment.ts';
import { type AskedValues, installValues } from '../install/values.ts';
import { workloads } from '../install/workloads.ts';
import { injectionContext } from './injection-context.ts';

const installations: AskedValues[] = [
  { clusterName: 'east' },
  { clusterName: 'east', highAvailability: true, defaultInboundPolicy: 'deny' },
  {
    clusterName: 'west',
    meshNamespace: 'mesh',
    image: 'registry.example/isthmus:9',
    imagePullPolicy: 'Always',
    clusterNetworks: ['10.0.0.0/8'],
    'proxy.logLevel': 'debug',
    'proxy.resources.limits.memory': '1Gi',
    'proxy.resources.requests.cpu': '7m',
  },
];

for (const asked of installations) {
  for (const embedded of [true, false]) {
    const where = embedded ? 'an embedded cluster' : 'Kubernetes';
    test(`by hand the sidecar of ${JSON.stringify(asked)} on ${where} is the control plane's`, () => {
      const values = installValues(asked, { embedded });
      const { injection } = settingsFromEnvironment(environmentOf(component.controlPlane, workloads(values)));
      const byHand = injectionContext(values);
      // The control plane's own settings are among them as well.
      for (const [name, value] of Object.entries(byHand))
        assert.deepEqual(injection[name as keyof typeof injection], value, name);
    });
  }
}

/** The environment that a component's container gets; what the downward API says is the pod's own business. */
function environmentOf(name: string, objects: readonly object[]): Record<string, string> {
  const deployment = (objects as Deployment[]).find(
    ({ kind, metadata }) => kind === 'Deployment' && metadata?.name === name,
  );
  const env = deployment?.spec?.template.spec?.containers[0]?.env ?? [];
  return Object.fromEntries(env.map((variable) => [variable.name, variable.value ?? 'by the downward API']));
}
