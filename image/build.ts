/**
 * What `npm run image` runs: bundles the parts, then builds the images from the bundle alone. `--bundle-only` leaves out Docker. Pushing is left to whoever has
 * a registry.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { EXAMPLE_IMAGE, IMAGE, VERSION } from '../api/names.ts';
import { bundle } from './bundle.ts';
import { DIST, folder } from './layout.ts';
import { copyNft } from './tools.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Stage of the Dockerfile -> name of the image. */
const IMAGES = { example: EXAMPLE_IMAGE, isthmus: IMAGE } as const;

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { 'bundle-only': { type: 'boolean', default: false } } });
  const files = await bundle();
  process.stdout.write(`bundled ${files.join(', ')}\n`);
  if (values['bundle-only']) return 0;
  copyNft(join(DIST, folder.tools));
  for (const [target, tag] of Object.entries(IMAGES)) {
    const done = spawnSync(
      'docker',
      ['build', '--target', target, '--tag', tag, '--build-arg', `VERSION=${VERSION}`, '.'],
      { cwd: root, stdio: 'inherit' },
    );
    if (done.error !== undefined) throw new Error(`docker could not be run: ${done.error.message}`);
    if (done.status !== 0) return 1;
  }
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
