import assert from 'node:assert/strict';
import { BlockList } from 'node:net';
import { test } from 'node:test';
import * as yaml from 'js-yaml';
import { chooseClusters, CLUSTERS, kindConfig, linksBetween } from './clusters.ts';

test('no subnet of any cluster overlaps another', () => {
  const subnets = CLUSTERS.flatMap(({ podSubnet, serviceSubnet }) => [podSubnet, serviceSubnet]);
  assert.equal(subnets.length, 2 * CLUSTERS.length);
  for (const [index, subnet] of subnets.entries()) {
    const [network = '', prefix = ''] = subnet.split('/');
    const range = new BlockList();
    range.addSubnet(network, Number(prefix));
    for (const other of subnets.toSpliced(index, 1)) {
      assert.ok(!range.check(other.split('/')[0] ?? ''), `${subnet} holds ${other}`);
    }
  }
});

test('all clusters where none is named, otherwise those, in the declared order', () => {
  assert.deepEqual(
    chooseClusters([]).map((c) => c.name),
    ['east', 'west', 'north'],
  );
  assert.deepEqual(
    chooseClusters(['north', 'east']).map((c) => c.name),
    ['east', 'north'],
  );
});

test('a name that is not declared is told, with those that are', () => {
  assert.throws(() => chooseClusters(['east', 'south']), {
    message: /no kind cluster south/,
    hint: 'Declared are east, west, north.',
  });
});

test("kind's configuration has the subnets of the cluster", () => {
  const [east] = chooseClusters(['east']);
  assert.ok(east !== undefined);
  assert.deepEqual(yaml.load(kindConfig(east)), {
    kind: 'Cluster',
    apiVersion: 'kind.x-k8s.io/v1alpha4',
    networking: { podSubnet: '10.11.0.0/16', serviceSubnet: '10.111.0.0/16' },
    nodes: [{ role: 'control-plane' }],
  });
});

test('each cluster is linked to each other, none to itself', () => {
  const links = linksBetween(CLUSTERS).map(({ source, target }) => `${source.name}>${target.name}`);
  assert.deepEqual(links, ['east>west', 'east>north', 'west>east', 'west>north', 'north>east', 'north>west']);
});
