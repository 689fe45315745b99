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
// The first process of a container gets no signal that it has no handler for: until the part has its own, nothing is under way.
const stopEarly = (): void => process.exit(0);
process.on('SIGTERM', stopEarly);
void (async () => {
  await (
    await start()
  ).started;
  process.off('SIGTERM', stopEarly);
  // Long-running parts would write the compile cache (if one is set) only at their end.
  process.getBuiltinModule('node:module').flushCompileCache();
})();
