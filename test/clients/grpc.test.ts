import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import {
  Client,
  credentials,
  Metadata,
  Server,
  status,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type ServiceError,
  type sendUnaryData,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { port } from '../../api/names.ts';
import { identitiesPolicy, OPEN_POLICY } from '../../proxy/testing/mesh/fake-control-plane.ts';
import { metricSum } from '../../proxy/testing/mesh/http.ts';
import {
  meshedEndpoint,
  mirrorEndpoint,
  TestMesh,
  type TestCluster,
  type TestPod,
} from '../../proxy/testing/mesh/test-mesh.ts';
import { startGateway } from '../../gateway/index.ts';
import { BYTES, listenInPlaintext } from '../testing/grpc-bytes.ts';

/** gRPC of grpc-js through two sidecars, and through a gateway between clusters: what an app sees is what it would see without a mesh. */

const ECHO: ServiceDefinition = {
  say: { path: '/test.Echo/Say', requestStream: false, responseStream: false, ...BYTES },
  count: { path: '/test.Echo/Count', requestStream: false, responseStream: true, ...BYTES },
  sum: { path: '/test.Echo/Sum', requestStream: true, responseStream: false, ...BYTES },
  chat: { path: '/test.Echo/Chat', requestStream: true, responseStream: true, ...BYTES },
  fail: { path: '/test.Echo/Fail', requestStream: false, responseStream: false, ...BYTES },
  hang: { path: '/test.Echo/Hang', requestStream: false, responseStream: false, ...BYTES },
};

const { requestSerialize: to, responseDeserialize: from } = BYTES;

let mesh: TestMesh;
let west: TestCluster;
let server: TestPod;
let app: Server;
let appPort: number;
/** Calls of `Hang` that have come. */
const hanging: ServerUnaryCall<Buffer, Buffer>[] = [];
let onHang = (): void => {};

const implementation: UntypedServiceImplementation = {
  say(call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) {
    const initial = new Metadata();
    initial.set('x-client', String(call.metadata.get('l5d-client-id')[0]));
    initial.set('x-echo-bin', call.metadata.get('x-echo-bin')[0] ?? Buffer.alloc(0));
    call.sendMetadata(initial);
    const trailing = new Metadata();
    trailing.set('x-trailing', 'behind it');
    done(null, call.request, trailing);
  },
  count(call: ServerWritableStream<Buffer, Buffer>) {
    const n = Number(call.request.toString());
    for (let i = 0; i < n; i++) call.write(Buffer.from(String(i)));
    call.end();
  },
  sum(call: ServerReadableStream<Buffer, Buffer>, done: sendUnaryData<Buffer>) {
    let total = 0;
    call.on('data', (chunk: Buffer) => (total += chunk.length));
    call.on('end', () => done(null, Buffer.from(String(total))));
  },
  chat(call: ServerDuplexStream<Buffer, Buffer>) {
    call.on('data', (chunk: Buffer) => call.write(Buffer.from(`re: ${chunk.toString()}`)));
    call.on('end', () => call.end());
  },
  fail(_call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) {
    const metadata = new Metadata();
    metadata.set('x-why', 'it says so');
    done({ code: status.NOT_FOUND, details: 'no, really: ünïcode', metadata });
  },
  hang(call: ServerUnaryCall<Buffer, Buffer>) {
    hanging.push(call);
    onHang();
  },
};

before(async () => {
  mesh = await TestMesh.create();
  west = await mesh.cluster('west');
  server = mesh.pod(west, 'server');
  await mesh.sidecar(west, server);
  app = new Server();
  app.addService(ECHO, implementation);
  appPort = await listenInPlaintext(app, server.ip);
  mesh.onClose(() => app.forceShutdown());
});
after(() => mesh.close());

/** How a client comes to the app. */
interface Way {
  readonly name: string;
  readonly authority: string;
  readonly pod: () => Promise<TestPod>;
}

const WAYS: Way[] = [
  {
    name: 'through two sidecars',
    authority: 'echo.shop:50051',
    async pod() {
      const pod = mesh.pod(west, 'client');
      await mesh.sidecar(west, pod, mesh.fast(pod));
      west.controlPlane.setService('echo.shop:50051', [meshedEndpoint(server, appPort)]);
      return pod;
    },
  },
  {
    name: 'through a gateway',
    authority: 'echo-west.shop:50051',
    async pod() {
      const east = await mesh.cluster('east');
      const pod = mesh.pod(east, 'client');
      await mesh.sidecar(east, pod, mesh.fast(pod));
      const at = mesh.gatewayPod(west);
      west.controlPlane.setExports([{ namespace: 'shop', name: 'echo', ports: [50_051] }]);
      const target = 'echo.shop.svc.cluster.local:50051';
      west.controlPlane.setService(target, [meshedEndpoint(server, appPort)]);
      const gateway = await startGateway(mesh.meshConfig(at), await mesh.options(west, at));
      mesh.onClose(() => gateway.drain());
      east.controlPlane.setService('echo-west.shop:50051', [mirrorEndpoint(at, target)]);
      return pod;
    },
  },
];

for (const way of WAYS) {
  describe(`gRPC ${way.name}`, () => {
    let pod: TestPod;
    let client: Client;

    before(async () => {
      pod = await way.pod();
      client = new Client(`${pod.ip}:${port.outbound}`, credentials.createInsecure(), {
        'grpc.default_authority': way.authority,
        'grpc.enable_http_proxy': 0,
      });
    });
    after(() => client.close());

    function call(method: string, request: Buffer | string, metadata = new Metadata()) {
      let initial: Metadata | undefined;
      let trailing: Metadata | undefined;
      const answer = new Promise<Buffer>((resolve, reject) => {
        const sent = client.makeUnaryRequest(
          `/test.Echo/${method}`,
          to,
          from,
          Buffer.from(request),
          metadata,
          (error: ServiceError | null, value?: Buffer) => {
            if (error !== null || value === undefined) reject(error ?? new Error('no value'));
            else resolve(value);
          },
        );
        sent.on('metadata', (one: Metadata) => (initial = one));
        sent.on('status', ({ metadata: one }: { metadata: Metadata }) => (trailing = one));
      });
      return answer.then((value) => ({ value, initial, trailing }));
    }

    test('a unary call with metadata before and behind the answer', async () => {
      const metadata = new Metadata();
      metadata.set('x-echo-bin', Buffer.from([0, 255, 10, 13]));
      metadata.set('l5d-client-id', 'evil');
      const { value, initial, trailing } = await call('Say', 'hello', metadata);
      assert.equal(value.toString(), 'hello');
      const expected = way.name.endsWith('sidecars') ? pod.dnsName : pod.spiffeId;
      assert.deepEqual(initial?.get('x-client'), [expected]);
      assert.deepEqual(initial?.get('x-echo-bin'), [Buffer.from([0, 255, 10, 13])]);
      assert.deepEqual(trailing?.get('x-trailing'), ['behind it']);
    });

    test('messages from nothing to three megabytes', async () => {
      for (const size of [0, 1, 70_000, 3_000_000]) {
        const message = Buffer.alloc(size, 'isthmus ');
        assert.ok((await call('Say', message)).value.equals(message), String(size));
      }
    });

    test('the server streams', async () => {
      const stream = client.makeServerStreamRequest('/test.Echo/Count', to, from, Buffer.from('500'));
      const seen: string[] = [];
      for await (const message of stream) seen.push(String(message));
      assert.deepEqual(
        seen,
        Array.from({ length: 500 }, (_, i) => String(i)),
      );
    });

    test('the client streams', async () => {
      const total = new Promise<string>((resolve, reject) => {
        const stream = client.makeClientStreamRequest('/test.Echo/Sum', to, from, (error, value) => {
          if (error !== null || value === undefined) reject(error ?? new Error('no value'));
          else resolve(value.toString());
        });
        for (let i = 0; i < 100; i++) stream.write(Buffer.alloc(10_000));
        stream.end();
      });
      assert.equal(await total, '1000000');
    });

    test('both stream, one word after the other', async () => {
      const stream = client.makeBidiStreamRequest('/test.Echo/Chat', to, from);
      for (const word of ['one', 'two', 'three']) {
        stream.write(Buffer.from(word));
        const [answer] = (await once(stream, 'data')) as [Buffer];
        assert.equal(answer.toString(), `re: ${word}`);
      }
      stream.end();
      const [{ code }] = (await once(stream, 'status')) as [{ code: number }];
      assert.equal(code, status.OK);
    });

    test('a status with its details, and it counts as a failure', async () => {
      const labels = ['direction="outbound"', 'classification="failure"'];
      const failures = await metricSum(pod.ip, 'response_total', ...labels);
      await assert.rejects(call('Fail', ''), (error: ServiceError) => {
        assert.deepEqual([error.code, error.details], [status.NOT_FOUND, 'no, really: ünïcode']);
        assert.deepEqual(error.metadata.get('x-why'), ['it says so']);
        return true;
      });
      await assert.rejects(call('Nothing', ''), { code: status.UNIMPLEMENTED });
      assert.equal((await metricSum(pod.ip, 'response_total', ...labels)) - failures, 2);
    });

    test('a client that cancels: the server hears of it, and had heard of the deadline', async () => {
      const came = new Promise<void>((resolve) => (onHang = resolve));
      const deadline = Date.now() + 60_000;
      const args = [to, from, Buffer.alloc(0), new Metadata(), { deadline }] as const;
      const cancelled = client.makeUnaryRequest('/test.Echo/Hang', ...args, () => {});
      await came;
      const hung = hanging.pop();
      assert.ok(hung !== undefined);
      const toldMs = Number(hung.getDeadline()) - Date.now();
      assert.ok(toldMs > 0 && toldMs <= 60_000, String(toldMs));
      const heard = once(hung, 'cancelled');
      cancelled.cancel();
      await heard;
    });

    test('a hundred calls at once', async () => {
      const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => call('Say', String(i))));
      assert.deepEqual(
        answers.map(({ value }) => value.toString()),
        Array.from({ length: 100 }, (_, i) => String(i)),
      );
    });

    test('what the proxy itself refuses is a status of gRPC', async () => {
      west.controlPlane.setPolicy(appPort, identitiesPolicy(['nobody']));
      const denied = { code: status.PERMISSION_DENIED };
      await assert.rejects(
        // The policy comes by its own stream.
        (async () => {
          for (;;) await call('Say', 'x');
        })(),
        denied,
      );
      west.controlPlane.setPolicy(appPort, OPEN_POLICY);
    });
  });
}
