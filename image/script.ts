import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';
import { env } from '../api/names.ts';

/**
 * Where what V8 has compiled of a part lies. Node's own compile cache keeps a module as it is before it runs: without most of its functions, which V8 compiles when they are called first.
 * A process with `env.keepCompiled` writes it at its end; that is done once, while the image is made (`rehearse.ts`).
 */
export function compiledFile(file: string): string {
  return `${file}.compiled`;
}

/**
 * Runs a bundled CommonJS file, with what V8 has compiled of it before where that is there and made by the same V8 with the same flags: else it is compiled anew.
 * @returns its exports
 */
export function runScript(file: string): unknown {
  const script = compile(file);
  if (process.env[env.keepCompiled] !== undefined) {
    // Else collections drop the code of functions that only a start calls. V8 takes nothing that was made under other flags, so they are as ever at the end.
    setFlagsFromString('--no-flush-bytecode');
    process.once('exit', () => {
      setFlagsFromString('--flush-bytecode');
      writeFileSync(compiledFile(file), script.createCachedData());
    });
  }
  const run = script.runInThisContext() as (
    exports: object,
    require: NodeJS.Require,
    module: { exports: unknown },
  ) => void;
  const module = { exports: {} };
  run(module.exports, createRequire(file), module);
  return module.exports;
}

/** The script, of which `cachedDataRejected` tells whether V8 took what it had compiled before. */
export function compile(file: string): Script {
  // The bundler writes ASCII (licences apart, which are comments); text of one byte a character is read and parsed faster.
  const source = `(function (exports, require, module) {${readFileSync(file, 'latin1')}\n})`;
  const cachedData = readCompiled(file);
  return new Script(source, { filename: file, ...(cachedData === undefined ? {} : { cachedData }) });
}

function readCompiled(file: string): Buffer | undefined {
  try {
    return readFileSync(compiledFile(file));
  } catch {
    // Not made: it costs time, nothing else.
    return undefined;
  }
}
