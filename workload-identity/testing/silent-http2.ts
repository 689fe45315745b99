import type { Http2Connect, RequestHead } from '../http2.ts';

/** An HTTP/2 whose peers never answer: for tests of how long is waited for them. */
export interface SilentHttp2 {
  readonly connect: Http2Connect;
  /** Hosts that were connected to and connections that were given up, in order. */
  readonly told: string[];
  readonly requests: RequestHead[];
  /** Resolves when so much has been told, or asked. */
  readonly reached: (count: { told?: number; requests?: number }) => Promise<void>;
}

/** @param ready whether connections take requests */
export function silentHttp2(ready: boolean): SilentHttp2 {
  const told: string[] = [];
  const requests: RequestHead[] = [];
  let moved = Promise.withResolvers<void>();
  const move = (): void => {
    moved.resolve();
    moved = Promise.withResolvers<void>();
  };
  return {
    told,
    requests,
    async reached(count) {
      while (told.length < (count.told ?? 0) || requests.length < (count.requests ?? 0)) await moved.promise;
    },
    connect({ host }, events) {
      told.push(host);
      move();
      if (ready) queueMicrotask(() => events.ready());
      return {
        available: true,
        request(head) {
          requests.push(head);
          move();
          return { write() {}, end() {}, consumed() {}, cancel() {} };
        },
        destroy() {
          told.push(`given up ${host}`);
          move();
        },
      };
    },
  };
}
