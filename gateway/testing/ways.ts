import { alpn } from '../../api/names.ts';
import type { FakeEndpoint } from '../../proxy/testing/mesh/fake-control-plane.ts';
import { meshedEndpoint, mirrorEndpoint } from '../../proxy/testing/mesh/test-mesh.ts';
import { twoClusters, type TwoClusters } from './two-clusters.ts';

/** How a client's sidecar and a gateway speak to each other. `hinted`: HTTP/1.1 goes in HTTP/2. */
export const WAYS = [
  { name: 'isthmus/1', protocols: [alpn.isthmus], hinted: false },
  { name: "Linkerd's way", protocols: [alpn.linkerd], hinted: false },
  { name: "Linkerd's way, HTTP/1.1 in HTTP/2", protocols: [alpn.linkerd], hinted: true },
] as const;

/** Two clusters that speak one of these ways. */
export interface Way extends TwoClusters {
  /** Exports what listens on a port of the server as `<name>:80`. Answers the name of its mirror. */
  readonly exported: (service: string, appPort: number) => string;
}

/** Starts them; `mesh.close()` ends all. */
export async function startWay({ protocols, hinted }: (typeof WAYS)[number]): Promise<Way> {
  const clusters = await twoClusters({
    config: (part, fast) => (part === 'client' ? fast : {}),
    client: { alpn: protocols },
  });
  const { east, west, server, gateway } = clusters;
  return {
    ...clusters,
    exported: (service, appPort) => {
      const target = `${service}.shop.svc.cluster.local:80`;
      west.controlPlane.setExports([{ namespace: 'shop', name: service, ports: [80] }]);
      west.controlPlane.setService(target, [meshedEndpoint(server, appPort)]);
      const mirror: FakeEndpoint = { ...mirrorEndpoint(gateway, target), http2: hinted };
      east.controlPlane.setService(`${service}-west.shop:80`, [mirror]);
      return `${service}-west.shop`;
    },
  };
}
