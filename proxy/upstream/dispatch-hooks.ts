import type { Cause } from '../errors.ts';
import type { Head } from '../message/head.ts';
import type { Exchange } from '../message/message.ts';
import type { Attempt } from './attempt.ts';
import type { Choice, Destination } from './destination.ts';

/** What `retryDelay` answers when the answer is to be passed on. */
export const NO_RETRY = -1;

/** What a `Dispatch` asks of who knows the destinations, and tells it of them. The sending itself, and who is told when, is the `Dispatch`'s alone. */
export abstract class DispatchHooks {
  /**
   * Where the request goes, or what it is answered with; undefined when there is no destination now.
   * @param head the request's; undefined when it is sent again and its head is kept no more
   * @param failed the one that this request just failed at
   */
  protected abstract choose(x: Exchange, head: Head | undefined, failed: Destination | undefined): Choice;
  /** There is no destination now: keep the attempt for `place`, or `fail` it. */
  protected abstract unplaced(attempt: Attempt): void;
  /** The attempt that was handed to `unplaced` has been given up. */
  protected abstract abandoned(attempt: Attempt): void;
  /** Makes the head what the destination's proxy or app expects. May be called again for another destination. */
  protected abstract prepare(x: Exchange, head: Head, destination: Destination): void;

  // Told of what becomes of a request at a destination: for balancers.

  protected onSent(_attempt: Attempt, _destination: Destination): void {}
  protected onConnectFailed(_destination: Destination): void {}
  /**
   * There was nobody to take the request, and `onConnectFailed` has been told. True: it has been placed anew, or
   * `fail`ed. By default it may go to one other destination, and otherwise as the policy says.
   */
  protected unreached(_attempt: Attempt): boolean {
    return false;
  }
  /** The peer has not processed it: its connection closes, or nobody took the request from it (`connectFailed`). */
  protected onRefused(_attempt: Attempt, _destination: Destination, _cause: Cause): void {}
  /** Nobody has processed it, and it goes nowhere else from here. */
  protected onUntaken(_x: Exchange): void {}
  /** It was chosen, and the client left before the request was sent. */
  protected onUnsent(_destination: Destination): void {}
  protected onResponded(_attempt: Attempt, _destination: Destination, _head: Head): void {}
  /** The answer came to its end. @param trailers where there are some */
  protected onEnded(_attempt: Attempt, _destination: Destination, _trailers: Head | undefined): void {}
  /** It will not. */
  protected onReset(_attempt: Attempt, _destination: Destination, _cause: Cause): void {}
  /** After all others, once for each `onSent`. */
  protected onLeft(_attempt: Attempt, _destination: Destination): void {}

  // What the route's policy says of retries. By default there are none.

  /** May a request that is out have to be sent again? Then it is copied, which is a large part of what forwarding costs. */
  protected keeps(_x: Exchange): boolean {
    return true;
  }

  /**
   * ms until a request is sent again that got this answer, or failed so that it would be answered with it; `NO_RETRY`:
   * it is passed on. Asked only while the request can be sent again; an answer takes one from the budget.
   */
  protected retryDelay(_attempt: Attempt, _status: number, _grpcStatus: string | undefined): number {
    return NO_RETRY;
  }
  /** ms that a try has for its answer's head; 0: no limit. */
  protected tryLimit(_attempt: Attempt): number {
    return 0;
  }
  /** The same as `retryDelay`, for a try whose time is over. */
  protected retryAfterLimit(_attempt: Attempt): number {
    return NO_RETRY;
  }
  /** May trailers of this answer ask for a retry? */
  protected waitsForTrailers(_attempt: Attempt, _head: Head): boolean {
    return false;
  }
}
