import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { path as paths } from '../api/names.ts';
import type { ClientConfig } from './types.ts';

/** Where a container's volumes lie when it has no mount namespace of its own (the embedded cluster); unset on Kubernetes. */
const VOLUME_ROOT = 'ISTHMUS_VOLUME_ROOT';

/**
 * How a pod reaches its own API server: address from the environment, CA and token from the ServiceAccount's folder. The token is read
 * again for each call, since the kubelet renews the file. Throws, naming the variable or file, when this is no pod.
 */
export function inClusterConfig(env: NodeJS.ProcessEnv = process.env): ClientConfig {
  const host = env['KUBERNETES_SERVICE_HOST'];
  const port = env['KUBERNETES_SERVICE_PORT'];
  if (host === undefined || host === '' || port === undefined || port === '') {
    throw new Error(
      'KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not both set: this process does not run in a pod',
    );
  }
  const tokenFile = serviceAccountTokenFile(env);
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    ca: readCa(`${serviceAccountFolder(env)}/ca.crt`),
    auth: { kind: 'token', token: () => readFile(tokenFile, 'utf8') },
  };
}

/** The pod's ServiceAccount folder: `token`, `ca.crt`, `namespace`. */
function serviceAccountFolder(env: NodeJS.ProcessEnv = process.env): string {
  return `${env[VOLUME_ROOT] ?? ''}${paths.serviceAccount}`;
}

/** The file with the pod's token, which the kubelet renews. */
export function serviceAccountTokenFile(env: NodeJS.ProcessEnv = process.env): string {
  return `${serviceAccountFolder(env)}/token`;
}

function readCa(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new Error(`the ServiceAccount's CA ${file} can not be read; is automountServiceAccountToken off?`, {
      cause: error,
    });
  }
}
