/**
 * Replaces `$(NAME)` by what `lookup` knows; `$$` stands for one dollar sign; what is unknown or has no closing bracket stays as it is
 * (Kubernetes' rules for `command`, `args` and `env`).
 */
export function expand(input: string, lookup: (name: string) => string | undefined): string {
  let result = '';
  let at = 0;
  for (;;) {
    const dollar = input.indexOf('$', at);
    if (dollar === -1 || dollar === input.length - 1) return result + input.slice(at);
    result += input.slice(at, dollar);
    const next = input[dollar + 1];
    const close = next === '(' ? input.indexOf(')', dollar + 2) : -1;
    if (next === '$') {
      result += '$';
      at = dollar + 2;
    } else if (close === -1) {
      result += '$';
      at = dollar + 1;
    } else {
      result += lookup(input.slice(dollar + 2, close)) ?? input.slice(dollar, close + 1);
      at = close + 1;
    }
  }
}
