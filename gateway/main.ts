/** The gateway process. */
import { gatewayConfig, run, Warming } from '../proxy/index.ts';
import { startGateway } from './gateway.ts';
import { throughGateway } from './warm-up-way.ts';

/** ms from readiness to the warm-up: whoever asks whether the gateway is ready gets the answer before. */
const WARM_UP_AFTER_MS = 20;

/** Settles when it has started, or cannot. */
export const started = run('gateway', gatewayConfig, async (config, options) => {
  const gateway = await startGateway(config, options);
  const { identity } = gateway;
  const warming = new Warming(throughGateway(config, identity), identity, () => gateway.busy);
  void gateway.told.then(() => setTimeout(() => void warming.run(options), WARM_UP_AFTER_MS));
  return {
    certified: gateway.certified,
    drain: async () => void (await Promise.all([gateway.drain(), warming.end()])),
  };
});
