import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { temporaryFolder } from '../../test/testing/cleaner.ts';
import { createContainerRoot } from './mounts.ts';

await it('leads paths and flags with paths to the mounts, and no other text', async (t) => {
  const dir = await temporaryFolder(t);
  writeFileSync(join(dir, 'a.txt'), 'from the volume');
  const volumeMounts = [
    { name: 'settings', mountPath: '/etc/app' },
    { name: 'settings', mountPath: '/etc/one.txt', subPath: 'a.txt' },
  ];
  const root = createContainerRoot(join(dir, 'root'), { name: 'c', volumeMounts }, () => dir);
  const inside = (path: string): string => join(dir, 'root', path);
  const cases: [string, string][] = [
    ['/etc/app', inside('/etc/app')],
    ['/etc/app/', `${inside('/etc/app')}/`],
    ['/etc/app/a.txt', inside('/etc/app/a.txt')],
    ['/etc/apple', '/etc/apple'],
    ['--config=/etc/app/a.txt', `--config=${inside('/etc/app/a.txt')}`],
    ['-c=/etc/one.txt', `-c=${inside('/etc/one.txt')}`],
    ['--java.policy=/etc/app', `--java.policy=${inside('/etc/app')}`],
    ['--config=/etc/apple', '--config=/etc/apple'],
    ['--both=/etc/app:/etc/app', '--both=/etc/app:/etc/app'],
    ['NAME=/etc/app', 'NAME=/etc/app'],
    ['cat /etc/app/a.txt', 'cat /etc/app/a.txt'],
    ['/dev/termination-log', inside('/dev/termination-log')],
  ];
  for (const [text, expected] of cases) assert.equal(root.rewrite(text), expected, text);
  assert.equal(readFileSync(root.rewrite('/etc/app/a.txt'), 'utf8'), 'from the volume');
  assert.equal(readFileSync(root.rewrite('/etc/one.txt'), 'utf8'), 'from the volume');
});
