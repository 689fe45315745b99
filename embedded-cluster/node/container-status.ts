import type { ContainerState as ApiState, ContainerStatus } from '../../api/kubernetes-types.ts';
import { metaTime } from '../clock.ts';

/** A run that has ended. Times in ms since the epoch; 0 for one that never began. */
export interface Termination {
  kind: 'terminated';
  exitCode: number;
  reason: string;
  message: string;
  startedAt: number;
  finishedAt: number;
  containerId: string;
}

/** Where a container stands. Only its runner changes it. */
export type ContainerState =
  | { kind: 'waiting'; reason: string; message?: string }
  | { kind: 'running'; startedAt: number; containerId: string; started: boolean; ready: boolean }
  | Termination
  | { kind: 'backoff'; last: Termination; message: string };

/** A container's status as a kubelet reports it. */
export function containerStatus(input: {
  name: string;
  /** An init container that is not a sidecar: ready means that it has succeeded. */
  regularInit: boolean;
  image: string;
  imageId: string;
  state: ContainerState;
  last: Termination | undefined;
  restartCount: number;
}): ContainerStatus {
  const { state } = input;
  const succeeded = state.kind === 'terminated' && state.exitCode === 0;
  const containerId =
    state.kind === 'running' || state.kind === 'terminated'
      ? state.containerId
      : state.kind === 'backoff'
        ? state.last.containerId
        : input.last?.containerId;
  return {
    name: input.name,
    state: apiState(state),
    lastState: input.last === undefined ? {} : apiState(input.last),
    ready: input.regularInit ? succeeded : state.kind === 'running' && state.ready,
    started: state.kind === 'running' && state.started,
    restartCount: input.restartCount,
    image: input.image,
    imageID: input.imageId,
    ...(containerId === undefined ? {} : { containerID: containerId }),
  };
}

function apiState(state: ContainerState): ApiState {
  switch (state.kind) {
    case 'waiting':
      return {
        waiting: {
          reason: state.reason,
          ...(state.message === undefined ? {} : { message: state.message }),
        },
      };
    case 'running':
      return { running: { startedAt: metaTime(state.startedAt) } };
    case 'backoff':
      return { waiting: { reason: 'CrashLoopBackOff', message: state.message } };
    case 'terminated':
      return {
        terminated: {
          exitCode: state.exitCode,
          reason: state.reason,
          ...(state.message === '' ? {} : { message: state.message }),
          startedAt: metaTime(state.startedAt),
          finishedAt: metaTime(state.finishedAt),
          containerID: state.containerId,
        },
      };
    default:
      return state satisfies never;
  }
}
