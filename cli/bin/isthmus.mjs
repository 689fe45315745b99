#!/usr/bin/env node
// Starts the CLI with the Node that the package brings (optional dependency `node-linux-*`), whatever older Node this file was started by. Plain JavaScript on
// purpose: it must run on Node 20.
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const MIN_NODE_MAJOR = 26;
const main = fileURLToPath(new URL('../main.ts', import.meta.url));

/** Path of a Node that is new enough, or undefined. */
function findNode() {
  if (Number(process.versions.node.split('.')[0]) >= MIN_NODE_MAJOR) return process.execPath;
  try {
    const require = createRequire(import.meta.url);
    return require.resolve(`node-${process.platform}-${process.arch}/bin/node`);
  } catch {
    return undefined;
  }
}

const node = findNode();
if (node === undefined) {
  process.stderr.write(
    `isthmus: Node ${MIN_NODE_MAJOR} is needed, this is ${process.version}, and the package node-${process.platform}-${process.arch} is not installed.\n` +
      'Run `npm ci` in the project folder (without --omit=optional), or start isthmus with a newer Node.\n',
  );
  process.exit(1);
}

// Stripped and compiled once, used by the command and every part that it starts: half the start-up time, and less memory.
const cache = fileURLToPath(new URL('../../node_modules/.cache/isthmus', import.meta.url));
const child = spawn(node, ['--disable-warning=ExperimentalWarning', main, ...process.argv.slice(2)], {
  stdio: 'inherit',
  env: { NODE_COMPILE_CACHE: cache, ...process.env },
});
// Who ends this process means the command. A terminal's Ctrl-C comes to both of them: once more does no harm.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => child.kill(signal));
}
// npm hands no signal on: when it is ended, so is what it has started.
if (process.env.npm_lifecycle_event !== undefined) {
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    child.kill('SIGTERM');
  }, 500);
}
child.on('error', (error) => {
  process.stderr.write(`isthmus: ${node} did not start: ${error.message}\n`);
  process.exit(2);
});
child.on('exit', (code, signal) => {
  if (signal === null) process.exit(code ?? 2);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
