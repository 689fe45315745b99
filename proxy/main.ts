/** The sidecar process. */
import { proxyConfig } from './config.ts';
import { startProxy } from './proxy.ts';
import { run } from './run.ts';

await run('proxy', proxyConfig, startProxy);
