import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { http2Through } from '../../proxy/testing/mesh/http2.ts';
import { ask2 } from '../../proxy/testing/mesh/mesh-client.ts';
import { meshedEndpoint, TestMesh } from '../../proxy/testing/mesh/test-mesh.ts';
import { javaLibraries } from './java-tool.ts';

const PROGRAM = join(import.meta.dirname, 'tomcat');
const AUTHORITY = 'upload.shop:80';
/** Enough that the window of Tomcat's connection, 65,535 bytes, is used up all the time. */
const AT_ONCE = 8;
const ROUNDS = 4;
const BODY = 'isthmus '.repeat(375_000);

test('uploads by HTTP/2 at once to Tomcat, which closes connections of small DATA frames', async (t) => {
  const libraries = await javaLibraries(join(PROGRAM, 'pom.xml'), 'tomcat-10.1.34');
  if ('missing' in libraries) return t.skip(libraries.missing);
  const mesh = await TestMesh.create();
  t.after(() => mesh.close());
  const east = await mesh.cluster('east');
  const client = mesh.pod(east, 'client');
  const server = mesh.pod(east, 'server');
  await mesh.sidecar(east, client);
  await mesh.sidecar(east, server);
  const port = await startTomcat(mesh, libraries.folder);
  east.controlPlane.setService(AUTHORITY, [meshedEndpoint(server, port)]);
  const session = await http2Through(mesh, client.ip, AUTHORITY);
  for (let round = 0; round < ROUNDS; round++) {
    const answers = await Promise.all(
      Array.from({ length: AT_ONCE }, () => ask2(session, { ':method': 'POST', ':path': '/' }, BODY)),
    );
    for (const { status, body } of answers) assert.deepEqual([status, body], [200, String(BODY.length)]);
  }
  return undefined;
});

/** @returns the port on which it listens, at every address */
async function startTomcat(mesh: TestMesh, libraries: string): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-tomcat-'));
  mesh.onClose(() => rmSync(folder, { recursive: true }));
  const source = join(PROGRAM, 'Counting.java');
  const child = spawn('java', ['-cp', join(libraries, '*'), source, folder], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  mesh.onClose(() => void child.kill('SIGKILL'));
  for await (const line of createInterface(child.stdout)) {
    const number = /^port (\d+)$/.exec(line)?.[1];
    if (number !== undefined) return Number(number);
  }
  throw new Error('Tomcat ended before it listened');
}
