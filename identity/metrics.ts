import { Counter, Gauge, type Registry } from 'prom-client';
import type { BundleWatch } from './bundle-watch.ts';
import type { IssuerState } from './issuer-watch.ts';

/** What the identity part tells Prometheus. Gauges are worked out at each scrape: an expiry needs no event. */
export function registerMetrics(
  registry: Registry,
  deps: { issuer: () => IssuerState; bundle: BundleWatch; now: () => number },
): { counted: (code: number) => void } {
  // Each is registered by the call around it.
  const registers: Registry[] = [];
  const secondsUntil = (ms: number): number => (ms - deps.now()) / 1000;
  registry.registerMetric(
    new Gauge({
      name: 'issuer_cert_ttl_seconds',
      help: 'Seconds until the issuer in use, or an anchor above it, expires; absent while there is none',
      registers,
      collect() {
        this.reset();
        const state = deps.issuer();
        if (state.kind === 'ready') this.set(secondsUntil(state.material.signer.notAfter));
      },
    }),
  );
  registry.registerMetric(
    new Gauge({
      name: 'isthmus_identity_issuer_rejected',
      help: "1 while the issuer's Secret holds what cannot be used",
      registers,
      collect() {
        const state = deps.issuer();
        this.set(state.kind === 'ready' && state.rejected !== undefined ? 1 : 0);
      },
    }),
  );
  registry.registerMetric(
    new Gauge({
      name: 'trust_anchor_cert_ttl_seconds',
      help: 'Seconds until a trust anchor expires',
      labelNames: ['fingerprint'],
      registers,
      collect() {
        this.reset();
        for (const anchor of deps.bundle.current?.anchors ?? []) {
          this.set({ fingerprint: anchor.fingerprint256 }, secondsUntil(anchor.validToDate.getTime()));
        }
      },
    }),
  );
  registry.registerMetric(
    new Gauge({
      name: 'isthmus_trust_bundle_sequence',
      help: 'Sequence number of the trust bundle that is streamed',
      registers,
      collect() {
        this.set(Number(deps.bundle.current?.sequence ?? 0n));
      },
    }),
  );
  const certify = new Counter({
    name: 'isthmus_identity_certify_total',
    help: 'Requests for certificates by gRPC status code',
    labelNames: ['code'],
    registers: [registry],
  });
  return { counted: (code) => certify.inc({ code: String(code) }) };
}
