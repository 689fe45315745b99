import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { connect as connectHttp2, constants } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';

import { toBinary, create } from '@bufbuild/protobuf';

import type { TrustBundle } from '../api/proto/gen/isthmus/control_pb.js';
import { Destination, GetDestinationSchema, type Update } from '../api/proto/gen/linkerd/destination_pb.js';
import { InboundServerPolicies, PortSpecSchema } from '../api/proto/gen/linkerd/inbound_pb.js';
import { type Method, methods } from '../api/proto/methods.ts';
import type { AdmissionReview } from '../api/kubernetes-types.ts';
import { component, dnsIdentity, env, object } from '../api/names.ts';
import { silentLog } from '../kubernetes/log.ts';
import { resources } from '../kubernetes/resources.ts';
import {
  type Channel,
  createChannel,
  createResolver,
  createWorkloadIdentity,
  type GrpcError,
  grpcStatus,
  type WorkloadIdentity,
} from '../workload-identity/index.ts';
import {
  type ControlPlaneProcess,
  startControlPlaneProcess,
  tokensOf,
} from './testing/control-plane-process.ts';

let plane: ControlPlaneProcess;
let workload: WorkloadIdentity;
const channels: Channel[] = [];

const CONTROL_PLANE = dnsIdentity({
  serviceAccount: 'isthmus-control-plane',
  namespace: 'isthmus',
  meshNamespace: 'isthmus',
  trustDomain: 'cluster.local',
});

before(async () => {
  plane = await startControlPlaneProcess();
  await Promise.all([
    ...['identity', 'destination', 'policy'].map((name) =>
      plane.logged(new RegExp(`"service":"${name}".*"serving"`)),
    ),
    plane.logged(/the injector serves/),
  ]);
  workload = await createIdentity('shop', 'web');
});

/** A workload that asks for its certificate with a token. */
async function createIdentity(namespace: string, serviceAccount: string): Promise<WorkloadIdentity> {
  const tokenFile = join(plane.dir, `token-${serviceAccount}`);
  await writeFile(tokenFile, `token of ${namespace}/${serviceAccount}`);
  return createWorkloadIdentity({
    names: {
      serviceAccount,
      namespace,
      meshNamespace: 'isthmus',
      trustDomain: 'cluster.local',
      clusterId: 'east',
    },
    podName: `${serviceAccount}-1`,
    anchorsFile: plane.anchorsFile,
    certify: { kind: 'service', address: `${plane.ip}:8080`, tokenFile },
    trustBundleAddress: `${plane.ip}:8086`,
    resolve: createResolver({}),
    logger: silentLog,
  });
}

after(async () => {
  for (const channel of channels) channel.close();
  workload.stop();
  await plane.cleanUp();
});

function channelTo(port: number, caller = workload): Channel {
  const channel = createChannel({
    address: `${plane.ip}:${port}`,
    resolve: createResolver({}),
    tls: () => caller.clientOptions({ expect: { dnsName: CONTROL_PLANE } }),
    logger: silentLog,
  });
  channels.push(channel);
  return channel;
}

async function admin(path: string): Promise<{ status: number; body: string }> {
  const response = await fetch(`http://${plane.ip}:9990${path}`);
  return { status: response.status, body: await response.text() };
}

test('a workload gets its certificate and then the trust bundle from a control plane that says it is ready', async () => {
  await workload.ready;
  const bundle = await new Promise<TrustBundle>((message, reject) => {
    const call = channelTo(8086).bidiStream(methods.syncTrustBundles, { message, end: reject });
    call.send({ sequence: 0n, namespace: 'shop', workload: 'web-1' });
  });
  assert.ok(bundle.sequence > 0n);
  assert.deepEqual(
    bundle.anchors.map((der) => Buffer.from(der)),
    [new X509Certificate(plane.anchor).raw],
  );
  assert.deepEqual(await admin('/ready'), { status: 200, body: 'ready\n' });
  assert.equal((await admin('/live')).status, 200);
  const metrics = (await admin('/metrics')).body;
  assert.match(metrics, /^control_identity_cert_expiration_timestamp_seconds [1-9]/m);
  assert.match(metrics, /^issuer_cert_ttl_seconds [1-9]/m);
});

test('it streams endpoints of what the API server holds', async () => {
  await workload.ready;
  plane.api.put(resources.services, {
    metadata: { name: 'api', namespace: 'shop' },
    spec: { clusterIP: '10.0.0.11', ports: [{ port: 80 }] },
  });
  const updates: Update['update'][] = [];
  const { promise: added, resolve } = Promise.withResolvers<void>();
  const { promise: told, resolve: tell } = Promise.withResolvers<void>();
  const call = channelTo(8086).serverStream(
    methods.getEndpoints,
    { path: 'api:80', contextToken: '{"ns":"shop"}' },
    {
      message: ({ update }) => {
        updates.push(update);
        tell();
        if (update.case === 'add') resolve();
      },
      end: () => {},
    },
  );
  await told;
  assert.equal(updates[0]?.case, 'noEndpoints');
  plane.api.put(resources.endpointSlices, {
    metadata: { name: 'api-1', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'api' } },
    addressType: 'IPv4',
    ports: [{ port: 8080 }],
    endpoints: [{ addresses: ['10.1.0.1'] }],
  });
  await added;
  call.cancel();
});

test('endpoints for clients of their own node: for a workload those there, for the gateway all', async () => {
  plane.api.put(resources.services, {
    metadata: { name: 'agent', namespace: 'shop' },
    spec: { clusterIP: '10.0.0.12', ports: [{ port: 80 }], internalTrafficPolicy: 'Local' },
  });
  plane.api.put(resources.endpointSlices, {
    metadata: { name: 'agent-1', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'agent' } },
    addressType: 'IPv4',
    ports: [{ port: 8080 }],
    endpoints: [
      { addresses: ['10.1.0.1'], nodeName: 'n1' },
      { addresses: ['10.1.0.2'], nodeName: 'n2' },
    ],
  });
  await workload.ready;
  plane.api.fault = tokensOf(`isthmus:${component.gateway}`);
  const gateway = await createIdentity('isthmus', component.gateway);
  try {
    await gateway.ready;
    // The control plane sees the objects some time after they were made.
    assert.equal(await addressesTold(workload, 1), 1);
    assert.equal(await addressesTold(gateway, 2), 2);
  } finally {
    gateway.stop();
    plane.api.fault = tokensOf('shop:web');
  }
});

/** How many endpoints of `agent` a caller on node n1 is told; resolves once there are so many or more. */
function addressesTold(caller: WorkloadIdentity, enough: number): Promise<number> {
  return new Promise((resolve, reject) => {
    let told = 0;
    const request = { path: 'agent:80', contextToken: '{"ns":"shop","nodeName":"n1"}' };
    const call = channelTo(8086, caller).serverStream(methods.getEndpoints, request, {
      message: ({ update }) => {
        told += update.case === 'add' ? update.value.addrs.length : 0;
        if (told < enough) return;
        resolve(told);
        call.cancel();
      },
      end: reject,
    });
  });
}

function ended<O extends object>(
  channel: Channel,
  method: Method<'server-stream', object, O>,
): Promise<GrpcError | undefined> {
  return new Promise((resolve) => {
    channel.serverStream(method, {}, { message: () => {}, end: resolve });
  });
}

test('a workload that is not the gateway is not told what is exported', async () => {
  await workload.ready;
  assert.equal((await ended(channelTo(8086), methods.watchExports))?.code, grpcStatus.permissionDenied);
});

test('a name that is no Service ends the stream with its reason', async () => {
  await workload.ready;
  const error = await ended(channelTo(8086), methods.getEndpoints);
  assert.equal(error?.code, grpcStatus.invalidArgument);
});

/** TLS as Linkerd's proxy does it: no ALPN, and no certificate before it has one. */
async function connectLikeLinkerd(port: number): Promise<TLSSocket> {
  const socket = connectTls({
    host: plane.ip,
    port,
    ca: plane.anchor,
    servername: CONTROL_PLANE,
    minVersion: 'TLSv1.3',
  });
  await once(socket, 'secureConnect');
  assert.equal(socket.alpnProtocol, false);
  return socket;
}

/** One gRPC call over a socket, by HTTP/2 alone: the first message's bytes, or the status. */
async function callRaw(
  socket: TLSSocket,
  method: string,
  message: Uint8Array,
): Promise<{ bytes: number; status: unknown }> {
  const session = connectHttp2('http://control-plane', { createConnection: () => socket });
  try {
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: method,
      [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
      te: 'trailers',
    });
    const frame = Buffer.alloc(5);
    frame.writeUInt32BE(message.length, 1);
    stream.end(Buffer.concat([frame, message]));
    return await new Promise((resolve, reject) => {
      stream.once('error', reject);
      stream.once('data', (data: Buffer) => resolve({ bytes: data.length, status: undefined }));
      const status = (headers: Record<string, unknown>): void => {
        if (headers['grpc-status'] !== undefined) resolve({ bytes: 0, status: headers['grpc-status'] });
      };
      stream.once('response', status);
      stream.once('trailers', status);
    });
  } finally {
    session.destroy();
  }
}

test('a proxy without ALPN and without a certificate yet gets the policy of its ports', async () => {
  plane.api.put(resources.pods, { metadata: { name: 'web-1', namespace: 'shop' } });
  const socket = await connectLikeLinkerd(8090);
  const spec = toBinary(
    PortSpecSchema,
    create(PortSpecSchema, { workload: '{"ns":"shop","pod":"web-1"}', port: 80 }),
  );
  const { parent, name } = InboundServerPolicies.method.watchPort;
  const answer = await callRaw(socket, `/${parent.typeName}/${name}`, spec);
  assert.ok(answer.bytes > 5, JSON.stringify(answer));
});

test('without a certificate there are no endpoints, and the connection ends so that the client comes again', async () => {
  const socket = await connectLikeLinkerd(8086);
  const closed = once(socket, 'close');
  const request = toBinary(GetDestinationSchema, create(GetDestinationSchema, { path: 'api.shop.svc:80' }));
  const session = connectHttp2('http://control-plane', { createConnection: () => socket });
  session.on('error', () => {});
  const { parent, name } = Destination.method.get;
  const stream = session.request({
    [constants.HTTP2_HEADER_METHOD]: 'POST',
    [constants.HTTP2_HEADER_PATH]: `/${parent.typeName}/${name}`,
    [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
  });
  const frame = Buffer.alloc(5);
  frame.writeUInt32BE(request.length, 1);
  stream.end(Buffer.concat([frame, request]));
  const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
  assert.equal(headers['grpc-status'], String(grpcStatus.unauthenticated));
  await closed;
});

test('the webhook answers under the CA that stands in its configuration', async () => {
  const configured = (): string | undefined =>
    plane.api.find(resources.mutatingWebhookConfigurations, undefined, object.injectorWebhook)?.webhooks?.[0]
      ?.clientConfig.caBundle;
  await plane.api.until(() => configured() !== undefined);
  const review: AdmissionReview = {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: 'u-1',
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      namespace: 'shop',
      operation: 'CREATE',
      object: {
        metadata: { generateName: 'web-', annotations: { 'isthmus.dev/inject': 'enabled' } },
        spec: { containers: [{ name: 'app' }] },
      } as AdmissionReview['request'] extends { object?: infer O } ? O : never,
    },
  };
  const request = httpsRequest({
    host: plane.ip,
    port: 8443,
    path: '/inject?timeout=10s',
    method: 'POST',
    servername: 'isthmus-injector.isthmus.svc',
    ca: Buffer.from(configured() ?? '', 'base64'),
  });
  request.end(JSON.stringify(review));
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const { response: answer } = JSON.parse(await text(response)) as AdmissionReview;
  assert.equal(answer?.uid, 'u-1');
  assert.equal(answer.allowed, true);
  const patch = Buffer.from(answer.patch ?? '', 'base64').toString();
  assert.match(patch, /"isthmus-proxy"/);
  assert.match(patch, /"http:\/\/\$\(POD_IP\):4140"/);
});

test('an environment that can not be used is told by the name of the variable, with exit code 64', async () => {
  const child = spawn(process.execPath, [fileURLToPath(new URL('main.ts', import.meta.url))], {
    env: { [env.podName]: 'x', [env.podIp]: '127.0.0.1' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
  assert.equal(code, 64);
  assert.match(stderr, /ISTHMUS_CLUSTER_NAME is not set/);
});

test('an address that is taken is told, with exit code 1: the next start may find it free', async () => {
  const child = plane.again();
  const [stdout, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  assert.equal(code, 1);
  assert.match(stdout, /can not start/);
  assert.match(stdout, new RegExp(`${plane.ip}:9990`));
});

test('on SIGTERM streams end with Unavailable and the process with 0', async () => {
  await workload.ready;
  const { promise: open, resolve } = Promise.withResolvers<void>();
  const end = new Promise<GrpcError | undefined>((done) => {
    channelTo(8086).serverStream(
      methods.getEndpoints,
      { path: 'gone.shop.svc:80' },
      { message: () => resolve(), end: done },
    );
  });
  await open;
  const code = await plane.terminate();
  assert.equal((await end)?.code, grpcStatus.unavailable);
  assert.equal(code, 0);
});
