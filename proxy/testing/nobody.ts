import type { ResponseSink } from '../message/message.ts';

/** A client that hears nothing, for exchanges of which only their own state counts. */
export const NOBODY: ResponseSink = {
  responseHead() {},
  responseData() {},
  responseTrailers() {},
  responseReset() {},
  requestConsumed() {},
};
