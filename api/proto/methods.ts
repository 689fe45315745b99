import type { DescMessage, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import { decode, encode } from './codec.ts';
import type {
  ExportedServicesSchema,
  TrustBundleAckSchema,
  TrustBundleSchema,
  WatchExportsSchema,
} from './gen/isthmus/control_pb.js';
import type {
  DestinationProfileSchema,
  GetDestinationSchema,
  UpdateSchema,
} from './gen/linkerd/destination_pb.js';
import type { CertifyRequestSchema, CertifyResponseSchema } from './gen/linkerd/identity_pb.js';
import type { PortSpecSchema, ServerSchema } from './gen/linkerd/inbound_pb.js';
import type { OutboundPolicySchema, TrafficSpecSchema } from './gen/linkerd/outbound_pb.js';

/** Who sends how many messages. */
export type MethodKind = 'unary' | 'server-stream' | 'bidi-stream';

/** A method of the control plane, as one who calls it sees it. */
export interface Method<Kind extends MethodKind, Request extends object, Answer extends object> {
  readonly kind: Kind;
  /** Of the request: `/<service>/<method>`. */
  readonly path: string;
  /** What the request lacks has its default. */
  readonly encode: (request: Request) => Buffer;
  /** Throws where the bytes are no answer. */
  readonly decode: (bytes: Uint8Array) => Answer;
  /** An answer of which the rest has its default. */
  readonly answer: (part: object) => Answer;
}

function method<Kind extends MethodKind, Request extends DescMessage, Answer extends DescMessage>(
  kind: Kind,
  path: string,
  request: MessageShape<Request>['$typeName'],
  answer: MessageShape<Answer>['$typeName'],
): Method<Kind, MessageInitShape<Request>, MessageShape<Answer>> {
  const toAnswer = (bytes: Uint8Array) => decode(answer, bytes) as MessageShape<Answer>;
  return {
    kind,
    path,
    encode: (message) => encode(request, message),
    decode: toAnswer,
    answer: (part) => toAnswer(encode(answer, part)),
  };
}

/** The calls that processes of the data plane make. */
export const methods = {
  certify: method<'unary', typeof CertifyRequestSchema, typeof CertifyResponseSchema>(
    'unary',
    '/io.linkerd.proxy.identity.Identity/Certify',
    'io.linkerd.proxy.identity.CertifyRequest',
    'io.linkerd.proxy.identity.CertifyResponse',
  ),
  syncTrustBundles: method<'bidi-stream', typeof TrustBundleAckSchema, typeof TrustBundleSchema>(
    'bidi-stream',
    '/isthmus.control.v1.TrustBundles/Sync',
    'isthmus.control.v1.TrustBundleAck',
    'isthmus.control.v1.TrustBundle',
  ),
  watchExports: method<'server-stream', typeof WatchExportsSchema, typeof ExportedServicesSchema>(
    'server-stream',
    '/isthmus.control.v1.Exports/Watch',
    'isthmus.control.v1.WatchExports',
    'isthmus.control.v1.ExportedServices',
  ),
  getEndpoints: method<'server-stream', typeof GetDestinationSchema, typeof UpdateSchema>(
    'server-stream',
    '/io.linkerd.proxy.destination.Destination/Get',
    'io.linkerd.proxy.destination.GetDestination',
    'io.linkerd.proxy.destination.Update',
  ),
  getProfile: method<'server-stream', typeof GetDestinationSchema, typeof DestinationProfileSchema>(
    'server-stream',
    '/io.linkerd.proxy.destination.Destination/GetProfile',
    'io.linkerd.proxy.destination.GetDestination',
    'io.linkerd.proxy.destination.DestinationProfile',
  ),
  watchPort: method<'server-stream', typeof PortSpecSchema, typeof ServerSchema>(
    'server-stream',
    '/io.linkerd.proxy.inbound.InboundServerPolicies/WatchPort',
    'io.linkerd.proxy.inbound.PortSpec',
    'io.linkerd.proxy.inbound.Server',
  ),
  watchOutbound: method<'server-stream', typeof TrafficSpecSchema, typeof OutboundPolicySchema>(
    'server-stream',
    '/io.linkerd.proxy.outbound.OutboundPolicies/Watch',
    'io.linkerd.proxy.outbound.TrafficSpec',
    'io.linkerd.proxy.outbound.OutboundPolicy',
  ),
} as const;
