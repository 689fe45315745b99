import { endOnEarlySignal } from './early-signal.ts';

/** Entry point of the one image: the first argument names the part to run as. */
const parts: Record<string, () => Promise<{ started?: Promise<void> }>> = {
  'control-plane': () => import('../control-plane/main.ts'),
  'mirror-controller': () => import('../mirror-controller/main.ts'),
  proxy: () => import('../proxy/main.ts'),
  gateway: () => import('../gateway/main.ts'),
  redirect: () => import('../redirect/main.ts'),
  await: () => import('../proxy/await/main.ts'),
};

const start = parts[process.argv[2] ?? ''];
if (start === undefined) {
  process.stderr.write(`usage: isthmus ${Object.keys(parts).join('|')}\n`);
  process.exit(64);
}
const takeBack = endOnEarlySignal();
void (async () => {
  await (
    await start()
  ).started;
  takeBack();
  // Long-running parts would write the compile cache (if one is set) only at their end.
  process.getBuiltinModule('node:module').flushCompileCache();
})();
