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
  /** Known from the stream before, and not told again yet by this one. */
  #unconfirmed = new Set<string>();
  /** false: the control plane says that there is no such service. */
  exists = true;

  get endpoints(): readonly Endpoint[] {
    return [...this.#byAddress.values()];
  }

  /** How many endpoints go with `confirm` unless the stream tells them before. */
  get unconfirmed(): number {
    return this.#unconfirmed.size;
  }

  /**
   * Throws where of all that is added nothing can be used: what was known before is better than that.
   * @param first the first update of a stream: what was known before is void
   * @param inUse what was known before carries requests: it stays until `confirm`, for the whole may take many messages
   */
  apply(update: Update, first: boolean, inUse = false): void {
    const change = update.update;
    const added = change.case === 'add' ? usable(change.value) : [];
    if (first && inUse) this.#unconfirmed = new Set(this.#byAddress.keys());
    else if (first) this.clear();
    if (change.case === 'add') {
      this.exists = true;
      for (const one of added) {
        const key = `${one.address}:${one.port}`;
        this.#byAddress.set(key, one);
        this.#unconfirmed.delete(key);
      }
    } else if (change.case === 'remove') {
      // Removals come behind the whole.
      this.confirm();
      for (const addr of change.value.addrs) {
        const known = tcpAddress(addr);
        if (known !== undefined) this.#byAddress.delete(`${known.address}:${known.port}`);
      }
    } else if (change.case === 'noEndpoints') {
      this.exists = change.value.exists;
      this.clear();
    }
  }

  /** The stream has told the whole: what it did not tell is gone. */
  confirm(): void {
    for (const key of this.#unconfirmed) this.#byAddress.delete(key);
    this.#unconfirmed = new Set();
  }

  clear(): void {
    this.#byAddress = new Map();
    this.#unconfirmed = new Set();
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
