import { DEFAULT_MESH_NAMESPACE, env as names, port } from '../api/names.ts';

/** Settings of the mirror controller's process. */
export interface Config {
  clusterId: string;
  meshNamespace: string;
  podName: string;
  podIp: string;
  adminPort: number;
  logLevel: string;
  /** Heap of each link's worker thread, in MiB. */
  workerHeapMiB: number;
}

const ADMIN_PORT = 'ISTHMUS_ADMIN_PORT';
const WORKER_HEAP = 'ISTHMUS_LINK_HEAP_MIB';
/** Some ten thousand exported services with their slices' summaries. */
const DEFAULT_WORKER_HEAP_MIB = 256;

/** Reads the environment. Throws an error that names the variable and what it must be. */
export function configFromEnv(env: NodeJS.ProcessEnv = process.env): Config {
  return {
    clusterId: required(env, names.clusterName, 'the id of this cluster'),
    meshNamespace: env[names.meshNamespace] ?? env[names.podNamespace] ?? DEFAULT_MESH_NAMESPACE,
    podName: required(env, names.podName, "the pod's name"),
    podIp: required(env, names.podIp, "the pod's address"),
    adminPort: integer(env, ADMIN_PORT, port.mirrorControllerAdmin, 0, 65_535),
    logLevel: env[names.logLevel] ?? 'info',
    workerHeapMiB: integer(env, WORKER_HEAP, DEFAULT_WORKER_HEAP_MIB, 16, 65_536),
  };
}

function required(env: NodeJS.ProcessEnv, name: string, what: string): string {
  const value = env[name];
  if (value !== undefined && value !== '') return value;
  throw new Error(`${name} is not set: it must be ${what}`);
}

function integer(env: NodeJS.ProcessEnv, name: string, fallback: number, min: number, max: number): number {
  const text = env[name];
  if (text === undefined || text === '') return fallback;
  const value = Number(text);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new Error(`${name} is "${text}": it must be a whole number from ${min} to ${max}`);
}
