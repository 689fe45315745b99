import type { CustomResourceDefinitionVersion } from '../../../api/kubernetes-types.ts';
import type { StoredObject } from '../../types.ts';
import type { Printer, TableColumn } from '../types.ts';
import { age } from './age.ts';
import { evaluateJsonPath, parseJsonPath } from './json-path.ts';

type ColumnDefinition = NonNullable<CustomResourceDefinitionVersion['additionalPrinterColumns']>[number];

interface Column {
  definition: TableColumn;
  cell: (object: StoredObject, now: number) => unknown;
}

const nameColumn: Column = {
  definition: { name: 'Name', type: 'string', format: 'name', description: '', priority: 0 },
  cell: (object) => object.metadata.name ?? '',
};

const ageColumn: ColumnDefinition = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' };

/** The printer of a custom kind: name, then what the CRD names (Age alone where it names nothing). */
export function customPrinter(definitions: readonly ColumnDefinition[] | undefined): Printer {
  const columns = [nameColumn, ...(definitions?.length ? definitions : [ageColumn]).map(columnOf)];
  return {
    columns: columns.map(({ definition }) => definition),
    row: (object, now) => columns.map(({ cell }) => cell(object, now)),
  };
}

function columnOf(definition: ColumnDefinition): Column {
  const path = parseJsonPath(definition.jsonPath);
  return {
    definition: {
      name: definition.name,
      type: definition.type,
      format: definition.format ?? '',
      description: definition.description ?? '',
      priority: definition.priority ?? 0,
    },
    cell: (object, now) => {
      const values = evaluateJsonPath(path, object);
      return values.length === 0 ? null : cellValue(values, definition.type, now);
    },
  };
}

/** A value that does not have the column's type is shown as nothing, as on the real server. */
function cellValue(values: unknown[], type: string, now: number): unknown {
  const [value] = values;
  switch (type) {
    case 'integer':
      return typeof value === 'number' ? Math.trunc(value) : null;
    case 'number':
      return typeof value === 'number' ? value : null;
    case 'boolean':
      return typeof value === 'boolean' ? value : null;
    case 'date':
      return typeof value === 'string' ? age(value, now) : null;
    default:
      return values.map(text).join(',');
  }
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
