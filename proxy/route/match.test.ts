import assert from 'node:assert/strict';
import { test } from 'node:test';

import { create, type MessageInitShape } from '@bufbuild/protobuf';
import fc from 'fast-check';

import { GrpcRouteMatchSchema } from '../../api/proto/gen/linkerd/grpc_route_pb.js';
import { HostMatchSchema, HttpRouteMatchSchema } from '../../api/proto/gen/linkerd/http_route_pb.js';
import { HttpMethod_Registered } from '../../api/proto/gen/linkerd/http_types_pb.js';
import type { Head } from '../message/head.ts';
import { requestHead } from '../testing/request-head.ts';
import { compileGrpcMatch, compileHttpMatch, RouteTable } from './compile-match.ts';

function request(
  path: string,
  fields: [name: string, value: string][] = [],
  authority = 'web.shop:80',
): Head {
  return requestHead({ path, fields, authority });
}

type MatchInit = MessageInitShape<typeof HttpRouteMatchSchema>;

function fits(match: MatchInit, head: Head): boolean {
  return compileHttpMatch(create(HttpRouteMatchSchema, match)).matches(head);
}

const segment = fc.constantFrom('a', 'b', 'ab', 'abc', '');
const path = fc.array(segment, { maxLength: 4 }).map((segments) => `/${segments.join('/')}`);
const query = fc.constantFrom('', '?', '?a=1', '?x=/a/b');

test('a prefix fits whole segments, and a query makes no difference', () => {
  fc.assert(
    fc.property(path, path, query, (prefix, asked, more) => {
      const bare = prefix.endsWith('/') ? prefix.slice(0, -1) : prefix;
      const wanted = asked === bare || asked.startsWith(`${bare}/`) || bare === '';
      assert.equal(
        fits({ path: { kind: { case: 'prefix', value: prefix } } }, request(asked + more)),
        wanted,
      );
    }),
  );
});

test('an exact path fits itself alone', () => {
  fc.assert(
    fc.property(path, path, query, (wanted, asked, more) => {
      const match = { path: { kind: { case: 'exact', value: wanted } } } as const;
      assert.equal(fits(match, request(asked + more)), wanted === asked);
    }),
  );
});

test('an expression is for the whole path', () => {
  fc.assert(
    fc.property(path, fc.constantFrom('/a', '/a.*', '/(a|b)', '.*b', '/[ab]+/?'), (asked, regex) => {
      const match = { path: { kind: { case: 'regex', value: regex } } } as const;
      assert.equal(fits(match, request(asked)), new RegExp(`^(?:${regex})$`).test(asked));
    }),
  );
});

test('all parts of a match must fit; a field fits by any of its values, a parameter by its first', () => {
  const value = (text: string) => ({ case: 'exact', value: Buffer.from(text) }) as const;
  const match: MatchInit = {
    method: { type: { case: 'registered', value: HttpMethod_Registered.GET } },
    headers: [
      { name: 'X-A', value: value('1') },
      { name: 'x-b', value: { case: 'regex', value: 'y+' } },
    ],
    queryParams: [{ name: 'q', value: { case: 'exact', value: 'a b' } }],
  };
  const fields: [string, string][] = [
    ['x-a', '0'],
    ['x-A', '1'],
    ['X-B', 'yy'],
  ];
  assert.equal(fits(match, request('/?q=a+b&q=c', fields)), true);
  assert.equal(fits(match, request('/?q=c&q=a+b', fields)), false);
  assert.equal(fits(match, request('/?q=a+b', fields.slice(0, 2))), false);
  assert.equal(fits(match, request('/?q=a+b', [...fields.slice(0, 2), ['x-b', 'yyz']])), false);
});

const kinds = ['exact', 'regex', 'prefix'] as const;

test('of the matches that fit the most specific wins: exact, an expression, the longest prefix; more fields; then the first', () => {
  const one = fc.record({
    kind: fc.constantFrom(...kinds),
    value: fc.constantFrom('/', '/a', '/a/b', '/a/b/c'),
    fields: fc.integer({ min: 0, max: 2 }),
  });
  fc.assert(
    fc.property(
      fc.array(one, { minLength: 1, maxLength: 6 }),
      fc.constantFrom('/a/b', '/a', '/x'),
      (told, asked) => {
        const matches = told.map(({ kind, value, fields }) =>
          compileHttpMatch(
            create(HttpRouteMatchSchema, {
              path: { kind: { case: kind, value } },
              headers: ['x-0', 'x-1']
                .slice(0, fields)
                .map((name) => ({ name, value: { case: 'regex', value: '.*' } }) as const),
            }),
          ),
        );
        const table = new RouteTable(
          matches.map((matcher, i) => ({ hosts: [], rules: [{ matches: [matcher], value: i }] })),
        );
        const head = request(asked, [
          ['x-0', ''],
          ['x-1', ''],
        ]);
        const found = table.find(head);
        const rank = (i: number): number => {
          const { kind, value, fields } = told[i] ?? { kind: 'regex', value: '', fields: 0 };
          // A prefix counts without the slash at its end; an expression is for the whole path, however it says so.
          const length = kind === 'regex' || (kind === 'prefix' && value === '/') ? 0 : value.length;
          return (2 - kinds.indexOf(kind)) * 10_000 + length * 100 + fields;
        };
        const fitting = matches.flatMap((matcher, i) => (matcher.matches(head) ? [i] : []));
        const best = fitting.toSorted((a, b) => rank(b) - rank(a) || a - b)[0];
        assert.equal(found, best);
      },
    ),
  );
});

test('calls go by the longer service, then by the longer method; a method of any service comes last', () => {
  const told = [
    { service: '', method: 'Add' },
    { service: 'shop.Cart', method: '' },
    { service: 'shop.Cart', method: 'Add' },
    { service: '', method: '' },
  ];
  const table = new RouteTable(
    told.map((rpc, i) => ({
      hosts: [],
      rules: [{ matches: [compileGrpcMatch(create(GrpcRouteMatchSchema, { rpc }))], value: i }],
    })),
  );
  const asked = ['/shop.Cart/Add', '/shop.Cart/Remove', '/other.Cart/Add', '/other.Cart/Remove'];
  assert.deepEqual(
    asked.map((one) => table.find(request(one))),
    [2, 1, 0, 3],
  );
});

test('host names go before everything else, exact ones before those with a wildcard', () => {
  const any = { matches: [], value: 'any' };
  const table = new RouteTable([
    { hosts: [], rules: [any] },
    {
      hosts: [
        { $typeName: 'io.linkerd.proxy.http_route.HostMatch', match: { case: 'exact', value: 'A.shop' } },
      ],
      rules: [{ matches: [], value: 'exact' }],
    },
  ]);
  assert.equal(table.find(request('/', [], 'a.shop:80')), 'exact');
  assert.equal(table.find(request('/', [], 'b.shop')), 'any');
});

test('a host name: without its port, of any case, with or without a final dot; a wildcard is for what is below it', () => {
  const hosts = [
    { case: 'exact' as const, value: 'web.shop' },
    { case: 'exact' as const, value: 'rooted.shop.' },
    { case: 'suffix' as const, value: { reverseLabels: ['com', 'example'] } },
  ].map((match) => create(HostMatchSchema, { match }));
  const table = new RouteTable([{ hosts, rules: [{ matches: [], value: true }] }]);
  const fitting = ['web.shop', 'WEB.Shop:8080', 'web.shop.', 'web.shop.:80', 'rooted.shop.'];
  for (const host of [...fitting, 'a.example.com', 'a.b.example.com.:80'])
    assert.equal(table.find(request('/', [], host)), true, host);
  for (const host of ['web', 'web.shop..', 'a.web.shop', 'rooted.shop', 'example.com', 'anexample.com', ''])
    assert.equal(table.find(request('/', [], host)), undefined, host);
});

test('an expression is tried on a path of any length, in a time in proportion to it', () => {
  const match = { path: { kind: { case: 'regex', value: '/(a+)+/admin/.*' } } } as const;
  assert.equal(fits(match, request(`/aaa/admin/${'x'.repeat(10_000)}`)), true);
  assert.equal(fits(match, request(`/${'a'.repeat(10_000)}`)), false);
});
