import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { DEFAULT_INBOUND_POLICIES } from '../../api/default-policies.ts';
import { UserError } from '../errors.ts';
import { keptValues, valuesFromFile, valuesFromSet } from './asked-values.ts';
import { VALUES } from './value-schema.ts';
import { installValues } from './values.ts';

const saysAll =
  (...patterns: RegExp[]) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof UserError);
    for (const pattern of patterns) assert.match(`${error.message}\n${error.hint}`, pattern);
    return true;
  };

test('--set reads numbers, switches, lists, words and quantities by what the value is', () => {
  const given = valuesFromSet([
    'gateway.replicas=2',
    'adoptLinkerd=true',
    'clusterNetworks=10.0.0.0/8, fd00::/8',
    'proxyMode=explicit',
    'proxy.resources.limits.memory=250Mi',
    'gateway.replicas=4',
  ]);
  const values = installValues({ clusterName: 'east', ...given }, { embedded: false });
  assert.equal(values.gateway.replicas, 4, 'the later one wins');
  assert.equal(values.adoptLinkerd, true);
  assert.deepEqual(values.clusterNetworks, ['10.0.0.0/8', 'fd00::/8']);
  assert.equal(values.proxyMode, 'explicit');
  assert.deepEqual(values.proxy.resources, {
    requests: { cpu: '10m', memory: '64Mi' },
    limits: { memory: '250Mi' },
  });
});

test('every default policy that the control plane knows can be asked for, audit among them', () => {
  for (const policy of DEFAULT_INBOUND_POLICIES)
    assert.deepEqual(valuesFromSet([`defaultInboundPolicy=${policy}`]), { defaultInboundPolicy: policy });
});

const REFUSED: [argument: string, ...says: RegExp[]][] = [
  ['gateway.replica=2', /--set: there is no value "gateway.replica"/, /There are: .*gateway\.replicas/],
  ['replicas=2', /no value "replicas"/, /Did you mean .*controlPlane\.replicas.*gateway\.replicas/],
  ['gateway=2', /no value "gateway"/, /Did you mean gateway\.replicas, gateway\.serviceType/],
  ['toString=1', /no value "toString"/],
  [
    'gateway.replicas=0',
    /gateway\.replicas is "0": it must be a whole number from 1 to 100/,
    /Replicas of the/,
  ],
  ['gateway.replicas=1.5', /it must be a whole number/],
  ['adoptLinkerd=yes', /it must be true or false/],
  ['clusterNetworks=10.0.0.0', /it must be address blocks/],
  ['webhook.failurePolicy=fail', /one of Ignore, Fail/],
  ['proxy.resources.requests.cpu=lots', /a quantity such as/],
  ['gateway.replicas', /is no assignment/, /--set key=value/],
  ['clusterName=other', /clusterName is not set this way/, /--cluster-name/],
];

for (const [argument, ...says] of REFUSED) {
  test(`--set ${argument} is refused with what to do`, () => {
    assert.throws(() => valuesFromSet([argument]), saysAll(...says));
  });
}

test('a file may be a tree or have dotted keys; what is wrong in it is told by name', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'isthmus-values-'));
  t.after(() => rm(dir, { recursive: true }));
  const file = async (content: string): Promise<string> => {
    await writeFile(join(dir, 'values.yaml'), content);
    return join(dir, 'values.yaml');
  };
  assert.deepEqual(
    await valuesFromFile(
      await file('gateway: {replicas: 2}\nproxy.logLevel: debug\nclusterNetworks: [10.0.0.0/8]\n'),
    ),
    { 'gateway.replicas': 2, 'proxy.logLevel': 'debug', clusterNetworks: ['10.0.0.0/8'] },
  );
  assert.deepEqual(await valuesFromFile(await file('# nothing\n')), {});
  await assert.rejects(
    valuesFromFile(await file('gateway: {replica: 2}')),
    saysAll(/values\.yaml: .*"gateway\.replica"/),
  );
  await assert.rejects(valuesFromFile(await file('- 1')), saysAll(/holds no values/));
  await assert.rejects(valuesFromFile(await file('a: [')), saysAll(/can not be read/));
  await assert.rejects(valuesFromFile(join(dir, 'none.yaml')), saysAll(/can not be read/));
});

test('what a former version has written down is kept as far as it is still known and makes sense', () => {
  const written = {
    'gateway.replicas': 2,
    'gone.with.the.version': 1,
    logLevel: 'shout',
    adoptLinkerd: true,
  };
  assert.deepEqual(keptValues(written), { 'gateway.replicas': 2, adoptLinkerd: true });
  assert.deepEqual(keptValues('nonsense'), {});
});

test('every value that can be set is read back from what the defaults are, and stands in docs/values.md', async () => {
  const docs = await readFile(new URL('../../docs/values.md', import.meta.url), 'utf8');
  for (const ha of [false, true]) {
    const values = installValues({ clusterName: 'east', highAvailability: ha }, { embedded: false });
    for (const [path, { read, describe }] of Object.entries(VALUES)) {
      const value = path
        .split('.')
        .reduce<unknown>((tree, key) => (tree as Record<string, unknown> | undefined)?.[key], values);
      if (value !== undefined) assert.deepEqual(read(value), value, path);
      const row = docs.split('\n').find((line) => line.startsWith(`| \`${path}\` |`));
      assert.ok(row?.includes(describe.replaceAll('|', '\\|')), `a row for ${path}: ${describe}`);
    }
  }
});
