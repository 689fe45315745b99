import { connect } from 'node:http2';
import type { ProbeResult } from './probe.ts';

/** gRPC's health checking protocol: HealthCheckResponse.status = SERVING. */
const SERVING = 1;

/** One `grpc.health.v1.Health/Check`, by hand: one short message each way is not worth a gRPC library in memory. Never rejects. */
export function grpcProbe(
  action: { port: number; service?: string },
  podIp: string,
  timeoutMs: number,
): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const session = connect(`http://${podIp}:${action.port}`);
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
