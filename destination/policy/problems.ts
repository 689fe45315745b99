/** Takes what is wrong with an object, in words for who wrote it: names the thing, what it is and what it must be. */
export type TellProblem = (problem: string) => void;

/** For who only wants the reading. */
export const untold: TellProblem = () => {};

/** A text of an object as it stands in a message. */
export function quoted(value: unknown): string {
  return JSON.stringify(value) ?? 'nothing';
}
