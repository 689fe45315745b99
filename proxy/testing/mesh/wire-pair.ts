import { port } from '../../../api/names.ts';
import type { RuntimeOptions } from '../../runtime.ts';
import { meshedEndpoint, TestMesh, type TestCluster, type TestPod } from './test-mesh.ts';
import { dialWire, startWireApp, type Wire } from './wire.ts';

/** Two meshed pods of one cluster: apps that are served by hand on one, connections read byte by byte from the other. */
export interface WirePair {
  readonly mesh: TestMesh;
  readonly east: TestCluster;
  readonly client: TestPod;
  readonly server: TestPod;
  /** Starts an app of the server's pod, each connection served by `serve`. Answers the name that it is called by. */
  service(name: string, serve: (app: Wire) => Promise<void>): Promise<string>;
  /** A connection of the client's app to its own sidecar. */
  dial(): Promise<Wire>;
}

export async function startWirePair(runtime: Partial<RuntimeOptions> = {}): Promise<WirePair> {
  const mesh = await TestMesh.create();
  const east = await mesh.cluster('east');
  const client = mesh.pod(east, 'client');
  const server = mesh.pod(east, 'server');
  await mesh.sidecar(east, client, mesh.fast(client), runtime);
  await mesh.sidecar(east, server, {}, runtime);
  return {
    mesh,
    east,
    client,
    server,
    async service(name, serve) {
      const at = await startWireApp(mesh, server.ip, serve);
      east.controlPlane.setService(`${name}.shop:80`, [meshedEndpoint(server, at)]);
      return `${name}.shop`;
    },
    dial: () => dialWire(mesh, client.ip, port.outbound),
  };
}
