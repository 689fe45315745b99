import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Exchange, type ResponseSink } from '../message/message.ts';
import { StreamIndex } from './stream-index.ts';
import { Stream } from './stream.ts';

const client = {} as ResponseSink;
const streamOf = (id: number): Stream => new Stream(id, new Exchange(client), {}, 0, 0);

test('does what a map does, whatever ids come and go', () => {
  const id = fc.oneof(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 1, max: 2 ** 31 - 1 }));
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), id), { maxLength: 300 }), (steps) => {
      const index = new StreamIndex();
      const model = new Map<number, Stream>();
      for (const [adds, of] of steps) {
        if (adds && !model.has(of)) {
          const stream = streamOf(of);
          index.add(stream);
          model.set(of, stream);
        } else if (!adds) assert.equal(index.delete(of), model.delete(of));
        assert.equal(index.size, model.size);
        assert.equal(index.get(of), model.get(of));
      }
      for (const [of, stream] of model) assert.equal(index.get(of), stream);
      assert.deepEqual(new Set(index.values()), new Set(model.values()));
    }),
  );
});
