import { createServer } from 'node:http';
import type { WebAnswer } from './types.ts';

/** Answers every request with its cluster, its pod and the client that the mesh named. */
export function runServer(): void {
  const host = process.env['POD_IP'] ?? '127.0.0.1';
  const port = Number(process.env['PORT'] ?? 8080);
  const server = createServer((request, response) => {
    const client = request.headers['l5d-client-id'];
    const answer: WebAnswer = {
      cluster: process.env['CLUSTER'] ?? '',
      pod: process.env['POD_NAME'] ?? '',
      client: typeof client === 'string' ? client : null,
    };
    const body = Buffer.from(JSON.stringify(answer));
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
    response.end(body);
  });
  // Longer than any client's or proxy's idle time, so that the server is never the one who closes a connection in use.
  server.keepAliveTimeout = 120_000;
  server.listen(port, host, () => process.stdout.write(`web listens on ${host}:${port}\n`));
  process.on('SIGTERM', () => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
  });
}
