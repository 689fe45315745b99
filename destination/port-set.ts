/** A list of ports as annotations write it: numbers, ranges and names of ports. */
export interface PortSet {
  /** Inclusive. */
  readonly ranges: readonly (readonly [first: number, last: number])[];
  readonly names: ReadonlySet<string>;
}

/** RFC 6335 service name, as Kubernetes takes for a port's name. */
const PORT_NAME = /^(?=.*[a-z])[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?$/;

/**
 * Reads `3306,5000-5010,mysql`. What can't be read is left out and handed back in `invalid`: one wrong word in an annotation must not
 * undo the rest.
 */
export function parsePortSet(text: string): { ports: PortSet; invalid: string[] } {
  const ranges: [number, number][] = [];
  const names = new Set<string>();
  const invalid: string[] = [];
  const words = text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
  for (const word of words) {
    const range = parseRange(word);
    if (range !== undefined) ranges.push(range);
    else if (PORT_NAME.test(word)) names.add(word);
    else invalid.push(word);
  }
  return { ports: { ranges, names }, invalid };
}

/** Membership by number, or by name where the port has one. */
export function hasPort(set: PortSet, port: number, name?: string): boolean {
  return (
    set.ranges.some(([first, last]) => port >= first && port <= last) ||
    (name !== undefined && set.names.has(name))
  );
}

function parseRange(word: string): [number, number] | undefined {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(word);
  if (match === null) return undefined;
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  return first <= last && last <= 65_535 ? [first, last] : undefined;
}
