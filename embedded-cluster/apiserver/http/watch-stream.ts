import { randomInt } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { ServedType } from '../../schema/types.ts';
import { ApiError, type WatchEvent } from '../../types.ts';
import { tooManyRequests } from '../errors.ts';
import { INITIAL_EVENTS_END, watch, type WatchQuery } from '../operations/read.ts';
import { apiVersionOf } from '../registry.ts';
import type { Store } from '../store/store.ts';
import { renderObject, type Representation } from './representation.ts';

/** Watches at once. Each costs a few KiB; a cluster of this kind has some hundred. */
const MAX_WATCHES = 4_000;
/** What may wait for a slow reader. Beyond it the watch is cut off: the client resumes or lists again. */
const MAX_BACKLOG_BYTES = 16 * 1024 * 1024;
/** As kube-apiserver: often enough that a quiet watch can be resumed, too seldom to cost anything. */
const BOOKMARK_INTERVAL_MS = 60_000;
/** Without timeoutSeconds a watch ends after this long, or up to twice as long, so that not all end at once. */
const MIN_TIMEOUT_SECONDS = 1_800;

export interface WatchRequest extends WatchQuery {
  allowBookmarks: boolean;
  timeoutSeconds: number | undefined;
  representation: Representation;
}

/** The open watches over HTTP: bounded in number, backlog and life. */
export class WatchStreams {
  readonly #store: Store;
  readonly #now: () => number;
  readonly #open = new Set<() => void>();

  constructor(store: Store, now: () => number) {
    this.#store = store;
    this.#now = now;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Writes events until the client goes, the time is over, or the reader is too slow. Throws when the watch can't begin. */
  serve(response: ServerResponse, type: ServedType, request: WatchRequest): void {
    if (this.#open.size >= MAX_WATCHES)
      throw tooManyRequests('too many watches are open; close some, or try again later');
    const { representation } = request;
    let started = false;
    let first = true;
    const write = (kind: string, object: object): void => {
      response.write(`${JSON.stringify({ type: kind, object })}\n`);
      if (started && response.writableLength > MAX_BACKLOG_BYTES) response.destroy();
    };
    const onEvent = (event: WatchEvent, initialEventsEnd = false): void => {
      if (event.type === 'BOOKMARK') {
        if (request.allowBookmarks)
          write('BOOKMARK', bookmark(type, event.resourceVersion, initialEventsEnd, representation));
        return;
      }
      write(event.type, renderObject(event.object, type, representation, this.#now(), first));
      first = false;
    };

    response.setHeader('Content-Type', 'application/json');
    response.setHeader('Cache-Control', 'no-cache, private');
    let subscription: { close(): void };
    try {
      subscription = watch(this.#store, type, request, onEvent);
    } catch (error) {
      // That the client is too late is told as an event, as kube-apiserver's watch cache does; other failures are the answer.
      if (!(error instanceof ApiError) || error.code !== 410) throw error;
      response.end(`${JSON.stringify({ type: 'ERROR', object: error.status })}\n`);
      return;
    }
    response.flushHeaders();
    started = true;

    const mark = (): void => onEvent({ type: 'BOOKMARK', resourceVersion: String(this.#store.revision) });
    const bookmarks = setInterval(mark, BOOKMARK_INTERVAL_MS);
    const finish = (): void => {
      mark();
      response.end();
    };
    const seconds = request.timeoutSeconds ?? MIN_TIMEOUT_SECONDS + randomInt(MIN_TIMEOUT_SECONDS);
    const timeout = setTimeout(finish, seconds * 1000);
    this.#open.add(finish);
    response.once('close', () => {
      this.#open.delete(finish);
      subscription.close();
      clearInterval(bookmarks);
      clearTimeout(timeout);
    });
  }

  /** Ends every watch, each after the events it has been given. */
  close(): void {
    for (const finish of this.#open) finish();
  }
}

function bookmark(
  { resource }: ServedType,
  resourceVersion: string,
  initialEventsEnd: boolean,
  { as }: Representation,
): object {
  const metadata = {
    resourceVersion,
    ...(initialEventsEnd ? { annotations: { [INITIAL_EVENTS_END]: 'true' } } : {}),
  };
  if (as === 'metadata') return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata };
  if (as === 'table') {
    return {
      kind: 'Table',
      apiVersion: 'meta.k8s.io/v1',
      metadata: { resourceVersion },
      columnDefinitions: null,
      rows: [
        { cells: [], object: { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata } },
      ],
    };
  }
  return { kind: resource.kind, apiVersion: apiVersionOf(resource), metadata };
}
