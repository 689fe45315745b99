import type { Script } from 'node:vm';
import { env } from '../api/names.ts';

/**
 * Node's own modules as they are. An `import` or `require` of one also evaluates each of its exports, and behind some
 * of them the runtime loads what is seldom used: streams of files, the whole of Web Crypto.
 */
const fs = process.getBuiltinModule('node:fs');
const vm = process.getBuiltinModule('node:vm');

/**
 * Where what V8 has compiled of a part lies. Node's own compile cache keeps a module as it is before it runs: without
 * most of its functions, which V8 compiles when they are called first. A process with `env.keepCompiled` writes it at
 * its end; that is done once, while the image is made (`rehearse.ts`).
 */
export function compiledFile(file: string): string {
  return `${file}.compiled`;
}

/**
 * Runs a bundled CommonJS file, with what V8 has compiled of it before where that is there and made by the same V8 with
 * the same flags: else it is compiled anew.
 * @returns its exports
 */
export function runScript(file: string): unknown {
  const script = compile(file);
  if (process.env[env.keepCompiled] !== undefined) {
    // Else collections drop the code of functions that only a start calls. V8 takes nothing that was made under other flags, so they are as ever at the end.
    const { setFlagsFromString } = process.getBuiltinModule('node:v8');
    setFlagsFromString('--no-flush-bytecode');
    process.once('exit', () => {
      setFlagsFromString('--flush-bytecode');
      fs.writeFileSync(compiledFile(file), script.createCachedData());
    });
  }
  const run = script.runInThisContext() as (
    exports: object,
    require: (name: string) => unknown,
    module: { exports: unknown },
  ) => void;
  const module = { exports: {} };
  run(module.exports, requireFrom(file), module);
  return module.exports;
}

/** What a script asks for: Node's modules as they are, and packages beside it, which are looked for when one is. */
function requireFrom(file: string): (name: string) => unknown {
  let others: NodeJS.Require | undefined;
  return (name) => {
    if (name.startsWith('node:')) return process.getBuiltinModule(name);
    others ??= process.getBuiltinModule('node:module').createRequire(file);
    return others(name);
  };
}

/** The script, of which `cachedDataRejected` tells whether V8 took what it had compiled before. */
export function compile(file: string): Script {
  // The bundler writes ASCII (licences apart, which are comments); text of one byte a character is read and parsed faster.
  const source = `(function (exports, require, module) {${fs.readFileSync(file, 'latin1')}\n})`;
  const cachedData = readCompiled(file);
  return new vm.Script(source, { filename: file, ...(cachedData === undefined ? {} : { cachedData }) });
}

function readCompiled(file: string): Buffer | undefined {
  try {
    return fs.readFileSync(compiledFile(file));
  } catch {
    // Not made: it costs time, nothing else.
    return undefined;
  }
}
