import type { MessageInitShape } from '@bufbuild/protobuf';

import type { HttpRouteSchema } from '../../api/proto/gen/linkerd/inbound_pb.js';
import { HttpMethod_Registered } from '../../api/proto/gen/linkerd/http_types_pb.js';
import { defaultMetadata } from '../metadata.ts';
import type { WorkloadPod } from '../workload-pod.ts';
import { type AuthzInit, defaultAuthorization } from './default-policy.ts';
import { EVERYWHERE } from './networks.ts';

/** Linkerd's detection time limit. */
export const DETECT_TIMEOUT = { seconds: 10n };

/**
 * Under a policy that could refuse the kubelet, exactly the probe paths that the pod declares stay open. No routes at all stand for the one default route;
 * where there are some, the default has to be among them.
 * @param name of the default route
 * @param authorizations whom the default route lets in
 */
export function probeRoutes(
  pod: WorkloadPod,
  port: number,
  name: string,
  authorizations: AuthzInit[],
): MessageInitShape<typeof HttpRouteSchema>[] {
  const paths = pod.probePaths.get(port) ?? [];
  if (paths.length === 0) return [];
  const get = { type: { case: 'registered', value: HttpMethod_Registered.GET } } as const;
  return [
    {
      metadata: defaultMetadata('probe'),
      authorizations: [defaultAuthorization('probe', EVERYWHERE, 'anyone')],
      rules: [
        {
          matches: paths.map(
            (path) => ({ path: { kind: { case: 'exact', value: path } }, method: get }) as const,
          ),
        },
      ],
    },
    {
      metadata: defaultMetadata(name),
      authorizations,
      rules: [{ matches: [{ path: { kind: { case: 'prefix', value: '/' } } }] }],
    },
  ];
}
