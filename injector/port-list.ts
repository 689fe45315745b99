import type { Container } from '../api/kubernetes-types.ts';

const RANGE = /^(\d{1,5})(?:-(\d{1,5}))?$/;
const MAX_PORT = 65_535;

/**
 * The ports of an annotation as the proxy and the init container take them: numbers and ranges alone. Names become the numbers of the containers' ports of that
 * name; a word that is neither is left out with a warning, since they would not start with it.
 * @param what the ports are, for the warning
 */
export function portList(
  text: string,
  containers: readonly Container[],
  what: string,
): { ports: string; warnings: string[] } {
  const ports: string[] = [];
  const warnings: string[] = [];
  for (const word of text.split(',').map((part) => part.trim())) {
    const named = containers
      .flatMap((container) => container.ports ?? [])
      .filter(({ name }) => name !== undefined && name === word)
      .map(({ containerPort }) => String(containerPort));
    if (isRange(word)) ports.push(word);
    else if (named.length > 0) ports.push(...named);
    else if (word !== '')
      warnings.push(`${what}: ${JSON.stringify(word)} is no port, range or port name; it is ignored`);
  }
  return { ports: ports.join(','), warnings };
}

function isRange(word: string): boolean {
  const match = RANGE.exec(word);
  if (match === null) return false;
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  return first >= 1 && first <= last && last <= MAX_PORT;
}
