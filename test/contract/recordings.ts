import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Json } from './json.ts';

/** One request and what a real server answered, without what differs from run to run. */
export interface Exchange {
  request: string;
  code?: number;
  warnings?: string[];
  body?: unknown;
  /** Of a watch. */
  events?: unknown[];
}

/** What a theme's scenarios are answered, by their titles. */
export type Recording = Record<string, Exchange[]>;

/** Minor version of the Kubernetes that the recordings are of; others word some messages differently. */
export const RECORDED_VERSION = 'v1.34';

/** The recorded answers of a theme; none when it has not been recorded yet. */
export function loadRecording(theme: string): Recording {
  const file = fileOf(theme);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Recording) : {};
}

export function saveRecording(theme: string, recording: Recording): void {
  const sorted: Json = {};
  for (const title of Object.keys(recording).sort()) sorted[title] = recording[title];
  writeFileSync(fileOf(theme), `${JSON.stringify(sorted, null, 2)}\n`);
}

function fileOf(theme: string): string {
  return fileURLToPath(new URL(`answers/${theme}.json`, import.meta.url));
}
