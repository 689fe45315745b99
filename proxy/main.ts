/** The sidecar process. */
import { proxyConfig } from './config.ts';
import { startProxy } from './proxy.ts';
import { run } from './run.ts';
import { throughSidecar } from './warm-up/warm-up-way.ts';
import { Warming } from './warm-up/warming.ts';

/** Settles when it has started, or cannot. */
export const started = run('proxy', proxyConfig, async (config, options) => {
  const proxy = await startProxy(config, options);
  const warming = new Warming(throughSidecar(config, proxy.identity), proxy.identity, () => proxy.busy);
  // Beside what already works: nobody waits for it.
  void warming.run(options);
  return {
    certified: proxy.certified,
    drain: async () => void (await Promise.all([proxy.drain(), warming.end()])),
  };
});
