import { equalBytes, FieldId, type Head } from '../proxy/index.ts';
import { readTarget } from './admission.ts';

/** Reads the targets that one client names. They are few: the last one is remembered as bytes, so that most requests cost a comparison and make no text. */
export class TargetNames {
  #bytes = Buffer.alloc(0);
  #name: string | undefined = undefined;

  /** The target of a request; undefined when the field is absent, there twice, or names none. */
  of(head: Head): string | undefined {
    const at = head.find(FieldId.isthmusTarget);
    const value = at < 0 ? undefined : head.valueBuffer[at];
    if (value === undefined || head.find(FieldId.isthmusTarget, at + 1) >= 0) return undefined;
    if (equalBytes(value, head.valueStart[at] ?? 0, head.valueEnd[at] ?? 0, this.#bytes)) return this.#name;
    const text = head.value(at);
    this.#bytes = Buffer.from(text, 'latin1');
    this.#name = readTarget(text);
    return this.#name;
  }
}
