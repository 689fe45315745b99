import { TestMesh, type TestCluster, type TestPod } from './test-mesh.ts';

/** A mesh of one cluster. */
export interface ClientMesh {
  readonly mesh: TestMesh;
  readonly east: TestCluster;
  /** It has a sidecar, and asks. */
  readonly client: TestPod;
}

/** @param times `fast` where a test waits for failures */
export async function clientMesh(times: 'fast' | 'default' = 'default'): Promise<ClientMesh> {
  const mesh = await TestMesh.create();
  const east = await mesh.cluster('east');
  const client = mesh.pod(east, 'client');
  await mesh.sidecar(east, client, times === 'fast' ? mesh.fast(client) : {});
  return { mesh, east, client };
}
