import assert from 'node:assert/strict';
import { test } from 'node:test';

import { EnvironmentError, settingsFromEnvironment } from './environment.ts';

const LEAST = { POD_NAME: 'control-plane-1', POD_IP: '10.1.0.1', ISTHMUS_CLUSTER_NAME: 'east' };

test('what is not set has the documented defaults', () => {
  const settings = settingsFromEnvironment(LEAST);
  assert.equal(settings.anchorsFile, '/var/run/isthmus/trust-roots/ca-bundle.crt');
  assert.equal(settings.destination.meshNamespace, 'isthmus');
  assert.equal(settings.destination.defaultInboundPolicy, 'all-unauthenticated');
  assert.deepEqual(settings.destination.opaquePorts, [25, 587, 3306, 4444, 5432, 6379, 9300, 11211]);
  assert.equal(settings.injection.proxyMode, 'explicit');
  assert.equal(settings.adoptLinkerd, false);
  assert.deepEqual(settings.ports, {
    identity: 8080,
    destination: 8086,
    policy: 8090,
    injector: 8443,
    admin: 9990,
  });
});

test('the values of the install reach destination and injector alike', () => {
  const settings = settingsFromEnvironment({
    ...LEAST,
    ISTHMUS_DEFAULT_INBOUND_POLICY: 'deny',
    ISTHMUS_OPAQUE_PORTS: '1, 2',
    ISTHMUS_CLUSTER_NETWORKS: '127.0.0.0/8',
    ISTHMUS_PROXY_MODE: 'transparent',
    ISTHMUS_PROXY_IMAGE: 'isthmus:next',
    ISTHMUS_ADOPT_LINKERD: 'true',
  });
  for (const part of [settings.destination, settings.injection]) {
    assert.equal(part.defaultInboundPolicy, 'deny');
    assert.deepEqual(part.opaquePorts, [1, 2]);
    assert.deepEqual(part.clusterNetworks, ['127.0.0.0/8']);
  }
  assert.equal(settings.injection.proxyMode, 'redirect');
  assert.equal(settings.injection.image, 'isthmus:next');
  assert.equal(settings.adoptLinkerd, true);
});

const wrong: [variable: string, value: string, problem: RegExp][] = [
  ['POD_IP', '', /POD_IP is not set: it must be the pod's address/],
  ['ISTHMUS_CLUSTER_NAME', '', /ISTHMUS_CLUSTER_NAME is not set/],
  ['ISTHMUS_DEFAULT_INBOUND_POLICY', 'allow', /is "allow": it must be one of all-unauthenticated/],
  ['ISTHMUS_OPAQUE_PORTS', '1,x', /has "x": it must be a list of ports/],
  ['ISTHMUS_CLUSTER_NETWORKS', '10.0.0.0', /"10.0.0.0" is not a network/],
  ['ISTHMUS_PROXY_MODE', 'magic', /is "magic": it must be explicit or redirect/],
];

for (const [variable, value, problem] of wrong) {
  test(`${variable}=${JSON.stringify(value)} is refused by name`, () => {
    assert.throws(
      () => settingsFromEnvironment({ ...LEAST, [variable]: value }),
      (error) =>
        error instanceof EnvironmentError && error.message.includes(variable) && problem.test(error.message),
    );
  });
}
