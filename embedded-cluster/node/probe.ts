import http from 'node:http';
import https from 'node:https';
import { connect } from 'node:net';
import type { Container, Probe } from '../../api/kubernetes-types.ts';

/** Result of one probe; the text is what an Unhealthy event tells. */
export type ProbeResult = { healthy: true } | { healthy: false; message: string };

/** Where probes of a container go, and how a command is run in it. */
export interface ProbeTarget {
  container: Container;
  podIp: string;
  /** Runs a command as the container would; output is cut to what an event can tell. */
  exec(command: readonly string[], timeoutMs: number): Promise<{ exitCode: number; output: string }>;
}

/** Kubernetes' default timeoutSeconds. */
const DEFAULT_TIMEOUT_SECONDS = 1;

/** Runs a probe once, as a kubelet does. Never throws. */
export async function runProbe(probe: Probe, target: ProbeTarget): Promise<ProbeResult> {
  const timeoutMs = (probe.timeoutSeconds ?? DEFAULT_TIMEOUT_SECONDS) * 1000;
  try {
    if (probe.httpGet !== undefined) return await httpProbe(probe.httpGet, target, timeoutMs);
    if (probe.tcpSocket !== undefined) {
      const { host, port } = probe.tcpSocket;
      return await tcpProbe(host ?? target.podIp, resolvePort(port, target.container), timeoutMs);
    }
    if (probe.grpc !== undefined) {
      // Few clusters have such a probe, and HTTP/2 takes several MiB of memory.
      const { grpcProbe } = await import('./grpc-probe.ts');
      return await grpcProbe(probe.grpc, target.podIp, timeoutMs);
    }
    if (probe.exec !== undefined) {
      const { exitCode, output } = await target.exec(probe.exec.command, timeoutMs);
      return exitCode === 0 ? { healthy: true } : { healthy: false, message: output };
    }
    return { healthy: false, message: 'missing probe handler' };
  } catch (error) {
    return { healthy: false, message: error instanceof Error ? error.message : String(error) };
  }
}

/** The number of a port that is given by number or by the name of one of the container's ports. Throws when there is none. */
function resolvePort(port: number | string, container: Container): number {
  if (typeof port === 'number') return port;
  const named = container.ports?.find((p) => p.name === port)?.containerPort;
  const number = named ?? Number(port);
  if (Number.isInteger(number) && number > 0 && number < 65_536) return number;
  throw new Error(`container ${container.name} has no port named "${port}"`);
}

/** One GET; used by probes and by httpGet lifecycle hooks. Certificates are not verified: a kubelet knows no name to verify. */
export function httpGet(
  action: NonNullable<Probe['httpGet']>,
  target: { container: Container; podIp: string },
  timeoutMs: number,
): Promise<number> {
  const secure = action.scheme === 'HTTPS';
  const host = action.host ?? target.podIp;
  const headers: Record<string, string> = { 'user-agent': 'kube-probe/1.34', accept: '*/*' };
  for (const { name, value } of action.httpHeaders ?? []) headers[name.toLowerCase()] = value;
  const options = {
    host,
    port: resolvePort(action.port, target.container),
    path: action.path ?? '/',
    headers,
    agent: false as const,
    rejectUnauthorized: false,
    signal: AbortSignal.timeout(timeoutMs),
  };
  return new Promise((resolve, reject) => {
    const request = (secure ? https : http).get(options, (response) => {
      response.destroy();
      resolve(response.statusCode ?? 0);
    });
    request.once('error', (error) => {
      const where = `${secure ? 'https' : 'http'}://${host}:${options.port}${options.path}`;
      const why = error.name === 'AbortError' ? 'context deadline exceeded' : error.message;
      reject(new Error(`Get "${where}": ${why}`));
    });
  });
}

async function httpProbe(
  action: NonNullable<Probe['httpGet']>,
  target: ProbeTarget,
  timeoutMs: number,
): Promise<ProbeResult> {
  const status = await httpGet(action, target, timeoutMs);
  if (status >= 200 && status < 400) return { healthy: true };
  return { healthy: false, message: `HTTP probe failed with statuscode: ${status}` };
}

function tcpProbe(host: string, port: number, timeoutMs: number): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, signal: AbortSignal.timeout(timeoutMs) });
    socket.once('connect', () => {
      socket.destroy();
      resolve({ healthy: true });
    });
    socket.once('error', (error) => {
      const why = error.name === 'AbortError' ? 'i/o timeout' : error.message;
      resolve({ healthy: false, message: `dial tcp ${host}:${port}: ${why}` });
    });
  });
}
