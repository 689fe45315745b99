/** The sidecar process. */
import { proxyConfig, type ProxyConfig } from './config.ts';
import { startProxy, type Proxy } from './proxy.ts';
import { run, type RunOptions } from './run.ts';
import { warmUp } from './warm-up.ts';

/** Settles when it has started, or cannot. */
export const started = run('proxy', proxyConfig, async (config, options) => {
  const proxy = await startProxy(config, options);
  // Beside what already works: nobody waits for it.
  void warm(config, proxy, options);
  return proxy;
});

async function warm(config: ProxyConfig, proxy: Proxy, { log, settled }: RunOptions): Promise<void> {
  try {
    const requests = await warmUp(config, proxy.identity, () => proxy.busy);
    log.info({ requests }, 'warmed up');
  } catch (error) {
    log.info({ error: String(error) }, 'not warmed up');
  }
  if (!proxy.busy) settled();
}
