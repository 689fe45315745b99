/** The sidecar process. */
import { proxyConfig } from './config.ts';
import { startProxy } from './proxy.ts';
import { run } from './run.ts';
import { warmUp } from './warm-up.ts';

/** Settles when it has started, or cannot. */
export const started = run('proxy', proxyConfig, async (config, options) => {
  const proxy = await startProxy(config, options);
  // Beside what already works: nobody waits for it.
  warmUp(config, proxy.identity, () => proxy.busy).then(
    (requests) => options.log.info({ requests }, 'warmed up'),
    (error: unknown) => options.log.info({ error: String(error) }, 'not warmed up'),
  );
  return proxy;
});
