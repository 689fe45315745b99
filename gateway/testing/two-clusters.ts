import type { RequestListener } from 'node:http';
import type { MeshConfig, RuntimeOptions } from '../../proxy/index.ts';
import { startApp, type TestApp } from '../../proxy/testing/mesh/http.ts';
import {
  meshedEndpoint,
  mirrorEndpoint,
  TestMesh,
  type TestCluster,
  type TestPod,
} from '../../proxy/testing/mesh/test-mesh.ts';
import { startGateway, type Gateway } from '../index.ts';

/** What west exports. */
export const TARGET = 'web.shop.svc.cluster.local:80';

/** A gateway of a test. */
export interface TestGateway {
  readonly pod: TestPod;
  readonly running: Gateway;
  /** Once; the end of the test does it too. */
  drain(): Promise<void>;
}

/**
 * Two clusters with one trust anchor: a client with a sidecar in east; in west an app behind a sidecar, exported as
 * `TARGET`, and a gateway. East knows it as `web-west.shop`.
 */
export interface TwoClusters {
  readonly mesh: TestMesh;
  readonly east: TestCluster;
  readonly west: TestCluster;
  readonly client: TestPod;
  readonly server: TestPod;
  readonly app: TestApp;
  readonly gateway: TestPod;
  /** What runs in that pod. */
  readonly replica: TestGateway;
}

/** What a test would have otherwise. */
export interface TwoClustersOptions {
  /** By default it answers with the fields that it saw. */
  app?: RequestListener;
  /** How a part is set. `fast`: with times that a test can wait for. */
  config?(part: 'client' | 'server' | 'gateway', fast: Pick<MeshConfig, 'times'>): Partial<MeshConfig>;
  /** How the client's sidecar runs. */
  client?: Partial<RuntimeOptions>;
}

/** Starts them; `mesh.close()` ends all. */
export async function twoClusters(options: TwoClustersOptions = {}): Promise<TwoClusters> {
  const mesh = await TestMesh.create();
  const [east, west] = [await mesh.cluster('east'), await mesh.cluster('west')];
  const [client, server] = [mesh.pod(east, 'client'), mesh.pod(west, 'server')];
  const config = (part: 'client' | 'server' | 'gateway', pod: TestPod) =>
    options.config?.(part, mesh.fast(pod)) ?? {};
  await mesh.sidecar(east, client, config('client', client), options.client);
  await mesh.sidecar(west, server, config('server', server));
  const app = await startApp(mesh, server.ip, options.app ?? echoHeaders);
  west.controlPlane.setService(TARGET, [meshedEndpoint(server, app.port)]);
  west.controlPlane.setExports([{ namespace: 'shop', name: 'web', ports: [80] }]);
  const pod = mesh.gatewayPod(west);
  const replica = await gatewayIn(mesh, west, pod, config('gateway', pod));
  east.controlPlane.setService('web-west.shop:80', [mirrorEndpoint(pod, TARGET)]);
  return { mesh, east, west, client, server, app, gateway: pod, replica };
}

/** Starts a gateway of a cluster. */
export async function gatewayIn(
  mesh: TestMesh,
  cluster: TestCluster,
  pod = mesh.gatewayPod(cluster),
  config: Partial<MeshConfig> = {},
): Promise<TestGateway> {
  const running = await startGateway(
    { ...mesh.meshConfig(pod), ...config },
    await mesh.options(cluster, pod),
  );
  let drained: Promise<void> | undefined;
  const drain = (): Promise<void> => (drained ??= running.drain());
  mesh.onClose(drain);
  return { pod, running, drain };
}

const echoHeaders: RequestListener = (incoming, response) => response.end(JSON.stringify(incoming.headers));
