import fc from 'fast-check';
import type {
  Container,
  ContainerPort,
  PodSpec,
  PodTemplateSpec,
  Volume,
} from '../../api/kubernetes-types.ts';

/** Some settings of each kind: by Linkerd's name and ours, readable and not. */
const settings = fc.dictionary(
  fc.constantFrom(
    'config.linkerd.io/proxy-cpu-limit',
    'config.isthmus.dev/proxy-memory-request',
    'config.linkerd.io/opaque-ports',
    'config.linkerd.io/skip-inbound-ports',
    'config.beta.linkerd.io/proxy-enable-native-sidecar',
    'config.linkerd.io/proxy-await',
    'config.linkerd.io/admin-port',
    'config.linkerd.io/proxy-uid',
    'config.linkerd.io/access-log',
  ),
  fc.constantFrom('100m', '64Mi', '3306,http', 'true', 'false', 'disabled', '4143', '1000', 'nonsense'),
  { maxKeys: 3 },
);

/** Annotations of a namespace that say nothing about whether to inject. */
export const anyNamespaceAnnotations = settings;

const POD_IP = { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } };

const container = fc
  .record({
    name: fc.constantFrom('app', 'other'),
    user: fc.constantFrom(undefined, 0, 1000, 2102),
    ports: fc.constantFrom<(ContainerPort[] | undefined)[]>(
      undefined,
      [{ name: 'http', containerPort: 8080 }],
      [{ containerPort: 4143 }],
    ),
    proxy: fc.constantFrom(undefined, 'http://corporate:3128'),
  })
  .map(({ name, user, ports, proxy }): Container => ({
    name,
    // Explicit mode would add it, and leave it.
    env: [POD_IP, ...(proxy === undefined ? [] : [{ name: 'HTTP_PROXY', value: proxy }])],
    ...(ports === undefined ? {} : { ports }),
    ...(user === undefined ? {} : { securityContext: { runAsUser: user } }),
  }));

const spec = fc
  .record({
    containers: fc.array(container, { minLength: 1, maxLength: 2 }),
    initContainers: fc.array(container, { maxLength: 2 }),
    volumes: fc.constantFrom<Volume[][]>([], [{ name: 'data', emptyDir: {} }]),
    hostNetwork: fc.constantFrom(undefined, true),
    restartPolicy: fc.constantFrom(undefined, 'Never' as const),
  })
  .map(({ containers, initContainers, volumes, hostNetwork, restartPolicy }): PodSpec => ({
    containers,
    ...(initContainers.length === 0 ? {} : { initContainers }),
    ...(volumes.length === 0 ? {} : { volumes }),
    ...(hostNetwork === undefined ? {} : { hostNetwork }),
    ...(restartPolicy === undefined ? {} : { restartPolicy }),
  }));

/** Any pod template: with settings or without, on its node's network, as any user, with init containers and volumes. */
export const anyTemplate: fc.Arbitrary<PodTemplateSpec> = fc.record({
  metadata: fc.record({
    labels: fc.constant({ app: 'web' }),
    annotations: settings.map((own) => ({ team: 'shop', ...own })),
  }),
  spec,
});
