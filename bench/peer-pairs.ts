import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freshAddress } from '../proxy/testing/mesh/test-mesh.ts';
import { makeCertificates } from '../proxy/testing/certificates.ts';
import type { Pair, PairOptions } from './pair.ts';
import { findProgram, listening, pidOf, type Processes } from './processes.ts';

/** One of our peers: two of its processes with one worker each, keep-alive everywhere, HTTP/1.1 over mutual TLS 1.3 between them. */
export interface Peer {
  name: 'nginx' | 'haproxy';
  config(hop: Hop): string;
  args(configFile: string, hop: Hop): string[];
}

interface Hop {
  folder: string;
  listen: string;
  upstream: string;
  /** Which side of the hop is mutual TLS: the first proxy's upstream, the second one's listener. */
  tls: 'upstream' | 'listener';
}

const NAME = 'peer.bench';
const FIRST_PORT = 4140;
const SECOND_PORT = 4143;
const CIPHERS = 'TLS_AES_128_GCM_SHA256';

export const peers: readonly Peer[] = [
  {
    name: 'nginx',
    config: nginxConfig,
    args: (file, { folder }) => ['-c', file, '-p', folder, '-e', join(folder, 'error.log')],
  },
  { name: 'haproxy', config: haproxyConfig, args: (file) => ['-db', '-f', file] },
];

/** Starts a peer's two processes; undefined where it is not installed. */
export async function peerPair(
  processes: Processes,
  peer: Peer,
  options: PairOptions,
): Promise<Pair | undefined> {
  const program = findProgram(peer.name);
  if (program === undefined) return undefined;
  const host = freshAddress();
  const { ca, cert, key } = await makeCertificates(NAME);
  const start = async (hop: Hop): Promise<number> => {
    mkdirSync(hop.folder);
    writeFileSync(join(hop.folder, 'ca.crt'), ca);
    writeFileSync(join(hop.folder, 'leaf.crt'), cert);
    writeFileSync(join(hop.folder, 'leaf.key'), key, { mode: 0o600 });
    writeFileSync(join(hop.folder, 'leaf.pem'), `${cert}\n${key}`, { mode: 0o600 });
    const file = join(hop.folder, `${peer.name}.conf`);
    writeFileSync(file, peer.config(hop));
    const child = processes.start('proxy', program, peer.args(file, hop));
    const [address = '', number = ''] = hop.listen.split(':');
    await listening(address, Number(number));
    return pidOf(child);
  };
  const second = await start({
    folder: join(options.folder, `${peer.name}-in`),
    listen: `${host}:${SECOND_PORT}`,
    upstream: `${options.appHost}:${options.appPort}`,
    tls: 'listener',
  });
  const first = await start({
    folder: join(options.folder, `${peer.name}-out`),
    listen: `${host}:${FIRST_PORT}`,
    upstream: `${host}:${SECOND_PORT}`,
    tls: 'upstream',
  });
  return {
    name: peer.name,
    host,
    port: FIRST_PORT,
    target: (bytes) => `/${bytes}`,
    pids: [first, second],
  };
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
    listen ${listen}${tls === 'listener' ? ' ssl' : ''} backlog=4096;
    ${tls === 'listener' ? server : ''}
    location / {
      proxy_pass ${tls === 'upstream' ? 'https' : 'http'}://next; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_set_header Host $http_host;
      ${tls === 'upstream' ? client : ''}
    }
  }
}
`;
}

function haproxyConfig({ folder, listen, upstream, tls }: Hop): string {
  const versions = `ssl-min-ver TLSv1.3 ciphersuites ${CIPHERS} alpn http/1.1`;
  const bind = `ssl crt ${folder}/leaf.pem ca-file ${folder}/ca.crt verify required ${versions}`;
  const server = `ssl crt ${folder}/leaf.pem ca-file ${folder}/ca.crt verify required sni str(${NAME}) verifyhost ${NAME} ${versions}`;
  return `global
  nbthread 1
  maxconn 4000
defaults
  mode http
  timeout client 3600s
  timeout server 3600s
  timeout connect 5s
  option http-keep-alive
  http-reuse always
listen hop
  bind ${listen} backlog 4096 ${tls === 'listener' ? bind : ''}
  server next ${upstream} pool-purge-delay 3600s ${tls === 'upstream' ? server : ''}
`;
}
