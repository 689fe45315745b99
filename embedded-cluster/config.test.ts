import assert from 'node:assert/strict';
import { it } from 'node:test';
import { parseConfig } from './config.ts';

const none = (): string => {
  throw new Error('no file is to be read');
};

await it('reads a file, or else the environment', () => {
  const file = { name: 'east', dataDir: '/d', images: { web: { command: ['true'] } }, exitWithStdin: true };
  assert.deepEqual(
    parseConfig(['--config', 'f'], {}, () => JSON.stringify(file)),
    { cluster: { name: 'east', dataDir: '/d', images: file.images }, exitWithStdin: true },
  );
  const env = {
    ISTHMUS_CLUSTER_NAME: 'east',
    ISTHMUS_CLUSTER_DATA_DIR: '/d',
    ISTHMUS_CLUSTER_ADDRESS: '127.64.1.1',
  };
  assert.deepEqual(parseConfig([], env, none), {
    cluster: { name: 'east', dataDir: '/d', images: {}, address: '127.64.1.1' },
    exitWithStdin: false,
  });
});

await it('names what is wrong', () => {
  const good = { ISTHMUS_CLUSTER_NAME: 'east', ISTHMUS_CLUSTER_DATA_DIR: '/d' };
  assert.throws(() => parseConfig(['--help'], good, none), /unknown arguments "--help"/);
  assert.throws(
    () => parseConfig([], { ...good, ISTHMUS_CLUSTER_NAME: 'East!' }, none),
    /^Error: name in the environment/,
  );
  assert.throws(
    () => parseConfig([], { ...good, ISTHMUS_CLUSTER_DATA_DIR: 'd' }, none),
    /dataDir .* absolute path/,
  );
  assert.throws(
    () => parseConfig([], { ...good, ISTHMUS_CLUSTER_IMAGES: '{' }, none),
    /ISTHMUS_CLUSTER_IMAGES is not JSON/,
  );
  assert.throws(() => parseConfig(['--config', 'f'], {}, () => 'null'), /f must be a JSON object/);
});
