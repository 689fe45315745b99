import { join } from 'node:path';

/** Where the bundle stands unless told otherwise: what the image is made from. */
export const DIST = join(import.meta.dirname, 'dist');

/**
 * Folders of the bundle: the parts, the example application, the program that sets the rules of `redirect`, and what
 * runs parts once while the image is made.
 */
export const folder = {
  parts: 'isthmus',
  example: 'example',
  tools: 'tools',
  rehearsal: 'rehearsal',
} as const;

/** The parts' entry point: its first argument names the part. @param dist a bundle */
export function entrypointOf(dist: string): string {
  return join(dist, folder.parts, 'entrypoint.js');
}

/** The image's entry point, a script of the shell: it starts a part with the flags that are its. @param dist a bundle */
export function startOf(dist: string): string {
  return join(dist, folder.parts, 'start');
}

/** Variable of the script that starts parts: the Node to run them by, where there is no image. Default: the one on the path. */
export const NODE_VARIABLE = 'ISTHMUS_NODE';

/** The example application's. @param dist a bundle */
export function exampleOf(dist: string): string {
  return join(dist, folder.example, 'main.js');
}

/** What runs parts once while the image is made. @param dist a bundle */
export function rehearsalOf(dist: string): string {
  return join(dist, folder.rehearsal, 'main.js');
}

/**
 * For the Node of every part, as `start.sh` has it. Young-generation pages are the bulk of an idle process, and
 * helpers' threads get in the way of the one that serves. A signal opens no debugger: every container of the pod would
 * reach its port, and who has it has the pod's key.
 */
export const NODE_FLAGS = [
  '--max-semi-space-size=1',
  '--single-threaded-gc',
  '--disable-warning=ExperimentalWarning',
  '--disable-sigusr1',
] as const;
/** For proxies and gateways in addition: they believe the mesh's anchors alone, and read no public authorities. */
export const DATA_PLANE_FLAGS = ['--use-openssl-ca'] as const;
