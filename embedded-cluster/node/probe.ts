import http from 'node:http';
import https from 'node:https';
import { connect as connectHttp2 } from 'node:http2';
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
/** gRPC's health checking protocol: HealthCheckResponse.status = SERVING. */
const SERVING = 1;

/** Runs a probe once, as a kubelet does. Never throws. */
export async function runProbe(probe: Probe, target: ProbeTarget): Promise<ProbeResult> {
  const timeoutMs = (probe.timeoutSeconds ?? DEFAULT_TIMEOUT_SECONDS) * 1000;
  try {
    if (probe.httpGet !== undefined) return await httpProbe(probe.httpGet, target, timeoutMs);
    if (probe.tcpSocket !== undefined) {
      const { host, port } = probe.tcpSocket;
      return await tcpProbe(host ?? target.podIp, resolvePort(port, target.container), timeoutMs);
    }
    if (probe.grpc !== undefined) return await grpcProbe(probe.grpc, target.podIp, timeoutMs);
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
export function resolvePort(port: number | string, container: Container): number {
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

/** `grpc.health.v1.Health/Check` by hand: one short message each way is not worth a gRPC library in memory. */
function grpcProbe(
  action: NonNullable<Probe['grpc']>,
  podIp: string,
  timeoutMs: number,
): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const session = connectHttp2(`http://${podIp}:${action.port}`);
    const finish = (result: ProbeResult): void => {
      clearTimeout(timer);
      session.destroy();
      resolve(result);
    };
    const fail = (message: string): void => {
      finish({ healthy: false, message });
    };
    const timer = setTimeout(() => {
      fail(`timeout: failed to connect service "${podIp}:${action.port}" within ${timeoutMs / 1000}s`);
    }, timeoutMs);
    session.once('error', (error) => {
      fail(error.message);
    });
    const stream = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
      'user-agent': 'kube-probe/1.34',
    });
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.once('error', (error) => {
      fail(error.message);
    });
    stream.once('end', () => {
      const status = servingStatus(Buffer.concat(chunks));
      if (status === SERVING) finish({ healthy: true });
      else fail(`service unhealthy (responded with "${status ?? 'no status'}")`);
    });
    stream.end(healthCheckRequest(action.service ?? ''));
  });
}

/** HealthCheckRequest { string service = 1 } in a gRPC frame. A service name is at most 63 characters, so its length is one byte. */
function healthCheckRequest(service: string): Buffer {
  const name = Buffer.from(service);
  const message = name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, name.length]), name]);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** HealthCheckResponse { ServingStatus status = 1 } from a gRPC frame; undefined when there is none. */
function servingStatus(body: Buffer): number | undefined {
  if (body.length < 5) return undefined;
  const message = body.subarray(5, 5 + body.readUInt32BE(1));
  return message.length === 0 ? 0 : message[0] === 0x08 ? message[1] : undefined;
}
