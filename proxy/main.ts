/** The sidecar process. */
import { proxyConfig, type ProxyConfig } from './config.ts';
import { startProxy, type Proxy } from './proxy.ts';
import { run, type RunOptions } from './run.ts';
import { warmUp, type WarmedUp } from './warm-up.ts';

/** A warm-up of one request, where there is a rehearsal to do and nothing stands: no warm-up has been, or its connections have ended. */
const ONCE = { requests: 1, ms: 0 };

/** Settles when it has started, or cannot. */
export const started = run('proxy', proxyConfig, async (config, options) => {
  const proxy = await startProxy(config, options);
  const warming = new Warming(config, proxy);
  // Beside what already works: nobody waits for it.
  void warming.run(options);
  return {
    certified: proxy.certified,
    drain: async () => void (await Promise.all([proxy.drain(), warming.end()])),
  };
});

/** The warm-up of a sidecar, and what stays of it until the end. */
class Warming {
  readonly #config: ProxyConfig;
  readonly #proxy: Proxy;
  #done: WarmedUp | undefined;
  #ended = false;

  constructor(config: ProxyConfig, proxy: Proxy) {
    this.#config = config;
    this.#proxy = proxy;
  }

  async run({ log, rehearsedBy, settled }: RunOptions): Promise<void> {
    const proxy = this.#proxy;
    try {
      this.#done = await warmUp(this.#config, proxy.identity, () => proxy.busy);
      log.info({ requests: this.#done?.answered ?? 0 }, 'warmed up');
    } catch (error) {
      log.info({ error: String(error) }, 'not warmed up');
    }
    rehearsedBy(() => this.#again());
    if (!proxy.busy) settled();
  }

  async end(): Promise<void> {
    this.#ended = true;
    await this.#done?.end();
  }

  async #again(): Promise<void> {
    const before = this.#done;
    if ((await before?.again()) === true || this.#ended) return;
    this.#done = await warmUp(this.#config, this.#proxy.identity, () => false, ONCE);
    await (this.#ended ? this.#done : before)?.end();
  }
}
