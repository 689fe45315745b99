import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import * as yaml from 'js-yaml';
import type { ClientConfig } from '../kubernetes/types.ts';
import { clientConfig, contextNames, readKubeconfigs } from './kubeconfig.ts';

const PEM = '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n';
const base64 = (text: string): string => Buffer.from(text).toString('base64');
let folder = '';

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-kubeconfig-'));
});
after(() => rm(folder, { recursive: true }));

interface Lists {
  clusters?: Record<string, object>;
  users?: Record<string, object>;
  contexts?: Record<string, object>;
  current?: string;
}

async function write(
  file: string,
  { clusters = {}, users = {}, contexts = {}, current = '' }: Lists,
): Promise<string> {
  const list = (of: Record<string, object>, key: string): object[] =>
    Object.entries(of).map(([name, value]) => ({ name, [key]: value }));
  const path = join(folder, file);
  const text = yaml.dump({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: list(clusters, 'cluster'),
    users: list(users, 'user'),
    contexts: list(contexts, 'context'),
    'current-context': current,
  });
  await writeFile(path, text);
  return path;
}

async function configOf(path: string, context?: string): Promise<ClientConfig> {
  return (await clientConfig(await readKubeconfigs(path), context)).config;
}

/** The field of an HTTP request that shows who asks. */
async function authorization({ auth }: ClientConfig): Promise<string | undefined> {
  if (auth?.kind === 'token') return `Bearer ${await auth.token()}`;
  return auth?.kind === 'headers' ? (await auth.headers())['Authorization'] : undefined;
}

test('what a file holds itself and what it names elsewhere come to the same', async () => {
  await writeFile(join(folder, 'ca'), PEM);
  const credential = { apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential' };
  await writeFile(join(folder, 'said'), JSON.stringify({ ...credential, status: { token: 's3cret' } }));
  const exec = { apiVersion: credential.apiVersion, command: 'cat', args: [join(folder, 'said')] };
  const server = 'https://10.0.0.1:6443/';
  const path = await write('both', {
    clusters: {
      inline: { server, 'certificate-authority-data': base64(PEM) },
      named: { server, 'certificate-authority': 'ca' },
    },
    users: {
      token: { token: 's3cret' },
      program: { exec },
      pair: { 'client-certificate-data': base64(PEM), 'client-key-data': base64(PEM) },
      'pair-of-files': { 'client-certificate': 'ca', 'client-key': 'ca' },
    },
    contexts: {
      a: { cluster: 'inline', user: 'token', namespace: 'x' },
      b: { cluster: 'named', user: 'program' },
      c: { cluster: 'inline', user: 'pair' },
      d: { cluster: 'named', user: 'pair-of-files' },
    },
  });
  const [a, b, c, d] = await Promise.all(['a', 'b', 'c', 'd'].map((context) => configOf(path, context)));
  assert.ok(a !== undefined && b !== undefined);
  for (const config of [a, b]) {
    assert.deepEqual([config.server, config.ca], ['https://10.0.0.1:6443', PEM]);
    assert.equal(await authorization(config), 'Bearer s3cret');
  }
  assert.deepEqual(c?.auth, { kind: 'certificate', cert: PEM, key: PEM });
  assert.deepEqual(c, d);
});

test('of several files the first entry of a name counts, and so does the first current context', async (t) => {
  const server = (host: string): object => ({ server: `https://${host}` });
  const first = await write('first', {
    clusters: { one: server('first') },
    contexts: { one: { cluster: 'one', user: 'me' } },
  });
  const second = await write('second', {
    clusters: { one: server('second'), two: server('two') },
    users: { me: { token: 'mine' } },
    contexts: {
      two: { cluster: 'two', user: 'me' },
      extended: { cluster: 'one', user: 'me', extensions: [] },
    },
    current: 'two',
  });
  const third = await write('third', { users: { me: { token: 'another' } }, current: 'one' });
  const before_ = process.env['KUBECONFIG'];
  t.after(() => {
    if (before_ === undefined) delete process.env['KUBECONFIG'];
    else process.env['KUBECONFIG'] = before_;
  });
  process.env['KUBECONFIG'] = [join(folder, 'not-there'), first, second, third].join(':');
  const files = await readKubeconfigs(undefined);
  assert.deepEqual(contextNames(files), ['one', 'two', 'extended']);
  const of = async (context?: string) => {
    const found = await clientConfig(files, context);
    return [found.context, found.config.server, await authorization(found.config)];
  };
  assert.deepEqual(await of(), ['two', 'https://two', 'Bearer mine']);
  assert.deepEqual(await of('one'), ['one', 'https://first', 'Bearer mine']);
  // Of this one client-node reads the files.
  assert.deepEqual(await of('extended'), ['extended', 'https://first', 'Bearer mine']);
});

test('what is missing or wrong is named, with the file or the context', async () => {
  const context = { cluster: 'none', user: 'me' };
  const path = await write('lame', { users: { me: { token: 'mine' } }, contexts: { lame: context } });
  await assert.rejects(configOf(path), /no current context/);
  await assert.rejects(configOf(path, 'other'), /context "other" is not in the kubeconfig/);
  await assert.rejects(
    configOf(path, 'lame'),
    /context "lame" names a cluster that is not in the kubeconfig/,
  );
  for (const text of ['a: [b', 'contexts: [{ context: {} }]', 'clusters: 1']) {
    const broken = join(folder, 'broken');
    await writeFile(broken, text);
    await assert.rejects(configOf(broken), /broken cannot be read|no current context/, text);
    assert.deepEqual(contextNames(await readKubeconfigs(broken)), []);
  }
  await assert.rejects(readKubeconfigs(join(folder, 'not-there')), /not-there cannot be read/);
});

test('a tokenFile is read again for each call, beside the kubeconfig that names it, and goes before a token', async () => {
  const inline = { server: 'https://10.0.0.1:6443', 'certificate-authority-data': base64(PEM) };
  await writeFile(join(folder, 'ca-of-pod'), PEM);
  const path = await write('token-files', {
    clusters: { inline, named: { server: inline.server, 'certificate-authority': 'ca-of-pod' } },
    users: { pod: { tokenFile: 'a-token', token: 'old' }, nobody: { tokenFile: 'not-there' } },
    contexts: {
      a: { cluster: 'inline', user: 'pod' },
      b: { cluster: 'named', user: 'pod' },
      c: { cluster: 'inline', user: 'nobody' },
    },
  });
  const token = join(folder, 'a-token');
  await writeFile(token, 'first\n');
  const configs = await Promise.all(['a', 'b'].map((context) => configOf(path, context)));
  for (const config of configs) {
    assert.equal(config.ca, PEM);
    assert.equal(await authorization(config), 'Bearer first');
  }
  await writeFile(token, 'second\n');
  for (const config of configs) assert.equal(await authorization(config), 'Bearer second');
  await rm(token);
  for (const config of configs) assert.equal(await authorization(config), 'Bearer second');
  await assert.rejects(configOf(path, 'c'), /tokenFile .*not-there cannot be used/);
});
