/** What a process writes line by line: bounded, and holding nobody up. */
export { descriptorLimit } from './descriptor-limit.ts';
export { type JsonLog, LowestLevel, silentLog } from './json-log.ts';
export { LogOutput, toDescriptorAtOnce, type WriteBytes } from './log-output.ts';
export { openLog, type LogTarget } from './log-target.ts';
export { createOwnLog, type OwnLog } from './own-log.ts';
export { endProcess, EXIT_CONFIG, EXIT_FAILED, hearSignals, outliveFaults } from './process-end.ts';
