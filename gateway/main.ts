/** The gateway process. */
import { gatewayConfig, run } from '../proxy/index.ts';
import { startGateway } from './gateway.ts';

await run('gateway', gatewayConfig, startGateway);
