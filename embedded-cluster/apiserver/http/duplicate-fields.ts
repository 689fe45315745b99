/** Paths of the fields that a JSON text gives twice, in their order, as kube-apiserver's strict decoder names them. The text must be valid JSON. */
export function duplicateFields(text: string): string[] {
  const found: string[] = [];
  const open: Container[] = [];
  for (const [token] of text.matchAll(TOKEN)) {
    const container = open.at(-1);
    switch (token) {
      case '{':
        open.push({ path: pathOf(container), keys: new Set(), key: undefined, index: 0 });
        break;
      case '[':
        open.push({ path: pathOf(container), keys: undefined, key: undefined, index: 0 });
        break;
      case '}':
      case ']':
        open.pop();
        break;
      case ',':
        if (container === undefined) break;
        container.index++;
        container.key = undefined;
        break;
      default: {
        // Of an object's strings those are keys that come where none is known yet.
        if (container?.keys === undefined || container.key !== undefined) break;
        container.key = JSON.parse(token) as string;
        if (container.keys.has(container.key)) found.push(pathOf(container));
        container.keys.add(container.key);
      }
    }
  }
  return found;
}

interface Container {
  path: string;
  /** Of an object; undefined for a list. */
  keys: Set<string> | undefined;
  key: string | undefined;
  index: number;
}

/** Strings whole, so that what stands in them is not taken for structure. */
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],]/g;

function pathOf(container: Container | undefined): string {
  if (container === undefined) return '';
  if (container.keys === undefined) return `${container.path}[${container.index}]`;
  return container.path === '' ? (container.key ?? '') : `${container.path}.${container.key ?? ''}`;
}
