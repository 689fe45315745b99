import type { LabelSelector } from '../../../api/kubernetes-types.ts';
import type { StoredObject } from '../../types.ts';

export function nameOf(object: StoredObject): string {
  return object.metadata.name ?? '';
}

/** `a=b,c in (d,e),!f`, sorted by key; `<none>` where it selects nothing. */
export function selectorText(selector: LabelSelector | undefined): string {
  const equal = Object.entries(selector?.matchLabels ?? {}).map(([key, value]): [string, string] => [
    key,
    `${key}=${value}`,
  ]);
  const expressions = (selector?.matchExpressions ?? []).map(
    ({ key, operator, values = [] }): [string, string] => {
      const list = `(${[...values].sort().join(',')})`;
      switch (operator) {
        case 'In':
          return [key, `${key} in ${list}`];
        case 'NotIn':
          return [key, `${key} notin ${list}`];
        case 'Exists':
          return [key, key];
        default:
          return [key, `!${key}`];
      }
    },
  );
  const parts = [...equal, ...expressions].sort(([a], [b]) => (a < b ? -1 : 1));
  return parts.length === 0 ? '<none>' : parts.map(([, text]) => text).join(',');
}

/** The first few of a list, and how many more there are; the last argument is what an empty list shows. */
export function firstFew(values: readonly string[], most: number, none: string): string {
  if (values.length === 0) return none;
  const shown = values.slice(0, most).join(',');
  return values.length > most ? `${shown} + ${values.length - most} more...` : shown;
}
