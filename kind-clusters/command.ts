import { spawn } from 'node:child_process';
import { UserError } from '../cli/errors.ts';

export interface RunOptions {
  /** Given on standard input. */
  input?: string;
  signal?: AbortSignal;
  /** Called with what the command says while it runs. */
  onOutput?: (text: string) => void;
}

/** Lines of a failed command that are shown: its last words tell why. */
const LAST_LINES = 12;

/**
 * Runs a command to its end and answers its standard output. Throws a UserError with the command's last words when it
 * fails, is not there, or `signal` aborts.
 */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<string> {
  const [program = '', ...args] = command;
  const { input = '', signal, onOutput } = options;
  const child = spawn(program, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(signal === undefined ? {} : { signal }),
  });
  let out = '';
  let all = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
    all += text;
    onOutput?.(text);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    all += text;
    onOutput?.(text);
  });
  // A command that reads nothing may have closed its end.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const failure = await new Promise<string | undefined>((resolve) => {
    child.on('error', (error) => {
      // One that runs is waited for, also when it was told to end.
      if (child.pid === undefined) resolve(error.message);
    });
    child.on('close', (code, by) => resolve(code === 0 ? undefined : `ended with ${by ?? code}`));
  });
  if (failure === undefined) return out;
  if (signal?.aborted === true) throw new UserError('interrupted');
  throw new UserError(`\`${command.join(' ')}\` ${failure}`, lastLines(all));
}

function lastLines(text: string): string | undefined {
  const lines = text.trim().split('\n').slice(-LAST_LINES);
  return lines[0] === '' ? undefined : lines.join('\n       ');
}
