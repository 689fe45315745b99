/**
 * The example application: `server` answers who and where it is, `client` calls it without end and measures. Plain
 * node:http, no word of the mesh: the sidecar's environment (`http_proxy`, `NODE_USE_ENV_PROXY`) is all that leads it
 * through.
 */
import { runClient } from './client.ts';
import { runServer } from './server.ts';

const parts: Record<string, () => void | Promise<void>> = { client: runClient, server: runServer };
const part = parts[process.argv[2] ?? ''];
if (part === undefined) {
  process.stderr.write(`usage: example ${Object.keys(parts).join('|')}\n`);
  process.exit(64);
}
await part();
