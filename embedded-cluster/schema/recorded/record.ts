/**
 * Writes `recorded.json`: what a real server answers to cases.ts, as dry runs (nothing is kept).
 * `node embedded-cluster/schema/recorded/record.ts <base URL of kubectl proxy>`, see ../README.md.
 */
import { writeFileSync } from 'node:fs';
import { cases } from './cases.ts';
import type { RecordedCase } from './cases.ts';
import { withoutServerFields } from './normalize.ts';

const tableAccept = 'application/json;as=Table;g=meta.k8s.io;v=v1';

const base = process.argv[2];
if (base === undefined) {
  process.stderr.write('usage: record.ts <base URL of kubectl proxy, such as http://127.0.0.1:8001>\n');
  process.exit(1);
}

const results: Record<string, unknown> = {};
for (const [name, recordedCase] of Object.entries(cases)) {
  const answer = await post(base, recordedCase, 'application/json');
  if (answer['kind'] === 'Status') {
    const { code, message, details } = answer as {
      code: number;
      message: string;
      details?: { causes?: unknown };
    };
    results[name] = { code, message, causes: details?.causes ?? [] };
  } else {
    const table = (await post(base, recordedCase, tableAccept)) as { rows?: { cells: unknown[] }[] };
    results[name] = { object: withoutServerFields(answer), cells: table.rows?.[0]?.cells };
  }
}
writeFileSync(new URL('recorded.json', import.meta.url), `${JSON.stringify(results, null, 1)}\n`);

async function post(
  url: string,
  recordedCase: RecordedCase,
  accept: string,
): Promise<Record<string, unknown>> {
  const { group, version, resource, namespace, body } = recordedCase;
  const root = group === '' ? `api/${version}` : `apis/${group}/${version}`;
  const scope = namespace === undefined ? '' : `namespaces/${namespace}/`;
  const response = await fetch(`${url}/${root}/${scope}${resource}?dryRun=All&fieldManager=recorder`, {
    method: 'POST',
    headers: { accept, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return (await response.json()) as Record<string, unknown>;
}
