// Adds to package-lock.json the platform variants of optional dependencies that the registry at hand does not have.
// npm leaves a variant out of the lock when its package cannot be found, and `npm ci` then refuses the lock on every machine, also where the variant is not for that
// machine. Run after each `npm install` that changed the lock: node .ci/complete-lockfile.mjs
import { readFileSync, writeFileSync } from 'node:fs';

const OS = [
  'aix',
  'android',
  'darwin',
  'freebsd',
  'linux',
  'netbsd',
  'openbsd',
  'openharmony',
  'sunos',
  'win32',
];
const CPU = {
  'arm-eabi': 'arm',
  armv7: 'arm',
  aarch64: 'arm64',
  arm64: 'arm64',
  arm: 'arm',
  x64: 'x64',
  ia32: 'ia32',
  ppc64: 'ppc64',
  riscv64: 'riscv64',
  s390x: 's390x',
  loong64: 'loong64',
  mips64el: 'mips64el',
};

/** What a package is for, by the words of its name. */
function platform(name) {
  const words = name.split('/').at(-1).split(/[-_]/);
  const os = OS.find((word) => words.includes(word));
  const cpu = Object.keys(CPU).find((word) => words.includes(word) || name.endsWith(word));
  if (os === undefined || cpu === undefined) return undefined;
  const libc = words.some((word) => word.startsWith('musl'))
    ? 'musl'
    : words.some((word) => word.startsWith('gnu'))
      ? 'glibc'
      : undefined;
  return { cpu: [CPU[cpu]], ...(libc === undefined || os !== 'linux' ? {} : { libc: [libc] }), os: [os] };
}

const file = new URL('../package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(file, 'utf8'));
const added = [];
for (const [parent, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const path = `node_modules/${name}`;
    if (lock.packages[path] !== undefined || lock.packages[`${parent}/${path}`] !== undefined) continue;
    const where = platform(name);
    if (where === undefined || !/^\d/.test(version)) {
      process.stderr.write(`${name}@${version}: cannot tell which platform it is for\n`);
      process.exitCode = 1;
      continue;
    }
    lock.packages[path] = { version, ...where, ...(entry.dev ? { dev: true } : {}), optional: true };
    added.push(name);
  }
}
const [root, ...others] = Object.entries(lock.packages);
lock.packages = Object.fromEntries([root, ...others.toSorted(([a], [b]) => (a < b ? -1 : 1))]);
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
process.stdout.write(`${added.length} platform variants added\n`);
