import assert from 'node:assert/strict';
import { registerHooks } from 'node:module';
import { test } from 'node:test';
import { originalDestinationOrLess } from './redirect-mode.ts';

test('without its library the sidecar says what it can not do and what it does instead', async (t) => {
  const hooks = registerHooks({
    resolve(specifier, context, next) {
      if (specifier === 'koffi') throw new Error('no machine code for this platform');
      return next(specifier, context);
    },
  });
  t.after(() => hooks.deregister());
  const told: [object, string][] = [];
  const error = (fields: object, message: string): number => told.push([fields, message]);
  const log = { debug() {}, info() {}, warn() {}, error };
  assert.equal(await originalDestinationOrLess(log), undefined);
  assert.deepEqual(told, [
    [
      {
        error:
          'the original destination of connections cannot be read: koffi does not load: no machine code for this platform',
      },
      'redirected connections are served by the Host of their requests alone',
    ],
  ]);
});
