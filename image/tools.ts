import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';

/** The C library of Debian 12, on which the image stands: programs made for a newer one do not start there. */
const BASE_GLIBC = [2, 36] as const;

/** Of the C library itself; the image has its own. */
const PROVIDED = /^(ld-linux|libc|libm|libdl|libpthread|librt)[-.]/;

/**
 * Copies this machine's `nft` and the libraries it needs to `<outdir>/sbin` and `<outdir>/lib`, since nothing is fetched while the image is built. Throws an
 * error that says what to do when this machine has none that would run in the image.
 */
export function copyNft(outdir: string): void {
  const libc = run('getconf', ['GNU_LIBC_VERSION']);
  const [major = 0, minor = 0] = (/([0-9]+)\.([0-9]+)/.exec(libc)?.slice(1) ?? []).map(Number);
  const runs = major === BASE_GLIBC[0] && minor <= BASE_GLIBC[1];
  const program = run('sh', ['-c', 'PATH=$PATH:/usr/sbin:/sbin command -v nft']).trim();
  if (!runs || program === '') {
    throw new Error(
      `the image needs the program nft for ${BASE_GLIBC.join('.')} of the GNU C library or older; here is ` +
        `${program === '' ? 'no nft' : `one for ${libc.trim() || 'another C library'}`}. ` +
        'Build on Debian 12 with the package nftables.',
    );
  }
  const libraries = run('ldd', [program])
    .split('\n')
    .map((line) => /=> (\/\S+)/.exec(line)?.[1])
    .filter((path) => path !== undefined && !PROVIDED.test(basename(path)));
  copyInto(join(outdir, 'sbin'), [program]);
  copyInto(join(outdir, 'lib'), libraries as string[]);
}

function copyInto(dir: string, files: readonly string[]): void {
  mkdirSync(dir, { recursive: true });
  for (const file of files) copyFileSync(file, join(dir, basename(file)));
}

/** Standard output; empty where the program is absent or fails. */
function run(program: string, args: readonly string[]): string {
  return spawnSync(program, args, { encoding: 'utf8' }).stdout ?? '';
}
