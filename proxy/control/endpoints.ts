import type {
  TlsIdentity,
  Update,
  WeightedAddr,
  WeightedAddrSet,
} from '../../api/proto/gen/linkerd/destination_pb.js';
import { endpoint, type Endpoint, type EndpointIdentity } from '../balance/endpoint.ts';
import { MAX_PORT, tcpAddress } from './address.ts';

/** The endpoints of one target, kept up to date by the differences that Destination.Get streams. */
export class EndpointSet {
  #byAddress = new Map<string, Endpoint>();
  /** false: the control plane says that there is no such service. */
  exists = true;

  get endpoints(): readonly Endpoint[] {
    return [...this.#byAddress.values()];
  }

  /**
   * Throws where of all that is added nothing can be used: what was known before is better than that.
   * @param first the first update of a stream: what was known before is void
   */
  apply(update: Update, first: boolean): void {
    const change = update.update;
    const added = change.case === 'add' ? usable(change.value) : [];
    if (first) this.#byAddress = new Map();
    if (change.case === 'add') {
      this.exists = true;
      for (const one of added) this.#byAddress.set(`${one.address}:${one.port}`, one);
    } else if (change.case === 'remove') {
      for (const addr of change.value.addrs) {
        const known = tcpAddress(addr);
        if (known !== undefined) this.#byAddress.delete(`${known.address}:${known.port}`);
      }
    } else if (change.case === 'noEndpoints') {
      this.exists = change.value.exists;
      this.#byAddress = new Map();
    }
  }
}

function usable({ addrs, metricLabels }: WeightedAddrSet): Endpoint[] {
  const made = addrs.flatMap((addr) => toEndpoint(addr, metricLabels) ?? []);
  if (made.length > 0 || addrs.length === 0) return made;
  throw new Error(`of ${addrs.length} endpoints none has an address and ports that can be used`);
}

/** What the proxy API calls the weight of one usual endpoint; 0 is a weight that was not told. */
const FULL_WEIGHT = 10_000;

/** An endpoint of the proxy API in the form that the balancer takes; undefined when it has no usable address. */
export function toEndpoint(
  addr: WeightedAddr,
  labels: Readonly<Record<string, string>>,
): Endpoint | undefined {
  const at = tcpAddress(addr.addr);
  if (at === undefined) return undefined;
  const hint = addr.protocolHint;
  const override = addr.authorityOverride?.authorityOverride;
  const dialPort = hint?.opaqueTransport?.inboundPort || at.port;
  if (dialPort > MAX_PORT) return undefined;
  // Without a port nobody could tell what is meant, and the request must not go to the gateway's own port.
  if (override !== undefined && override !== '' && !/:[0-9]{1,5}$/.test(override)) return undefined;
  return endpoint({
    ...at,
    dialPort,
    identity: toIdentity(addr.tlsIdentity),
    authorityOverride: override === '' ? undefined : override,
    opaque: hint?.protocol.case === 'opaque',
    http2: hint?.protocol.case === 'h2',
    weight: addr.weight === 0 ? 1 : addr.weight / FULL_WEIGHT,
    labels: { ...labels, ...addr.metricLabels },
  });
}

function toIdentity(tls: TlsIdentity | undefined): EndpointIdentity | undefined {
  if (tls?.strategy.case === undefined) return undefined;
  if (tls.strategy.case === 'dnsLikeIdentity')
    return { spiffeId: undefined, dnsName: tls.strategy.value.name };
  return { spiffeId: tls.strategy.value.uri, dnsName: tls.serverName?.name };
}
