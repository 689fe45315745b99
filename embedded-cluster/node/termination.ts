import { readFileSync } from 'node:fs';
import type { ContainerStatus } from '../../api/kubernetes-types.ts';
import type { Termination } from './container-status.ts';

/** Kubelet's limits of a termination message: bytes of the file, bytes and lines when it comes from the log. */
const MAX_MESSAGE_BYTES = 4096;
const MAX_LOG_MESSAGE_BYTES = 2048;
const MAX_LOG_MESSAGE_LINES = 80;

/** What a container left in its termination message file; when that is empty and `fallBackToLog`, the end of its log. */
export function terminationMessage(from: { file: string; logFile: string; fallBackToLog: boolean }): string {
  const message = readText(from.file).slice(0, MAX_MESSAGE_BYTES);
  if (message !== '' || !from.fallBackToLog) return message;
  const lines = readText(from.logFile)
    .split('\n')
    .slice(-MAX_LOG_MESSAGE_LINES - 1);
  return lines
    .map((line) => line.split(' ').slice(3).join(' '))
    .join('\n')
    .slice(-MAX_LOG_MESSAGE_BYTES);
}

/** How the last run is reported when its end was not seen: the agent was away and has killed what was left. */
export function lostRun(before: ContainerStatus, now: number): Termination {
  const ended = before.state?.terminated ?? before.lastState?.terminated;
  const runs = before.state?.running;
  if (runs === undefined && ended !== undefined)
    return {
      kind: 'terminated',
      exitCode: ended.exitCode,
      reason: ended.reason ?? '',
      message: ended.message ?? '',
      startedAt: Date.parse(ended.startedAt ?? '') || 0,
      finishedAt: Date.parse(ended.finishedAt ?? '') || 0,
      containerId: ended.containerID ?? '',
    };
  return {
    kind: 'terminated',
    exitCode: 137,
    reason: 'ContainerStatusUnknown',
    message: 'The container could not be located when the node agent came up again',
    startedAt: Date.parse(runs?.startedAt ?? '') || 0,
    finishedAt: now,
    containerId: before.containerID ?? '',
  };
}

/** The text of a file that its container may have removed or replaced by anything. */
function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
