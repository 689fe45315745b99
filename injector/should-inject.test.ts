import assert from 'node:assert/strict';
import { test } from 'node:test';

import { component } from '../api/names.ts';
import { shouldInject } from './should-inject.ts';
import { context, namespace, pod } from './testing/fixture.ts';

const OURS = 'isthmus.dev/inject';
const LINKERD = 'linkerd.io/inject';

type Annotations = Record<string, string>;

const precedence: [onPod: Annotations, onNamespace: Annotations, linkerdHere: boolean, expected: string][] = [
  [{}, {}, false, 'injection_enable_annotation_absent'],
  [{ [OURS]: 'enabled' }, {}, false, 'inject'],
  [{}, { [OURS]: 'enabled' }, false, 'inject'],
  [{ [LINKERD]: 'enabled' }, {}, false, 'inject'],
  [{}, { [LINKERD]: 'ingress' }, false, 'inject'],
  [{ [OURS]: 'disabled' }, { [OURS]: 'enabled' }, false, 'injection_disable_annotation_present'],
  [{ [OURS]: 'enabled' }, { [OURS]: 'disabled' }, false, 'inject'],
  [{ [LINKERD]: 'disabled' }, { [OURS]: 'enabled' }, false, 'injection_disable_annotation_present'],
  [{ [LINKERD]: 'enabled' }, { [OURS]: 'disabled' }, false, 'inject'],
  [{ [OURS]: 'enabled', [LINKERD]: 'disabled' }, {}, false, 'inject'],
  [{ [OURS]: 'disabled', [LINKERD]: 'enabled' }, {}, false, 'injection_disable_annotation_present'],
  [{}, { [OURS]: 'disabled', [LINKERD]: 'enabled' }, false, 'injection_disable_annotation_present'],
  [{ [OURS]: 'true' }, { [OURS]: 'enabled' }, false, 'invalid_inject_annotation_at_workload'],
  [{}, { [OURS]: 'yes' }, false, 'invalid_inject_annotation_at_ns'],
  [{ [LINKERD]: 'enabled' }, {}, true, 'injection_enable_annotation_absent'],
  [{ [LINKERD]: 'disabled' }, { [OURS]: 'enabled' }, true, 'inject'],
  [{ [OURS]: 'enabled' }, { [LINKERD]: 'disabled' }, true, 'inject'],
];

for (const [onPod, onNamespace, linkerdHere, expected] of precedence) {
  const name = `pod ${JSON.stringify(onPod)}, namespace ${JSON.stringify(onNamespace)}${linkerdHere ? ', Linkerd is here' : ''}: ${expected}`;
  test(name, () => {
    const decision = shouldInject(pod(onPod), namespace(onNamespace), {
      ...context,
      ignoreLinkerdAnnotation: linkerdHere,
    });
    assert.equal(decision.inject ? 'inject' : decision.skipped.code, expected);
  });
}

const ASKED = { [OURS]: 'enabled' };

const obstacles: [why: string, subject: ReturnType<typeof pod>, where: string, expected: string][] = [
  ["its node's network", pod(ASKED, { hostNetwork: true }), 'shop', 'host_network_enabled'],
  [
    'our sidecar',
    pod(ASKED, { initContainers: [{ name: component.proxy }] }),
    'shop',
    'sidecar_already_exists',
  ],
  [
    "Linkerd's sidecar",
    pod(ASKED, { containers: [{ name: 'linkerd-proxy' }] }),
    'shop',
    'sidecar_already_exists',
  ],
  ['the mesh namespace', pod(ASKED), 'isthmus', 'excluded_namespace'],
  ['kube-system', pod(ASKED), 'kube-system', 'excluded_namespace'],
  [
    'a static origin',
    pod({ ...ASKED, 'kubernetes.io/config.mirror': 'x' }),
    'shop',
    'disabled_automount_service_account_token_account',
  ],
  ["the sidecar's user", pod(ASKED, { securityContext: { runAsUser: 2102 } }), 'shop', 'proxy_uid_in_use'],
  [
    "the sidecar's user in an init container",
    pod(
      { ...ASKED, 'config.linkerd.io/proxy-uid': '70' },
      { initContainers: [{ name: 'i', securityContext: { runAsUser: 70 } }] },
    ),
    'shop',
    'proxy_uid_in_use',
  ],
];

for (const [why, subject, where, expected] of obstacles) {
  test(`a pod with ${why} is skipped: ${expected}`, () => {
    const redirecting = { ...context, proxyMode: 'redirect' as const };
    const decision = shouldInject(subject, namespace({}, where), redirecting);
    assert.equal(decision.inject ? 'inject' : decision.skipped.code, expected);
  });
}

test('automountServiceAccountToken: false is no obstacle, since the token is projected', () => {
  assert.equal(
    shouldInject(pod(ASKED, { automountServiceAccountToken: false }), namespace(), context).inject,
    true,
  );
});

test('the sidecar’s user is no matter where nothing is redirected, or where the sidecar has another', () => {
  const subject = pod(ASKED, { securityContext: { runAsUser: 2102 } });
  assert.equal(shouldInject(subject, namespace(), context).inject, true);
  const other = namespace({ 'config.linkerd.io/proxy-uid': '70' });
  assert.equal(shouldInject(subject, other, { ...context, proxyMode: 'redirect' }).inject, true);
});

test('a wrong value is told with what it must be', () => {
  const decision = shouldInject(pod({ [OURS]: 'yes' }), namespace(), context);
  assert.match(decision.inject ? '' : decision.skipped.message, /isthmus\.dev\/inject is "yes".*"enabled"/);
});
