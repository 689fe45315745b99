import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Container } from './kubernetes-types.ts';
import { component } from './names.ts';
import { probePaths } from './pod-probes.ts';

function probed(name: string, port: number | string, path?: string): Container {
  const httpGet = path === undefined ? { port } : { port, path };
  return { name, ports: [{ name: 'http', containerPort: 8080 }], livenessProbe: { httpGet } };
}

test('paths by port: of all containers that the kubelet probes but our own, each once, as it asks for them', () => {
  const paths = probePaths({
    containers: [
      {
        ...probed('app', 'http', '/healthz?full=1'),
        readinessProbe: { httpGet: { port: 8080, path: 'ready' } },
        startupProbe: { httpGet: { port: 'http', path: '/healthz' } },
      },
      probed('other', 9000),
      probed('unnamed', 'admin', '/never'),
      { name: 'tcp', livenessProbe: { tcpSocket: { port: 5432 } } },
      probed(component.proxy, 4191, '/live'),
    ],
    initContainers: [
      { ...probed('helper', 7000, '/up'), restartPolicy: 'Always' },
      probed('migrate', 7001, '/never'),
      { ...probed(component.proxy, 4191, '/live'), restartPolicy: 'Always' },
    ],
  });
  assert.deepEqual(
    [...paths],
    [
      [8080, ['/healthz', '/ready']],
      [9000, ['/']],
      [7000, ['/up']],
    ],
  );
});
