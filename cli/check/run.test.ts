import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubernetesObject } from '../../api/kubernetes-types.ts';
import { component, label, object, VERSION } from '../../api/names.ts';
import { type KubernetesClient, KubernetesError, type Resource } from '../../kubernetes/types.ts';
import type { Output } from '../output.ts';
import { type Check, checks, type Verdict } from './checks.ts';
import { CheckPrinter, type CheckResult, checksToJson, runChecks, succeeded } from './run.ts';

/** Answers what the test has put there, by kind. */
function contextWith(objects: KubernetesObject[]) {
  const of = (resource: Resource): KubernetesObject[] => objects.filter((o) => o.kind === resource.kind);
  const client = {
    get: (resource: Resource, _namespace: string | undefined, name: string) => {
      const found = of(resource).find((o) => o.metadata?.name === name);
      if (found !== undefined) return Promise.resolve(found);
      return Promise.reject(new KubernetesError(`${resource.kind} ${name} not found`, 404, 'NotFound'));
    },
    list: (resource: Resource) => Promise.resolve({ items: of(resource) }),
  } as unknown as KubernetesClient;
  const config = { server: 'https://fake' };
  return { cluster: { context: 'fake', config, client }, meshNamespace: 'isthmus', now: Date.now() };
}

async function verdictOf(description: RegExp, objects: KubernetesObject[]): Promise<Verdict> {
  const check = checks.find((c) => description.test(c.description));
  assert.ok(check !== undefined);
  const [result] = await runChecks([check], contextWith(objects), 0, () => undefined);
  assert.ok(result !== undefined);
  return result.verdict;
}

function messageOf(verdict: Verdict): string {
  assert.notEqual(verdict.result, 'success');
  return verdict.result === 'success' ? '' : verdict.message;
}

function webhook(caBundle?: string): KubernetesObject {
  const clientConfig = caBundle === undefined ? {} : { caBundle };
  const webhooks = [{ name: 'injector.isthmus.dev', clientConfig }];
  return Object.assign(
    { kind: 'MutatingWebhookConfiguration', metadata: { name: object.injectorWebhook } },
    { webhooks },
  );
}

function pod(ready: boolean, version: string): KubernetesObject {
  const metadata = {
    name: 'web',
    namespace: 'demo',
    labels: { [label.controlPlaneNs]: 'isthmus' },
    annotations: { 'isthmus.dev/proxy-version': version },
  };
  const status = { initContainerStatuses: [{ name: component.proxy, ready }] };
  return Object.assign({ kind: 'Pod', metadata }, { status });
}

function link(type: string, status: string): KubernetesObject {
  const conditions = ['CredentialsValid', 'ApiReachable', 'Synced', 'GatewayAlive', 'TrustShared'].map((t) =>
    t === type ? { type: t, status, message: 'because' } : { type: t, status: 'True' },
  );
  return Object.assign(
    { kind: 'Link', metadata: { name: 'west' } },
    { spec: { targetClusterName: 'west' }, status: { conditions } },
  );
}

test('a webhook without the authority of its certificate is an error', async () => {
  assert.equal((await verdictOf(/webhook has the CA/, [webhook('QQ==')])).result, 'success');
  const verdict = await verdictOf(/webhook has the CA/, [webhook()]);
  assert.equal(verdict.result, 'error');
  assert.match(messageOf(verdict), /injector\.isthmus\.dev has no caBundle/);
});

test('an object that is not there is an error with its name', async () => {
  assert.match(messageOf(await verdictOf(/webhook has the CA/, [])), /isthmus-injector not found/);
});

test('a sidecar that is not ready is an error, one of another version a warning', async () => {
  assert.equal((await verdictOf(/sidecars are ready/, [pod(true, VERSION)])).result, 'success');
  assert.equal((await verdictOf(/sidecars are ready/, [pod(true, '0.0.1')])).result, 'warning');
  const both = await verdictOf(/sidecars are ready/, [pod(true, '0.0.1'), pod(false, VERSION)]);
  assert.equal(both.result, 'error');
  assert.match(messageOf(both), /demo\/web is not ready/);
});

for (const [check, type] of [
  [/credentials are valid/, 'CredentialsValid'],
  [/credentials are valid/, 'ApiReachable'],
  [/gateways of the linked/, 'GatewayAlive'],
  [/gateways of the linked/, 'TrustShared'],
] as const) {
  test(`a link whose ${type} is False is an error with its reason, Unknown a warning`, async () => {
    assert.equal((await verdictOf(check, [link(type, 'True')])).result, 'success');
    assert.equal((await verdictOf(check, [link(type, 'Unknown')])).result, 'warning');
    const verdict = await verdictOf(check, [link(type, 'False')]);
    assert.equal(verdict.result, 'error');
    assert.equal(messageOf(verdict), `link west: ${type} is False: because`);
  });
}

test('a mirror without a link is an error, one with a link is none', async () => {
  const mirror: KubernetesObject = {
    kind: 'Service',
    metadata: { name: 'web-west', namespace: 'demo', labels: { [label.mirrorCluster]: 'west' } },
  };
  assert.equal((await verdictOf(/belongs to a link/, [mirror, link('', '')])).result, 'success');
  assert.match(messageOf(await verdictOf(/belongs to a link/, [mirror])), /demo\/web-west has no Link/);
});

const says = (category: string, verdict: Verdict, fatal = false): Check => ({
  category,
  description: `check of ${category}`,
  hint: 'mend it',
  fatal,
  run: () => Promise.resolve(verdict),
});

test('a fatal failure ends the run, a warning does not fail it', async () => {
  const run = (list: Check[]): Promise<CheckResult[]> => runChecks(list, contextWith([]), 0, () => undefined);
  const stopped = await run([
    says('a', { result: 'error', message: 'no' }, true),
    says('b', { result: 'success' }),
  ]);
  assert.deepEqual([stopped.length, succeeded(stopped)], [1, false]);
  assert.ok(succeeded(await run([says('a', { result: 'warning', message: 'hm' })])));
});

test('results print in categories; the short form shows only what is not well; JSON holds all', () => {
  const results: CheckResult[] = [
    { category: 'a', description: 'one', hint: '', verdict: { result: 'success' } },
    { category: 'b', description: 'two', hint: 'mend it', verdict: { result: 'error', message: 'no' } },
  ];
  const print = (short: boolean): string => {
    let text = '';
    const output: Output = { out: (t) => void (text += t), err: () => undefined, interactive: false };
    const printer = new CheckPrinter(output, short);
    for (const result of results) printer.print(result);
    return text;
  };
  assert.equal(print(false), 'a\n-\n√ one\n\nb\n-\n× two\n    no\n    mend it\n');
  assert.equal(print(true), 'b\n-\n× two\n    no\n    mend it\n');
  assert.deepEqual(checksToJson(results), {
    success: false,
    categories: [
      { categoryName: 'a', checks: [{ description: 'one', result: 'success' }] },
      { categoryName: 'b', checks: [{ description: 'two', result: 'error', hint: 'mend it', error: 'no' }] },
    ],
  });
});
