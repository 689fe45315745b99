/** The hook of a sidecar beside the app's containers (`postStart`): ends once the sidecar is ready, so that the kubelet starts the app. */
import { port, proxyEnv } from '../../api/names.ts';
import { awaitReady } from './await-ready.ts';

/** ms, Linkerd's. A hook that fails makes the kubelet start the sidecar again. */
const TIMEOUT_MS = 120_000;

const adminPort = process.env[proxyEnv.adminPort] ?? String(port.admin);
try {
  await awaitReady(`http://127.0.0.1:${adminPort}/ready`, TIMEOUT_MS);
} catch (error) {
  process.stderr.write(`isthmus await: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
