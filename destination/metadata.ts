import { create } from '@bufbuild/protobuf';

import type { KubernetesObject } from '../api/kubernetes-types.ts';
import { type Metadata, MetadataSchema } from '../api/proto/gen/linkerd/meta_pb.js';

/** Names a Service as the origin of something. `core` is what Linkerd writes for the group without a name. */
export function serviceMetadata(service: { namespace: string; name: string; port: number }): Metadata {
  const { namespace, name, port } = service;
  return create(MetadataSchema, {
    kind: { case: 'resource', value: { group: 'core', kind: 'Service', namespace, name, port } },
  });
}

/** Names a route as the origin of something. */
export function routeMetadata(
  { group, kind }: { group: string; kind: string },
  { metadata }: KubernetesObject,
): Metadata {
  const { namespace = '', name = '' } = metadata ?? {};
  return create(MetadataSchema, { kind: { case: 'resource', value: { group, kind, namespace, name } } });
}

/** Names something that no object stands behind. */
export function defaultMetadata(name: string): Metadata {
  return create(MetadataSchema, { kind: { case: 'default', value: name } });
}
