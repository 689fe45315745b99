import type { Labels } from './registry.ts';

/** Linkerd's labels of what is asked: dashboards go by the whole address or by its parts. */
export function targetLabels(address: string, port: number): Labels {
  const host = address.includes(':') ? `[${address}]` : address;
  return { target_addr: `${host}:${port}`, target_ip: address, target_port: String(port) };
}
