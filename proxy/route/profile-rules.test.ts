import assert from 'node:assert/strict';
import { test } from 'node:test';
import { methods } from '../../api/proto/methods.ts';
import { requestHead } from '../testing/request-head.ts';
import { compileProfile } from './profile-rules.ts';

test('a request of a route that is retried is sent again ten times at most; one of another never', () => {
  const routes = [
    { isRetryable: true, condition: { match: { case: 'path', value: { regex: '/again' } } } },
    { condition: { match: { case: 'path', value: { regex: '/once' } } } },
  ] as const;
  const rules = compileProfile(methods.getProfile.answer({ routes: [...routes] }), 'web.shop:80');
  const retries = (path: string): number | undefined => rules?.route(requestHead({ path })).retry?.limit;
  assert.deepEqual(['/again', '/once', '/other'].map(retries), [10, undefined, undefined]);
});
