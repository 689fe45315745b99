import { join } from 'node:path';

/** Where the bundle stands unless told otherwise: what the image is made from. */
export const DIST = join(import.meta.dirname, 'dist');

/** Folders of the bundle: the parts, the example application, the program that sets the rules of `redirect`, and what runs parts once while the image is made. */
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

/** The example application's. @param dist a bundle */
export function exampleOf(dist: string): string {
  return join(dist, folder.example, 'main.js');
}
