import assert from 'node:assert/strict';
import { at, type Json, stringAt } from '../json.ts';
import { configMap } from '../objects.ts';
import type { Scenario, Theme } from '../scenario.ts';

/** What every namespace is given of itself is not watched. */
const OWN = 'fieldSelector=metadata.name!%3Dkube-root-ca.crt';

async function make(s: Scenario, name: string, metadata: Json = {}): Promise<string> {
  const body = await s.expect(201, 'POST', s.path('configmaps'), {
    body: configMap(name, {}, metadata),
    record: false,
  });
  return stringAt(body, 'metadata.resourceVersion');
}

function briefly(event: Json | undefined): string {
  const name = at(event, 'object.metadata.name') as string | undefined;
  return `${String(event?.['type'])} ${name ?? ''}`.trim();
}

export const watching: Theme = {
  name: 'watching',
  scenarios: {
    'a watch from a resourceVersion tells what came after it, in order': async (s) => {
      const version = await make(s, 'a');
      await make(s, 'b');
      await s.patch(200, 'merge', `${s.path('configmaps')}/a`, { data: { x: '1' } });
      await s.expect(200, 'DELETE', `${s.path('configmaps')}/b`);
      const path = `${s.path('configmaps')}?watch=1&${OWN}&resourceVersion=${version}&timeoutSeconds=120`;
      const stream = await s.watch(path);
      const events = [await stream.next(), await stream.next(), await stream.next()];
      assert.deepEqual(events.map(briefly), ['ADDED b', 'MODIFIED a', 'DELETED b']);
      const versions = events.map((event) => Number(at(event, 'object.metadata.resourceVersion')));
      assert.deepEqual(
        versions,
        versions.toSorted((a, b) => a - b),
      );
      s.recordEvents('watch after a', events);
      await make(s, 'c');
      assert.equal(briefly(await stream.next()), 'ADDED c');
    },
    'a watch from 0 or from nothing begins with what is there': async (s) => {
      await make(s, 'a');
      await make(s, 'b');
      for (const from of ['', '&resourceVersion=0', '&resourceVersion=']) {
        const stream = await s.watch(`${s.path('configmaps')}?watch=true&${OWN}${from}&timeoutSeconds=120`);
        const events = [await stream.next(), await stream.next()];
        assert.deepEqual(events.map(briefly).toSorted(), ['ADDED a', 'ADDED b']);
        stream.close();
      }
    },
    'a watch with a selector tells of objects that come to match and cease to': async (s) => {
      const version = await make(s, 'w');
      const stream = await s.watch(
        `${s.path('configmaps')}?watch=1&resourceVersion=${version}&labelSelector=on%3Dyes&timeoutSeconds=120`,
      );
      for (const [on, round] of [
        ['no', '1'],
        ['yes', '2'],
        ['yes', '3'],
        ['no', '4'],
        ['yes', '5'],
      ]) {
        await s.patch(200, 'merge', `${s.path('configmaps')}/w`, { metadata: { labels: { on, round } } });
      }
      await s.expect(200, 'DELETE', `${s.path('configmaps')}/w`);
      const events = [];
      for (let i = 0; i < 5; i++) events.push(await stream.next());
      assert.deepEqual(events.map(briefly), ['ADDED w', 'MODIFIED w', 'DELETED w', 'ADDED w', 'DELETED w']);
      // The one that ceased to match is told as it was, at the revision at which it ceased.
      assert.equal(at(events[2], 'object.metadata.labels.round'), '3');
      s.recordEvents('watch on=yes', events);
    },
    'a watch of one name': async (s) => {
      const version = await make(s, 'a');
      const stream = await s.watch(
        `${s.path('configmaps')}?watch=1&fieldSelector=metadata.name%3Dmine&resourceVersion=${version}&timeoutSeconds=120`,
      );
      await make(s, 'b');
      await make(s, 'mine');
      assert.equal(briefly(await stream.next()), 'ADDED mine');
      // Below a name, `watch` has no meaning.
      await s.expect(200, 'GET', `${s.path('configmaps')}/mine?watch=1`);
      const path = `/api/v1/watch/namespaces/${s.namespace}/configmaps?${OWN}&resourceVersion=${version}&timeoutSeconds=120`;
      const legacy = await s.watch(path);
      assert.equal(briefly(await legacy.next()), 'ADDED b');
    },
    'initial events end with their bookmark': async (s) => {
      await make(s, 'a');
      await make(s, 'b');
      const query = `watch=1&${OWN}&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=120`;
      const stream = await s.watch(`${s.path('configmaps')}?${query}`);
      const events = [await stream.next(), await stream.next(), await stream.next()];
      assert.deepEqual(events.map(briefly), ['ADDED a', 'ADDED b', 'BOOKMARK']);
      assert.equal(
        at(events[2], 'object.metadata.annotations')?.['k8s.io/initial-events-end' as never],
        'true',
      );
      s.recordEvents('initial events', events);
      // A watch goes on from the bookmark's revision.
      await make(s, 'c');
      const version = stringAt(events[2], 'object.metadata.resourceVersion');
      const resumed = await s.watch(
        `${s.path('configmaps')}?watch=1&${OWN}&resourceVersion=${version}&timeoutSeconds=120`,
      );
      for (const watch of [resumed, stream]) {
        // Bookmarks come when they come.
        const event = await s.awaitEvent(watch, 'c', ({ type }) => type !== 'BOOKMARK');
        assert.equal(briefly(event), 'ADDED c');
      }
    },
    'initial events and their options must fit together': async (s) => {
      const path = `${s.path('configmaps')}?${OWN}`;
      await s.tryWatch(`${path}&watch=1&sendInitialEvents=true`);
      await s.tryWatch(`${path}&watch=1&sendInitialEvents=false`);
      await s.call('GET', `${path}&watch=1&sendInitialEvents=true&resourceVersionMatch=Exact`);
      await s.tryWatch(`${path}&watch=1&resourceVersionMatch=NotOlderThan`);
      await s.call('GET', `${path}&watch=1&resourceVersion=5&resourceVersionMatch=NotOlderThan`);
      await s.call('GET', `${path}&sendInitialEvents=true`);
      await s.tryWatch(`${path}&watch=1&resourceVersion=abc`);
      await s.tryWatch(`${path}&watch=1&timeoutSeconds=x`);
      await s.tryWatch(`${path}&watch=x`);
      await s.tryWatch(`${path}&watch=1&labelSelector=%3D`);
    },
    'timeoutSeconds ends a watch': async (s) => {
      const version = await make(s, 'a');
      const stream = await s.watch(
        `${s.path('configmaps')}?watch=1&${OWN}&resourceVersion=${version}&timeoutSeconds=1`,
      );
      assert.equal(stream.code, 200);
      assert.deepEqual(await stream.rest(), []);
    },
    'bookmarks are for those who ask': async (s) => {
      const version = await make(s, 'a');
      const stream = await s.watch(
        `${s.path('configmaps')}?watch=1&${OWN}&resourceVersion=${version}&allowWatchBookmarks=true&timeoutSeconds=3`,
      );
      const events = await stream.rest();
      for (const event of events) assert.equal(event['type'], 'BOOKMARK');
      assert.ok(events.length > 0, 'a watch that ends by its time tells how far it has come');
      s.recordEvents('bookmark', events.slice(0, 1));
    },
    'a watch from a revision of the future waits for it': async (s) => {
      const path = `${s.path('configmaps')}?watch=1&resourceVersion=999999999999&timeoutSeconds=1`;
      const stream = await s.watch(path);
      assert.equal(stream.code, 200);
      assert.deepEqual(await stream.rest(), []);
    },
    'tables and metadata alone can be watched': async (s) => {
      const version = await make(s, 'a');
      await make(s, 'b');
      await make(s, 'c');
      for (const as of ['Table', 'PartialObjectMetadata']) {
        const stream = await s.watch(
          `${s.path('configmaps')}?watch=1&${OWN}&resourceVersion=${version}&timeoutSeconds=120`,
          {
            headers: { accept: `application/json;as=${as};v=v1;g=meta.k8s.io` },
          },
        );
        const events = [await stream.next(), await stream.next()];
        const ageless = JSON.parse(JSON.stringify(events).replaceAll(/"\d+s"/g, '"<age>"')) as Json[];
        s.recordEvents(`watch as ${as}`, ageless);
        stream.close();
      }
    },
    'an object with finalizers is MODIFIED when it is marked, DELETED when it goes': async (s) => {
      const version = await make(s, 'f', { finalizers: ['example.com/hold'] });
      await s.expect(200, 'DELETE', `${s.path('configmaps')}/f`);
      await s.patch(200, 'merge', `${s.path('configmaps')}/f`, { metadata: { finalizers: null } });
      const stream = await s.watch(
        `${s.path('configmaps')}?watch=1&resourceVersion=${version}&${OWN}&timeoutSeconds=120`,
      );
      const events = [await stream.next(), await stream.next()];
      assert.deepEqual(events.map(briefly), ['MODIFIED f', 'DELETED f']);
      s.recordEvents('finalized', events);
    },
  },
};
