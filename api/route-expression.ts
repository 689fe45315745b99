import { setFlagsFromString } from 'node:v8';

/*
 * Regular expressions of routes. Who writes a route is not who sends the requests that it is tried on: one that tries
 * one way after the other, as JavaScript's do, can take hours for thirty characters. V8 has a second engine that needs
 * time in proportion to the text, as Linkerd's does; it goes over to that one after so many steps back, where it can
 * run the expression, and by `l` it is asked whether it can.
 */
const ENGINE = [
  '--enable-experimental-regexp-engine-on-excessive-backtracks',
  '--enable-experimental-regexp-engine',
];
let engineIsOn = false;

/** The engine's own flag. */
const LINEAR = 'l';

/** How often a part may be repeated by a count for the engine to take it. */
const MOST_REPEATS = 16;
/** Longest expression that repeats by a count are written out to. */
const MOST_LENGTH = 4_096;

/** One character, escape or class, and how often it is repeated: `[0-9a-f]{32}`, `.{3,20}`, `\d{20,}`. */
const COUNTED = /(\\.|\[(?:\\.|[^\]\\])*\]|[^\\[\](){}*+?|^$])\{(\d{1,4})(,?)(\d{0,4})\}/g;

/**
 * Compiles an expression for a whole text; it takes a time in proportion to the text. Throws a SyntaxError for what is
 * none, and for what can't be run so: looking ahead, references back, `\p`, and groups that are repeated by a count of
 * more than sixteen.
 */
export function routeExpression(text: string): RegExp {
  turnEngineOn();
  // Its rules for escapes are the strict ones, nearly those of other languages.
  void new RegExp(text, 'u');
  if (/\\[pP]/.test(text)) throw new SyntaxError(`${JSON.stringify(text)} asks for a property of characters`);
  const whole = `^(?:${text.replaceAll(COUNTED, writtenOut)})$`;
  if (whole.length > MOST_LENGTH) throw new SyntaxError(`${JSON.stringify(text)} repeats too much`);
  void new RegExp(whole, LINEAR);
  return new RegExp(whole);
}

/** With the first expression: what was compiled before (`image/script.ts`) is refused by a process whose flags are others. */
function turnEngineOn(): void {
  if (engineIsOn) return;
  engineIsOn = true;
  for (const flag of ENGINE) setFlagsFromString(flag);
}

/** The same by counts that the engine takes: `a{20,30}` is `a{16}a{4}a{0,10}`. */
function writtenOut(all: string, atom: string, low: string, comma: string, high: string): string {
  const least = Number(low);
  const most = comma === '' ? least : high === '' ? Infinity : Number(high);
  if (Math.max(least, most === Infinity ? 0 : most) <= MOST_REPEATS) return all;
  const rest = most === Infinity ? `${atom}*` : inPieces(atom, most - least, (n) => `{0,${n}}`);
  return `(?:${inPieces(atom, least, (n) => `{${n}}`)}${rest})`;
}

function inPieces(atom: string, times: number, count: (n: number) => string): string {
  let out = '';
  for (let left = times; left > 0; left -= MOST_REPEATS) out += atom + count(Math.min(left, MOST_REPEATS));
  return out;
}
