import type { MutatingWebhookConfiguration } from '../../api/kubernetes-types.ts';
import { component, label, object, port } from '../../api/names.ts';
import { labels } from './pod-parts.ts';
import type { InstallValues } from './values.ts';

/** The webhook that adds sidecars. The control plane fills in `caBundle` with the authority of its own webhook certificate and keeps it right. */
export function webhook(values: InstallValues): MutatingWebhookConfiguration {
  const { failurePolicy, timeoutSeconds } = values.webhook;
  const outside = (key: string, names: string[]) => ({ key, operator: 'NotIn' as const, values: names });
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name: object.injectorWebhook, labels: labels(component.injector) },
    webhooks: [
      {
        name: 'injector.isthmus.dev',
        clientConfig: {
          service: {
            namespace: values.meshNamespace,
            name: component.injector,
            path: '/inject',
            port: port.injector,
          },
        },
        rules: [
          {
            apiGroups: [''],
            apiVersions: ['v1'],
            operations: ['CREATE'],
            resources: ['pods'],
            scope: 'Namespaced',
          },
        ],
        namespaceSelector: {
          matchExpressions: [
            outside(label.disableInjection, ['disabled']),
            outside('kubernetes.io/metadata.name', ['kube-system', values.meshNamespace]),
          ],
        },
        failurePolicy,
        sideEffects: 'None',
        timeoutSeconds,
        admissionReviewVersions: ['v1'],
        reinvocationPolicy: 'IfNeeded',
      },
    ],
  };
}
