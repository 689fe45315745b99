import { Layer, type Exchange, type RequestSink, type ResponseSink } from '../message/message.ts';

/** What stands inside of a layer: it must know where its responses go. */
export type Inner = RequestSink & { setOuter(outer: ResponseSink): void };

/** A layer whose outer neighbour is fixed when the stack is put together. */
export abstract class StackLayer extends Layer {
  #outer: ResponseSink | undefined;

  /** Puts `inner` inside this layer, and tells it where its responses go. */
  constructor(inner: Inner) {
    super(inner);
    inner.setOuter(this);
  }

  setOuter(outer: ResponseSink): void {
    this.#outer = outer;
  }

  protected override outer(x: Exchange): ResponseSink {
    return this.#outer ?? x.client;
  }
}
