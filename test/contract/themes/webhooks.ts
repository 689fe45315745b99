import assert from 'node:assert/strict';
import { at, type Json } from '../json.ts';
import { configMap } from '../objects.ts';
import type { Scenario, Theme } from '../scenario.ts';
import { patching, type Respond, startWebhook, type WebhookServer } from '../webhook-server.ts';

const API = '/apis/admissionregistration.k8s.io/v1';

interface Hook extends WebhookServer {
  kind: 'mutating' | 'validating';
}

/** A webhook for the scenario's namespace, which the server calls from now on. */
async function install(
  s: Scenario,
  kind: 'mutating' | 'validating',
  respond: Respond,
  more: Json = {},
): Promise<Hook> {
  const server = await startWebhook((review) =>
    at(review, 'name') === 'canary' ? canary(review) : respond(review),
  );
  s.after(() => server.close());
  await configure(s, kind, { clientConfig: { url: server.url, caBundle: server.caBundle }, ...more });
  await s.patch(
    200,
    'merge',
    `/api/v1/namespaces/${s.namespace}`,
    { metadata: { labels: { hooked: s.id } } },
    { record: false },
  );
  return Object.assign(server, { kind });
}

/** The first object that is refused for its name shows that the server knows of the webhook. */
function canary(review: Json): Json {
  return at(review, 'operation') === 'CREATE'
    ? { allowed: false, status: { message: 'the canary' } }
    : { allowed: true };
}

async function configure(s: Scenario, kind: string, webhook: Json): Promise<void> {
  const path = `${API}/${kind}webhookconfigurations`;
  const name = `${s.id}-${kind}`;
  await s.expect(201, 'POST', path, {
    body: {
      metadata: { name },
      webhooks: [
        {
          name: 'hook.contract.example.com',
          admissionReviewVersions: ['v1'],
          sideEffects: 'None',
          namespaceSelector: { matchLabels: { hooked: s.id } },
          rules: [
            {
              apiGroups: [''],
              apiVersions: ['v1'],
              resources: ['configmaps'],
              operations: ['CREATE', 'UPDATE', 'DELETE'],
            },
          ],
          ...webhook,
        },
      ],
    },
    record: false,
  });
  s.after(() => s.client.call('DELETE', `${path}/${name}`));
}

async function ready(s: Scenario): Promise<void> {
  const { body } = await s.poll(
    'the webhook to be called',
    () => s.client.call('POST', `${s.path('configmaps')}?dryRun=All`, { body: configMap('canary') }),
    // Also one that it has not reached in time it knows of.
    ({ code }) => code >= 400,
  );
  assert.match(String(body['message']), /canary|hook\.contract/);
}

/** Reviews of what the scenario asked for. A controller of the server's own may write its anchors into the new namespace at any time. */
function of(hook: Hook): Json[] {
  return hook.reviews.filter((review) => {
    const published = at(review, 'name') === 'kube-root-ca.crt' && at(review, 'operation') === 'CREATE';
    return !published && at(review, 'name') !== 'canary';
  });
}

export const webhooks: Theme = {
  name: 'webhooks',
  scenarios: {
    'a mutating webhook changes what is stored': async (s) => {
      const hook = await install(s, 'mutating', (review) => ({
        ...patching(
          at(review, 'operation') === 'DELETE' ? [] : [{ op: 'add', path: '/data/added', value: 'yes' }],
        ),
        warnings: ['a warning'],
        auditAnnotations: { x: 'y' },
      }));
      await ready(s);
      const made = await s.expect(201, 'POST', s.path('configmaps'), {
        body: configMap('a', { x: '1' }),
        managedFields: true,
      });
      assert.equal(at(made, 'data.added'), 'yes');
      await s.patch(200, 'merge', `${s.path('configmaps')}/a`, { data: { x: '2' } });
      await s.patch(201, 'apply', `${s.path('configmaps')}/b?fieldManager=me`, configMap('b', { x: '1' }), {
        managedFields: true,
      });
      await s.expect(200, 'DELETE', `${s.path('configmaps')}/a`);
      for (const review of of(hook)) {
        const { uid: _uid, userInfo: _user, ...rest } = review;
        s.recordEvents(`review of ${String(at(review, 'operation'))}`, [rest]);
      }
      assert.deepEqual(
        of(hook).map((review) => at(review, 'operation')),
        ['CREATE', 'UPDATE', 'CREATE', 'DELETE'],
      );
    },
    'a validating webhook refuses': async (s) => {
      const answers: Record<string, Json> = {
        plain: { allowed: false },
        message: { allowed: false, status: { message: 'not today' } },
        code: {
          allowed: false,
          status: {
            code: 422,
            reason: 'Invalid',
            message: 'so wrong',
            details: { causes: [{ field: 'data.x', message: 'bad', reason: 'FieldValueInvalid' }] },
          },
        },
        teapot: { allowed: false, status: { code: 418, message: 'short and stout' } },
        fine: { allowed: true, warnings: ['careful', 'really'] },
        patches: patching([{ op: 'add', path: '/data/x', value: 'y' }]),
      };
      await install(s, 'validating', (review) => answers[String(at(review, 'name'))] ?? { allowed: true });
      await ready(s);
      for (const name of Object.keys(answers))
        await s.call('POST', s.path('configmaps'), { body: configMap(name) });
    },
    'dry runs are told to webhooks, and refused for those with side effects': async (s) => {
      const hook = await install(s, 'validating', () => ({ allowed: true }), { sideEffects: 'NoneOnDryRun' });
      await ready(s);
      await s.expect(201, 'POST', `${s.path('configmaps')}?dryRun=All`, { body: configMap('a') });
      await s.expect(201, 'POST', s.path('configmaps'), { body: configMap('a') });
      assert.deepEqual(
        of(hook).map((review) => at(review, 'dryRun')),
        [true, false],
      );
      await s.expect(422, 'POST', `${API}/validatingwebhookconfigurations?dryRun=All`, {
        body: {
          metadata: { name: `${s.id}-x` },
          webhooks: [
            {
              name: 'a.b.c',
              admissionReviewVersions: ['v1'],
              sideEffects: 'Some',
              clientConfig: { url: hook.url },
            },
          ],
        },
      });
    },
    'failurePolicy decides when a webhook can not be asked': async (s) => {
      const bad: Record<string, string> = {
        nonsense: 'x',
        empty: '{}',
        uid: JSON.stringify({
          kind: 'AdmissionReview',
          apiVersion: 'admission.k8s.io/v1',
          response: { uid: 'other', allowed: true },
        }),
        version: JSON.stringify({
          kind: 'AdmissionReview',
          apiVersion: 'admission.k8s.io/v1beta1',
          response: { uid: 'x', allowed: true },
        }),
      };
      const respond: Respond = (review) =>
        at(review, 'name') === 'silent' ? undefined : (bad[String(at(review, 'name'))] ?? { allowed: true });
      await install(s, 'validating', respond, { timeoutSeconds: 1 });
      await ready(s);
      for (const name of ['silent', ...Object.keys(bad)]) {
        await s.call('POST', s.path('configmaps'), {
          body: configMap(name),
          pick: ({ reason, code }) => ({ reason, code }),
        });
      }
      await s.patch(
        200,
        'json',
        `${API}/validatingwebhookconfigurations/${s.id}-validating`,
        [{ op: 'replace', path: '/webhooks/0/failurePolicy', value: 'Ignore' }],
        { record: false },
      );
      await s.poll(
        'the policy to take effect',
        () => s.client.call('POST', `${s.path('configmaps')}?dryRun=All`, { body: configMap('empty') }),
        ({ code }) => code === 201,
      );
      for (const name of ['silent', ...Object.keys(bad)])
        await s.expect(201, 'POST', s.path('configmaps'), { body: configMap(name) });
    },
    'a mutation that can not be taken': async (s) => {
      const answers: Record<string, Json> = {
        badpath: patching([{ op: 'replace', path: '/none/x', value: 1 }]),
        badtype: patching([{ op: 'add', path: '/data/x', value: 1 }]),
        invalid: patching([{ op: 'add', path: '/data/a b', value: 'x' }]),
        notype: { allowed: true, patch: 'W10=' },
        rename: patching([{ op: 'replace', path: '/metadata/name', value: 'other' }]),
        refused: { allowed: false, status: { message: 'no' } },
      };
      await install(s, 'mutating', (review) => answers[String(at(review, 'name'))] ?? { allowed: true });
      await ready(s);
      for (const name of Object.keys(answers))
        await s.call('POST', s.path('configmaps'), {
          body: configMap(name, { x: 'y' }),
          // Why a patch does not apply is each server's own word.
          ...(name === 'badpath' ? { pick: ({ reason, code }) => ({ reason, code }) } : {}),
        });
    },
    'objectSelector and matchConditions choose what is asked about': async (s) => {
      // The webhook would keep it from coming.
      await s.hasTrustBundle();
      const hook = await install(s, 'validating', () => ({ allowed: false }), {
        objectSelector: { matchExpressions: [{ key: 'skip', operator: 'DoesNotExist' }] },
      });
      await ready(s);
      await s.expect(201, 'POST', s.path('configmaps'), {
        body: configMap('a', {}, { labels: { skip: 'yes' } }),
      });
      await s.expect(400, 'POST', s.path('configmaps'), { body: configMap('b') });
      await s.expect(201, 'POST', s.path('secrets'), { body: { metadata: { name: 'other' } } });
      // What comes to be left out is asked about by what it was.
      await s.expect(400, 'DELETE', `${s.path('configmaps')}/kube-root-ca.crt`);
      assert.equal(of(hook).length, 2);
    },
  },
};
