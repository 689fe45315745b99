/** Levels of our processes' own logs, from the lowest; `silent` writes nothing. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/**
 * Reads a level as people write it for a proxy: one of ours, or a filter of Linkerd's (`warn,linkerd=debug`), of which the part about the proxy itself counts.
 * Undefined for what is neither.
 */
export function parseLogLevel(text: string): LogLevel | undefined {
  if (text === 'fatal' || text === 'silent') return text;
  const levels = new Map<string, LogLevel>();
  for (const directive of text.split(',').map((part) => part.trim())) {
    const match = /^(?:([\w:]+)=)?(off|error|warn|info|debug|trace)$/.exec(directive);
    if (match === null) return undefined;
    const level = LOG_LEVELS.find((one) => one === match[2]) ?? 'silent';
    levels.set(match[1] ?? '', level);
  }
  return levels.get('linkerd') ?? levels.get('linkerd2_proxy') ?? levels.get('');
}
