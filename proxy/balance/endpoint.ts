/** Where a request can go, as the control plane told it. Immutable. */
export interface Endpoint {
  /** Equal for equal endpoints: all of what follows that decides how it is reached. */
  readonly key: string;
  /** The address as told: the app's port, or a gateway's. */
  readonly address: string;
  readonly port: number;
  /** Port to dial: the peer proxy's where it has one. */
  readonly dialPort: number;
  /** The mesh identity that the peer must prove; undefined: not meshed. */
  readonly identity: EndpointIdentity | undefined;
  /** `name:port` of the exported service behind the gateway that this endpoint is; undefined for endpoints of the own cluster. */
  readonly authorityOverride: string | undefined;
  /** The app behind it speaks opaque TCP. */
  readonly opaque: boolean;
  /** The peer is a proxy that takes HTTP/1.1 in HTTP/2 (`orig-proto.ts`): Linkerd's hint `h2`. */
  readonly http2: boolean;
  /** Its share of the load relative to the others: 1 is usual, above 0. Decides nothing about how it is reached. */
  readonly weight: number;
  readonly labels: Readonly<Record<string, string>>;
}

export interface EndpointIdentity {
  /** At least one of the two is there. */
  readonly spiffeId: string | undefined;
  readonly dnsName: string | undefined;
}

/** Gives an endpoint its key. */
export function endpoint(parts: Omit<Endpoint, 'key'>): Endpoint {
  const { address, port, dialPort, identity, authorityOverride, opaque, http2 } = parts;
  const key = [
    address,
    port,
    dialPort,
    identity?.spiffeId,
    identity?.dnsName,
    authorityOverride,
    opaque,
    http2,
  ].join('|');
  return { ...parts, key };
}

/** One outside of the mesh: reached at its own port, in plaintext. */
export function plainEndpoint(address: string, port: number): Endpoint {
  return endpoint({
    address,
    port,
    dialPort: port,
    identity: undefined,
    authorityOverride: undefined,
    opaque: false,
    http2: false,
    weight: 1,
    labels: {},
  });
}
