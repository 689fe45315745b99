import type { LabelSelector } from '../../../api/kubernetes-types.ts';
import { forbidden, invalid, required } from '../errors.ts';
import type { FieldError } from '../types.ts';
import { validateLabels } from './metadata.ts';
import { qualifiedNameProblems } from './names.ts';

/** metav1.LabelSelector, as workloads and webhooks use it. */
export function validateSelector(selector: LabelSelector | undefined, path: string): FieldError[] {
  const errors = validateLabels(selector?.matchLabels, `${path}.matchLabels`);
  for (const [index, { key, operator, values = [] }] of (selector?.matchExpressions ?? []).entries()) {
    const at = `${path}.matchExpressions[${index}]`;
    switch (operator) {
      case 'In':
      case 'NotIn':
        if (values.length === 0) {
          errors.push(required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
        }
        break;
      case 'Exists':
      case 'DoesNotExist':
        if (values.length > 0) {
          errors.push(
            forbidden(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
          );
        }
        break;
      default:
        errors.push(invalid(`${at}.operator`, operator, 'not a valid selector operator'));
    }
    errors.push(...qualifiedNameProblems(key).map((problem) => invalid(`${at}.key`, key, problem)));
  }
  return errors;
}

export function isEmptySelector(selector: LabelSelector): boolean {
  return (
    Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions ?? []).length === 0
  );
}
