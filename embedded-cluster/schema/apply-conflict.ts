import { ApiError } from '../types.ts';
import { order, type Owner } from './field-owners.ts';
import type { FieldSet } from './field-set.ts';

/** Fields that an apply would take from their owner. */
export interface Conflict {
  owner: Owner;
  fields: FieldSet;
}

/** 409 with one cause a field, in the real server's words. */
export function conflictError(conflicts: readonly Conflict[]): ApiError {
  const causes = conflicts.flatMap(({ owner, fields }) =>
    fields.paths().map((field) => ({
      reason: 'FieldManagerConflict',
      message: `conflict with ${ownerText(owner)}`,
      field,
    })),
  );
  return ApiError.of(409, conflictMessage(conflicts, causes), { reason: 'Conflict', details: { causes } });
}

function conflictMessage(
  conflicts: readonly Conflict[],
  causes: { message: string; field: string }[],
): string {
  const [only] = causes;
  if (causes.length === 1 && only !== undefined) {
    return `Apply failed with 1 conflict: ${only.message}: ${only.field}`;
  }
  const inOrder = conflicts.toSorted((a, b) => order(identifier(a.owner), identifier(b.owner)));
  const blocks = inOrder.map(({ owner, fields }) =>
    [`conflicts with ${ownerText(owner)}:`, ...fields.paths().map((path) => `- ${path}`)].join('\n'),
  );
  return `Apply failed with ${causes.length} conflicts: ${blocks.join('\n')}`;
}

/** By what the real server sorts: its entry, as JSON. */
function identifier({ manager, operation, apiVersion, subresource }: Owner): string {
  return JSON.stringify({
    manager,
    operation,
    ...(operation === 'Apply' ? {} : { apiVersion }),
    ...(subresource === '' ? {} : { subresource }),
  });
}

function ownerText(owner: Owner): string {
  const subresource = owner.subresource === '' ? '' : ` with subresource "${owner.subresource}"`;
  const version = owner.operation === 'Update' ? ` using ${owner.apiVersion}` : '';
  return `${JSON.stringify(owner.manager)}${subresource}${version}`;
}
