import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freshAddress } from '../test/testing/addresses.ts';
import { makeCertificates, type TestCertificates } from '../proxy/testing/certificates.ts';
import type { App, Chain } from './chain.ts';
import { findProgram, listening, pidOf, type Processes } from './processes.ts';

/** What others would be used in our place: one worker each, keep-alive everywhere, mutual TLS 1.3 between them. */
export interface Peer {
  readonly name: 'nginx' | 'haproxy' | 'haproxy-h2';
  readonly program: 'nginx' | 'haproxy';
  config(hop: Hop): string;
  args(configFile: string, hop: Hop): string[];
}

/** One process. */
interface Hop {
  readonly folder: string;
  readonly listen: string;
  readonly upstream: string;
  /** Which sides are mutual TLS. */
  readonly tls: Readonly<Record<'listener' | 'upstream', boolean>>;
  /** What is spoken on each side. */
  readonly speaks: Readonly<Record<'listener' | 'upstream', 'http/1.1' | 'h2'>>;
}

const NAME = 'peer.bench';
const FIRST_PORT = 4140;
const CIPHERS = 'TLS_AES_128_GCM_SHA256';

const nginx: Peer = {
  name: 'nginx',
  program: 'nginx',
  config: nginxConfig,
  args: (file, { folder }) => ['-c', file, '-p', folder, '-e', join(folder, 'error.log')],
};
/** The least that a sidecar has to do with a request: the client's name is what its certificate says, never what it says itself. */
const CLIENT_ID = 'l5d-client-id';

const haproxy: Peer = {
  name: 'haproxy',
  program: 'haproxy',
  config: haproxyConfig,
  args: (file) => ['-db', '-f', file],
};
/** As haproxy, with HTTP/2 where it is mutual TLS. */
const haproxyHttp2: Peer = { ...haproxy, name: 'haproxy-h2' };
export const peers: readonly Peer[] = [nginx, haproxy, haproxyHttp2];

/** Chains of other people's proxies. */
export class PeerChains {
  readonly #processes: Processes;
  readonly #folder: string;
  readonly #certificates: TestCertificates;
  #started = 0;

  private constructor(processes: Processes, folder: string, certificates: TestCertificates) {
    this.#processes = processes;
    this.#folder = folder;
    this.#certificates = certificates;
  }

  static async create(processes: Processes, folder: string): Promise<PeerChains> {
    return new PeerChains(processes, folder, await makeCertificates(NAME));
  }

  /** Two of a peer's processes as a pair of sidecars; undefined where it is not installed. */
  pair(peer: Peer, app: App): Promise<Chain | undefined> {
    return this.#chain(peer, app, 2, () => true);
  }

  /** Three; the one between counts. */
  gateway(peer: Peer, app: App): Promise<Chain | undefined> {
    return this.#chain(peer, app, 3, (i) => i === 1);
  }

  /** One, with HTTP/2 without TLS on both sides. */
  async hop(peer: Peer, app: App, appPort: number): Promise<Chain | undefined> {
    if (findProgram(peer.program) === undefined) return undefined;
    const host = freshAddress();
    const speaks = { listener: 'h2', upstream: 'h2' } as const;
    const tls = { listener: false, upstream: false };
    const upstream = `${app.takeHost()}:${appPort}`;
    const pid = await this.#start(peer, { listen: `${host}:${FIRST_PORT}`, upstream, tls, speaks });
    return chain(peer.name, host, [pid]);
  }

  async #chain(
    peer: Peer,
    app: App,
    length: number,
    counts: (i: number) => boolean,
  ): Promise<Chain | undefined> {
    if (findProgram(peer.program) === undefined) return undefined;
    const between = peer === haproxyHttp2 ? 'h2' : 'http/1.1';
    const host = freshAddress();
    const pids: number[] = [];
    let upstream = `${app.takeHost()}:${app.port}`;
    // The last first: each needs the next one to be there.
    for (let i = length - 1; i >= 0; i--) {
      const tls = { listener: i > 0, upstream: i < length - 1 };
      const speaks = {
        listener: tls.listener ? between : 'http/1.1',
        upstream: tls.upstream ? between : 'http/1.1',
      } as const;
      const listen = `${host}:${FIRST_PORT + i}`;
      const pid = await this.#start(peer, { listen, upstream, tls, speaks });
      if (counts(i)) pids.push(pid);
      upstream = listen;
    }
    return chain(peer.name, host, pids);
  }

  async #start(peer: Peer, of: Omit<Hop, 'folder'>): Promise<number> {
    const folder = join(this.#folder, `${peer.name}-${this.#started++}`);
    const hop = { ...of, folder };
    const { ca, cert, key } = this.#certificates;
    mkdirSync(folder);
    writeFileSync(join(folder, 'ca.crt'), ca);
    writeFileSync(join(folder, 'leaf.crt'), cert);
    writeFileSync(join(folder, 'leaf.key'), key, { mode: 0o600 });
    writeFileSync(join(folder, 'leaf.pem'), `${cert}\n${key}`, { mode: 0o600 });
    const file = join(folder, `${peer.program}.conf`);
    writeFileSync(file, peer.config(hop));
    const child = this.#processes.start('proxy', peer.program, peer.args(file, hop));
    const [address = '', number = ''] = hop.listen.split(':');
    await listening(address, Number(number));
    return pidOf(child);
  }
}

function chain(name: string, host: string, pids: readonly number[]): Chain {
  return { name, host, port: FIRST_PORT, target: (bytes) => `/${bytes}`, pids };
}

function nginxConfig({ folder, listen, upstream, tls }: Hop): string {
  const server = `ssl_certificate ${folder}/leaf.crt; ssl_certificate_key ${folder}/leaf.key;
    ssl_client_certificate ${folder}/ca.crt; ssl_verify_client on; ssl_protocols TLSv1.3;
    ssl_conf_command Ciphersuites ${CIPHERS}; ssl_buffer_size 16k;`;
  const client = `proxy_ssl_certificate ${folder}/leaf.crt; proxy_ssl_certificate_key ${folder}/leaf.key;
      proxy_ssl_trusted_certificate ${folder}/ca.crt; proxy_ssl_verify on; proxy_ssl_name ${NAME};
      proxy_ssl_server_name on; proxy_ssl_protocols TLSv1.3; proxy_ssl_conf_command Ciphersuites ${CIPHERS};`;
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `daemon off; master_process off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log;
events { worker_connections 4096; multi_accept on; }
http {
  access_log off; keepalive_timeout 3600s; keepalive_requests 1000000000; tcp_nodelay on;
  ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
  proxy_max_temp_file_size 0; proxy_buffers 16 32k; proxy_buffer_size 32k; proxy_busy_buffers_size 64k;
  upstream next { server ${upstream}; keepalive 1024; keepalive_requests 1000000000; keepalive_timeout 3600s; }
  server {
    listen ${listen}${tls.listener ? ' ssl' : ''} backlog=4096;
    ${tls.listener ? server : ''}
    location / {
      proxy_pass ${tls.upstream ? 'https' : 'http'}://next; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_set_header Host $http_host;
      proxy_set_header ${CLIENT_ID} ${tls.listener ? '$ssl_client_s_dn' : '""'};
      ${tls.upstream ? client : ''}
    }
  }
}
`;
}

function haproxyConfig({ folder, listen, upstream, tls, speaks }: Hop): string {
  const versions = (side: 'listener' | 'upstream'): string =>
    `ssl-min-ver TLSv1.3 ciphersuites ${CIPHERS} alpn ${speaks[side]}`;
  const bind = `ssl crt ${folder}/leaf.pem ca-file ${folder}/ca.crt verify required ${versions('listener')}`;
  const server = `ssl crt ${folder}/leaf.pem ca-file ${folder}/ca.crt verify required sni str(${NAME}) verifyhost ${NAME} ${versions('upstream')}`;
  const plain = (side: 'listener' | 'upstream'): string => (speaks[side] === 'h2' ? 'proto h2' : '');
  return `global
  nbthread 1
  maxconn 4000
  tune.h2.max-concurrent-streams 1000
defaults
  mode http
  timeout client 3600s
  timeout server 3600s
  timeout connect 5s
  option http-keep-alive
  http-reuse always
listen hop
  bind ${listen} backlog 4096 ${tls.listener ? bind : plain('listener')}
  http-request ${tls.listener ? `set-header ${CLIENT_ID} %[ssl_c_s_dn]` : `del-header ${CLIENT_ID}`}
  server next ${upstream} pool-purge-delay 3600s ${tls.upstream ? server : plain('upstream')}
`;
}
