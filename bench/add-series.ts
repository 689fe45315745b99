import type { Registry } from '../proxy/index.ts';

/** Lines that a target with its endpoints makes in the exposition: two counters, and a histogram of 26 buckets with its sum and count. */
const LINES = 2 + 28;

/** As a sidecar has them that talks to many services: with labels as long as real ones, of which a tenth change between two scrapes. */
export function addSeries(registry: Registry, series: number): void {
  const requests = registry.counter('bench_request_total', 'Requests');
  const responses = registry.counter('bench_response_total', 'Responses');
  const latency = registry.histogram('bench_response_latency_ms', 'Latency');
  const cells = Array.from({ length: Math.ceil(series / LINES) }, (_, i) => {
    const labels = {
      direction: 'outbound',
      authority: `service-${i}.shop.svc.cluster.local:8080`,
      target_addr: `10.244.${i >> 8}.${i & 255}:8080`,
      tls: 'true',
      server_id: `spiffe://cluster.local/cluster/east/ns/shop/sa/service-${i}`,
      dst_namespace: 'shop',
      dst_pod: `service-${i}-7d9c5b8f6d-x2x4z`,
      dst_service: `service-${i}`,
    };
    return {
      request: requests.cell(labels),
      response: responses.cell({ ...labels, status_code: '200', classification: 'success' }),
      latency: latency.cell({ ...labels, status_code: '200' }),
    };
  });
  setInterval(() => {
    for (let i = 0; i < cells.length; i += 10) {
      cells[i]?.request.add();
      cells[i]?.response.add();
      cells[i]?.latency.observe(i % 100);
    }
  }, 1_000).unref();
}
