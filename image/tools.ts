import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';

/** Image whose package manager gives nft where this machine has none that would run: the one that ours stands on. */
const TOOLS_IMAGE = process.env['ISTHMUS_TOOLS_IMAGE'] ?? 'node:26-bookworm-slim';

/** The C library of Debian 12, on which the image stands: programs made for a newer one do not start there. */
const BASE_GLIBC = [2, 36] as const;

/** Megabytes of nft and its libraries, many times over. */
const MAX_ARCHIVE_BYTES = 64 * 1024 * 1024;

/**
 * Writes a tar archive of `sbin/nft` and the libraries it needs, as `lib/…`, to standard output; those of the C library
 * the image has itself. Installs the package first where nft is missing, which takes root and Debian: a container.
 */
const ARCHIVE = `set -e
PATH=$PATH:/usr/sbin:/sbin
command -v nft >/dev/null || { apt-get update && apt-get install -y --no-install-recommends nftables; } >&2
nft=$(command -v nft)
dir=$(mktemp -d)
mkdir "$dir/sbin" "$dir/lib"
cp -L "$nft" "$dir/sbin/nft"
for library in $(ldd "$nft" | sed -n 's/.*=> \\(\\/[^ ]*\\).*/\\1/p'); do
  case \${library##*/} in
    ld-linux*|libc.*|libm.*|libdl.*|libpthread.*|librt.*) ;;
    *) cp -L "$library" "$dir/lib/" ;;
  esac
done
tar -C "$dir" -cf - sbin lib
rm -r "$dir"`;

/**
 * Fills `outdir` with nft and its libraries, since nothing is fetched while the image is built: this machine's where
 * they run in the image, otherwise those of a container of the base image, with Docker. Throws an error that says what
 * to do when neither works.
 */
export function copyNft(outdir: string): void {
  const archive = nftRunsInImage() ? localArchive() : containerArchive();
  rmSync(outdir, { recursive: true, force: true });
  mkdirSync(outdir, { recursive: true });
  const done = spawnSync('tar', ['-xf', '-', '-C', outdir, '--no-same-owner'], { input: archive });
  if (done.status !== 0) throw new Error(`the archive of nft could not be unpacked: ${words(done)}`);
}

/** Whether this machine has an nft, made for the image's C library or an older one. */
function nftRunsInImage(): boolean {
  const libc = spawnSync('getconf', ['GNU_LIBC_VERSION'], { encoding: 'utf8' }).stdout ?? '';
  const [major = 0, minor = 0] = (/([0-9]+)\.([0-9]+)/.exec(libc)?.slice(1) ?? []).map(Number);
  const found = spawnSync('sh', ['-c', 'PATH=$PATH:/usr/sbin:/sbin command -v nft']).status === 0;
  return found && major === BASE_GLIBC[0] && minor <= BASE_GLIBC[1];
}

function localArchive(): Buffer {
  const done = spawnSync('sh', ['-c', ARCHIVE], { maxBuffer: MAX_ARCHIVE_BYTES });
  if (done.status !== 0) throw new Error(`nft of this machine could not be copied: ${words(done)}`);
  return done.stdout;
}

function containerArchive(): Buffer {
  const command = ['run', '--rm', '--user', '0:0', '--entrypoint', 'sh', TOOLS_IMAGE, '-c', ARCHIVE];
  const done = spawnSync('docker', command, { maxBuffer: MAX_ARCHIVE_BYTES });
  if (done.status !== 0) {
    throw new Error(
      `the image needs the program nft, this machine has none that runs on Debian 12, and a container of ${TOOLS_IMAGE} gave none: ${words(done)}\n` +
        'Install the package nftables on Debian 12, or name an image that has it: ISTHMUS_TOOLS_IMAGE=… npm run image',
    );
  }
  return done.stdout;
}

function words(done: { error?: Error; stderr: Buffer | null }): string {
  return done.error?.message ?? (done.stderr?.toString().trim().split('\n').at(-1) || 'no reason given');
}
