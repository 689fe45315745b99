/** What the person at the keyboard can mend: exit code 1, no stack. Everything else that fails is ours: exit code 2. */
export class UserError extends Error {
  /** What to do about it, one line. */
  readonly hint: string | undefined;

  constructor(message: string, hint?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'UserError';
    this.hint = hint;
  }
}

/** The exit code of what the person at the keyboard can mend. */
export const EXIT_USER = 1;
/** The exit code of everything else that fails. */
export const EXIT_OURS = 2;
