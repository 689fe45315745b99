import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build as esbuild, formatMessages, type BuildOptions, type Plugin } from 'esbuild';
import { DIST, folder, startOf } from './layout.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** What a bundle is made of, by the name of its file without its ending. */
export type Entries = Readonly<Record<string, string>>;

/** Packages with machine code: they are copied as they are. */
const NATIVE = ['koffi'] as const;

/**
 * Parts that start with every pod, or stand in the way of all traffic while they start: scripts that are run with what
 * V8 compiled of them before (`script.ts`).
 */
export const SCRIPTS: readonly string[] = ['proxy', 'gateway'];

/** CommonJS packages ask for Node's own modules by `require`, which ES modules do not have. */
const REQUIRE =
  "import { createRequire as __isthmusRequire } from 'node:module'; const require = __isthmusRequire(import.meta.url);";

const OPTIONS = {
  bundle: true,
  platform: 'node',
  target: 'node26',
  external: [...NATIVE],
  minifySyntax: true,
  minifyWhitespace: true,
  // Licences of what is bundled stay with it.
  legalComments: 'eof',
  absWorkingDir: root,
  // What fails is told by who asked for the bundle, and once.
  logLevel: 'silent',
} satisfies BuildOptions;

const MODULE = { format: 'esm', banner: { js: REQUIRE } } satisfies BuildOptions;

/** Of a part, which stands beside what is no module. */
const PART_MODULE = { ...MODULE, outExtension: { '.js': '.mjs' } } satisfies BuildOptions;

/** The entry point is no module: Node then starts nothing of what loads those, 3 ms of a sidecar's start. Parts that are modules it imports. */
const ENTRY = { format: 'cjs' } satisfies BuildOptions;

/** A script has no `import()`, so packages that are loaded late are required late. */
const SCRIPT = {
  format: 'cjs',
  outExtension: { '.js': '.cjs' },
  supported: { 'dynamic-import': false },
} satisfies BuildOptions;

/**
 * Makes one file of each part, of each worker thread, of the entry point and of the example, and copies the packages
 * with machine code (this machine's) and the script that starts a part. Rejects when something cannot be resolved.
 * @returns the files of the parts
 */
export async function bundle(dist: string = DIST): Promise<string[]> {
  const outdir = join(dist, folder.parts);
  rmSync(dist, { recursive: true, force: true });
  mkdirSync(outdir, { recursive: true });
  const parts: Record<string, string> = {};
  await write(outdir, { entrypoint: join(root, 'image/entrypoint.ts') }, partsApart(parts), ENTRY);
  const isScript = ([name]: [string, string]): boolean => SCRIPTS.includes(name);
  const scripts = Object.fromEntries(Object.entries(parts).filter(isScript));
  const modules = Object.fromEntries(Object.entries(parts).filter((part) => !isScript(part)));
  const workers: Record<string, string> = {};
  await write(outdir, modules, workersApart(workers), PART_MODULE);
  await write(outdir, scripts, workersApart({}), SCRIPT);
  await write(outdir, workers, workersApart({}), PART_MODULE);
  for (const name of NATIVE) copyNative(name, outdir);
  cpSync(join(root, 'image/start.sh'), startOf(dist));
  const example = join(dist, folder.example);
  await write(example, { main: join(root, 'examples/main.ts') }, workersApart({}));
  await write(
    join(dist, folder.rehearsal),
    { main: join(root, 'image/rehearsal/main.ts') },
    workersApart({}),
  );
  for (const [name, type] of [
    [folder.parts, 'commonjs'],
    [folder.example, 'module'],
    [folder.rehearsal, 'module'],
  ] as const) {
    writeFileSync(join(dist, name, 'package.json'), `{"type":"${type}"}\n`);
  }
  return [
    'entrypoint.js',
    ...[...Object.keys(modules), ...Object.keys(workers)].map((name) => `${name}.mjs`),
    ...Object.keys(scripts).map((name) => `${name}.cjs`),
  ];
}

async function write(
  outdir: string,
  entryPoints: Entries,
  plugin: Plugin,
  kind: BuildOptions = MODULE,
): Promise<void> {
  const { warnings } = await esbuild({ ...OPTIONS, ...kind, outdir, entryPoints, plugins: [plugin] });
  for (const text of await formatMessages(warnings, { kind: 'warning' })) process.stderr.write(text);
}

/** The entry point loads the one part that it is asked for: each part is a file of its own. */
function partsApart(found: Record<string, string>): Plugin {
  return {
    name: 'parts-apart',
    setup(build) {
      build.onResolve({ filter: /\/main\.ts$/ }, ({ path, importer, kind }) => {
        if (kind !== 'dynamic-import') return undefined;
        const name = basename(dirname(path));
        found[name] = join(dirname(importer), path);
        if (SCRIPTS.includes(name)) return { path: name, namespace: 'script' };
        return { path: `./${name}.mjs`, external: true };
      });
      build.onLoad({ filter: /.*/, namespace: 'script' }, ({ path }) => ({
        contents: `import { runScript } from './script.ts';
          export const { started } = runScript(__dirname + '/${path}.cjs');`,
        resolveDir: import.meta.dirname,
      }));
    },
  };
}

/** A thread's module is named by a URL beside its starter's; in the bundle both lie in one folder, as JavaScript. */
const WORKER_URL = /new URL\('([\w-]+)\.ts', import\.meta\.url\)/g;

function workersApart(found: Record<string, string>): Plugin {
  return {
    name: 'workers-apart',
    setup(build) {
      build.onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const source = readFileSync(path, 'utf8');
        if (!source.includes('import.meta.url')) return undefined;
        const contents = source.replace(WORKER_URL, (_url, name: string) => {
          found[name] = join(dirname(path), `${name}.ts`);
          return `new URL('${name}.mjs', import.meta.url)`;
        });
        return { contents, loader: 'ts' };
      });
    },
  };
}

/**
 * Of koffi: its loader as scripts require it (only the scripts have it), and the machine code for glibc. The rest of
 * its packages is source code and other platforms'.
 */
function copyNative(name: (typeof NATIVE)[number], outdir: string): void {
  const addon = `@koromix/${name}-linux-${process.arch}`;
  const files = [
    ...['package.json', 'LICENSE.txt', 'index.cjs', 'src/koffi/index.cjs', 'src/koffi/src/static.cjs'].map(
      (file) => `${name}/${file}`,
    ),
    ...['package.json', 'index.js', `linux_${process.arch}/koffi.node`].map((file) => `${addon}/${file}`),
  ];
  for (const file of files) {
    const from = join(root, 'node_modules', file);
    const to = join(outdir, 'node_modules', file);
    mkdirSync(dirname(to), { recursive: true });
    cpSync(from, to);
  }
}
