import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { test } from 'node:test';
import { loadOriginalDestination } from './original-destination.ts';

// What a rule of the kernel makes of it is held in test/netns; here, that the library loads and the descriptor is found.
for (const host of ['127.0.0.1', '::1']) {
  test(`a connection to ${host} that nobody redirected has no other destination than its own`, async (t) => {
    const server = createServer();
    server.listen(0, host);
    const failed = once(server, 'error').then(([error]) => error as NodeJS.ErrnoException);
    const problem = await Promise.race([once(server, 'listening').then(() => undefined), failed]);
    if (problem !== undefined) return t.skip(`${host}: ${problem.code}`);
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    const client = connect({ host, port });
    t.after(() => client.destroy());
    const [accepted] = (await once(server, 'connection')) as [Socket];
    t.after(() => accepted.destroy());
    const read = await loadOriginalDestination();
    const found = read(accepted);
    // Without connection tracking the kernel has no answer.
    if (found !== undefined) assert.deepEqual(found, { address: host, port });
    accepted.destroy();
    assert.equal(read(accepted), undefined);
  });
}
