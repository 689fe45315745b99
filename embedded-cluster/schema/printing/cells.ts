import type { StoredObject } from '../../types.ts';

/** The cells of one row, in the order of the kind's columns. */
export type Cells = (object: StoredObject, now: number) => unknown[];

const cells: Readonly<Record<string, Cells>> = {};

export function cellsOf(group: string, kind: string): Cells | undefined {
  return cells[`${group}/${kind}`];
}
