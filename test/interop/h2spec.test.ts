import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { TestMesh } from '../../proxy/testing/mesh/test-mesh.ts';
import { freshAddress } from '../testing/addresses.ts';
import { openDoor } from './door.ts';
import { goTool } from './go-tool.ts';

const H2SPEC = 'github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible';

/** What h2spec asks for and a sidecar does otherwise. */
const DIFFERENCES: ReadonlyMap<string, string> = new Map([
  ['Sends invalid connection preface', 'what is no preface may be HTTP/1.1, and is answered so'],
  [
    'Sends a large size HEADERS frame that exceeds the SETTINGS_MAX_FRAME_SIZE',
    'it sends 20 KB, and 64 KiB are allowed here',
  ],
  ['Sends HEADERS frame that depend on itself', 'RFC 9113 section 5.3.2 has no dependencies any more'],
  ['Sends PRIORITY frame that depend on itself', 'RFC 9113 section 5.3.2 has no dependencies any more'],
]);

test('h2spec against a sidecar', async (t) => {
  const tool = await goTool(H2SPEC);
  if ('missing' in tool) return t.skip(tool.missing);
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-h2spec-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const mesh = await TestMesh.create();
  t.after(() => mesh.close());
  const east = await mesh.cluster('east');
  const pod = mesh.pod(east, 'client');
  await mesh.sidecar(east, pod);
  const app = await startApp(mesh);
  const door = await openDoor(mesh, pod);
  east.controlPlane.setService(door.authority, [{ ...app, http2: true }]);
  const report = join(folder, 'report.xml');
  await played(tool.path, ['-h', door.host, '-p', String(door.port), '-j', report]);
  const { tests, failed } = readReport(readFileSync(report, 'utf8'));
  assert.ok(tests > 140, `${tests} cases`);
  assert.deepEqual([...new Set(failed)].toSorted(), [...DIFFERENCES.keys()].toSorted());
  return undefined;
});

/** Answers every request when it is whole. */
async function startApp(mesh: TestMesh): Promise<{ address: string; port: number }> {
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => response.end('hello'));
  });
  server.on('sessionError', () => {});
  const address = freshAddress();
  server.listen(0, address);
  await once(server, 'listening');
  mesh.onClose(() => void server.close());
  return { address, port: (server.address() as AddressInfo).port };
}

/** Its exit status tells of any failure, also of those that are expected: the report counts. */
function played(file: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve) => execFile(file, args, () => resolve()));
}

/** Of a report in JUnit's form. */
function readReport(xml: string): { tests: number; failed: string[] } {
  const cases = [...xml.matchAll(/<testcase [^>]*classname="([^"]*)"[^>]*>(.*?)<\/testcase>/gs)];
  const failed = cases.flatMap(([, name = '', body = '']) => (/<(failure|error)/.test(body) ? [name] : []));
  return { tests: cases.length, failed };
}
