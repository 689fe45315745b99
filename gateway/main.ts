/** The gateway process. */
import { gatewayConfig, run, Warming } from '../proxy/index.ts';
import { startGateway } from './gateway.ts';
import { throughGateway } from './warm-up-way.ts';

/** Settles when it has started, or cannot. */
export const started = run('gateway', gatewayConfig, async (config, options) => {
  const gateway = await startGateway(config, options);
  const { identity } = gateway;
  const warming = new Warming(throughGateway(config, identity), identity, () => gateway.busy);
  // Not before: it is ready then.
  void gateway.told.then(() => warming.run(options));
  return {
    certified: gateway.certified,
    drain: async () => void (await Promise.all([gateway.drain(), warming.end()])),
  };
});
