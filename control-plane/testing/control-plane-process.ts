import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

import { env, object, path } from '../../api/names.ts';
import { createIssuer, createTrustAnchor } from '../../identity/index.ts';
import { resources } from '../../kubernetes/resources.ts';
import { FakeApiServer } from '../../kubernetes/testing/fake-api-server.ts';
import { freshAddress } from '../../test/testing/addresses.ts';
import { makeServingCertificate } from '../serving-certificate.ts';

const TRUST_DOMAIN = 'cluster.local';
const DAY = 86_400_000;

/** A control plane as a process of its own, with an API server that knows one ServiceAccount's token. */
export interface ControlPlaneProcess {
  api: FakeApiServer;
  /** Address of all its ports. */
  ip: string;
  dir: string;
  anchorsFile: string;
  /** PEM. */
  anchor: string;
  child: ChildProcess;
  /** Starts it once more, beside the first. */
  again(): ChildProcessByStdio<null, Readable, null>;
  /** Resolves with the first log line, from the beginning, that says so. */
  logged(message: RegExp): Promise<void>;
  /** Sends SIGTERM and resolves with the exit code. */
  terminate(): Promise<number | null>;
  cleanUp(): Promise<void>;
}

/** Installs what the CLI would, in an API server in memory. */
async function installedApi(
  anchor: { certificate: string; key: string },
  tls: { key: string; cert: string },
) {
  const issuer = await createIssuer({ anchor, clusterId: 'east', trustDomain: TRUST_DOMAIN });
  const api = await new FakeApiServer({ tls, checkNamespaces: false }).start();
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  for (const name of ['isthmus', 'shop']) api.put(resources.namespaces, { metadata: { name } });
  api.put(resources.trustBundles, {
    metadata: { name: object.trustBundle },
    spec: { anchors: [anchor.certificate] },
  });
  api.put(resources.secrets, {
    metadata: { name: object.issuerSecret, namespace: 'isthmus' },
    type: 'kubernetes.io/tls',
    data: {
      'tls.crt': base64(issuer.certificate),
      'tls.key': base64(issuer.key),
      'ca.crt': base64(anchor.certificate),
    },
  });
  api.put(resources.mutatingWebhookConfigurations, {
    metadata: { name: object.injectorWebhook },
    webhooks: [
      {
        name: 'injector.isthmus.dev',
        clientConfig: {
          service: { namespace: 'isthmus', name: 'isthmus-injector', path: '/inject', port: 8443 },
        },
      },
    ],
  });
  api.fault = tokensOf('shop:web');
  return api;
}

/** For an API server in memory: every token is that ServiceAccount's, `<namespace>:<name>`. */
export function tokensOf(account: string): NonNullable<FakeApiServer['fault']> {
  const status = {
    authenticated: true,
    audiences: ['identity.l5d.io'],
    user: { username: `system:serviceaccount:${account}` },
  };
  return ({ path: asked }) =>
    asked.endsWith('/tokenreviews') ? { kind: 'body', body: JSON.stringify({ status }) } : undefined;
}

/** @param output where its log goes, in place of what `logged` reads */
export async function startControlPlaneProcess(
  options: { output?: number; logLevel?: string } = {},
): Promise<ControlPlaneProcess> {
  const anchor = await createTrustAnchor({ trustDomain: TRUST_DOMAIN });
  const serving = makeServingCertificate({
    dnsNames: ['localhost'],
    notBefore: Date.now() - DAY,
    notAfter: Date.now() + DAY,
  });
  const api = await installedApi(anchor, { key: serving.key, cert: serving.certificate });
  const dir = await mkdtemp(join(tmpdir(), 'isthmus-control-plane-'));
  const anchorsFile = join(dir, 'ca-bundle.crt');
  await writeFile(anchorsFile, anchor.certificate);
  const account = `${dir}${path.serviceAccount}`;
  await mkdir(account, { recursive: true });
  await writeFile(join(account, 'token'), 'token');
  await writeFile(join(account, 'ca.crt'), serving.ca);
  const ip = freshAddress();
  const command = [fileURLToPath(new URL('../main.ts', import.meta.url))];
  const environment = {
    ISTHMUS_VOLUME_ROOT: dir,
    KUBERNETES_SERVICE_HOST: 'localhost',
    KUBERNETES_SERVICE_PORT: new URL(api.url).port,
    [env.podName]: 'control-plane-1',
    [env.podIp]: ip,
    [env.clusterName]: 'east',
    [env.trustAnchorsFile]: anchorsFile,
    [env.logLevel]: options.logLevel ?? 'info',
  };
  const child = spawn(process.execPath, command, {
    stdio: ['ignore', options.output ?? 'pipe', 'inherit'],
    env: environment,
  });
  const log = followLog(child);
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const terminate = async (): Promise<number | null> => {
    child.kill('SIGTERM');
    return (await exited)[0];
  };
  return {
    api,
    ip,
    dir,
    anchorsFile,
    anchor: anchor.certificate,
    child,
    again: () => spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'inherit'], env: environment }),
    logged: log,
    terminate,
    cleanUp: async () => {
      if (child.exitCode === null) child.kill('SIGKILL');
      await exited;
      await api.stop();
      await rm(dir, { recursive: true });
    },
  };
}

function followLog(child: ChildProcess): (message: RegExp) => Promise<void> {
  const lines: string[] = [];
  const waiters = new Set<() => void>();
  if (child.stdout !== null) {
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(line);
      for (const waiter of waiters) waiter();
    });
  }
  child.once('exit', () => {
    for (const waiter of waiters) waiter();
  });
  return async (message) => {
    while (!lines.some((line) => message.test(line))) {
      if (child.exitCode !== null) throw new Error(`the control plane ended:\n${lines.join('\n')}`);
      await new Promise<void>((resolve) => {
        waiters.add(resolve);
      });
    }
  };
}
