import { Counter, Gauge, type GaugeConfiguration, type Registry } from 'prom-client';
import type { BundleWatch } from './bundle-watch.ts';
import type { IssuerState } from './issuer-watch.ts';

/** What is told of. */
export interface MeasuredIdentity {
  readonly issuer: () => IssuerState;
  readonly bundle: BundleWatch;
  /** Wall time, ms. */
  readonly now: () => number;
}

/** What the identity part tells Prometheus. Gauges are worked out at each scrape: an expiry needs no event. */
export function registerMetrics(
  registry: Registry,
  measured: MeasuredIdentity,
): { counted: (code: number) => void } {
  registerIssuer(registry, measured);
  registerBundle(registry, measured);
  const certify = new Counter({
    name: 'isthmus_identity_certify_total',
    help: 'Requests for certificates by gRPC status code',
    labelNames: ['code'],
    registers: [registry],
  });
  return { counted: (code) => certify.inc({ code: String(code) }) };
}

function registerIssuer(registry: Registry, { issuer, now }: MeasuredIdentity): void {
  const registers = [registry];
  gauge({
    name: 'issuer_cert_ttl_seconds',
    help: 'Seconds until the issuer in use, or an anchor above it, expires; absent while there is none',
    registers,
    collect() {
      this.reset();
      const state = issuer();
      if (state.kind === 'ready') this.set(secondsUntil(state.material.signer.notAfter, now));
    },
  });
  gauge({
    name: 'isthmus_identity_issuer_rejected',
    help: "1 while the issuer's Secret holds what cannot be used",
    registers,
    collect() {
      const state = issuer();
      this.set(state.kind === 'ready' && state.rejected !== undefined ? 1 : 0);
    },
  });
}

function registerBundle(registry: Registry, { bundle, now }: MeasuredIdentity): void {
  const registers = [registry];
  gauge({
    name: 'trust_anchor_cert_ttl_seconds',
    help: 'Seconds until a trust anchor expires',
    labelNames: ['fingerprint'],
    registers,
    collect() {
      this.reset();
      for (const { fingerprint256: fingerprint, validToDate } of bundle.current?.anchors ?? [])
        this.set({ fingerprint }, secondsUntil(validToDate.getTime(), now));
    },
  });
  gauge({
    name: 'isthmus_trust_bundle_sequence',
    help: 'Sequence number of the trust bundle that is streamed',
    registers,
    collect() {
      this.set(Number(bundle.current?.sequence ?? 0n));
    },
  });
}

/** A gauge registers itself, and is asked by the registry alone. */
function gauge(configuration: GaugeConfiguration<string>): void {
  void new Gauge(configuration);
}

function secondsUntil(ms: number, now: () => number): number {
  return (ms - now()) / 1000;
}
