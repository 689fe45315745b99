import type { ResourceData } from '../data.ts';
import type { Printer, TableColumn } from '../types.ts';
import { age } from './age.ts';
import { cellsOf } from './cells.ts';

/** The printer of a built-in kind: columns from the generated data, cells by the kind's own function or, where there is none, name and age. */
export function builtinPrinter(group: string, data: ResourceData): Printer {
  const columns = data.columns.map(([name, type, format, priority]): TableColumn => {
    return { name, type, format, priority, description: '' };
  });
  const cells = cellsOf(group, data.kind);
  if (cells !== undefined) return { columns, row: cells };
  return {
    columns,
    row: (object, now) =>
      columns.map(({ name }) => {
        if (name === 'Name') return object.metadata.name ?? '';
        // The real server shows the bare time under this heading, and kubectl leaves it so.
        if (name === 'Created At') return object.metadata.creationTimestamp ?? '';
        if (name === 'Age') return age(object.metadata.creationTimestamp, now);
        return '';
      }),
  };
}
