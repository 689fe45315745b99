/** The gateway process. */
import { gatewayConfig, run } from '../proxy/index.ts';
import { startGateway } from './gateway.ts';

/** Settles when it has started, or cannot. */
export const started = run('gateway', gatewayConfig, startGateway);
