/** The door of the gateway part. */
export { startGateway } from './gateway.ts';
export type { Gateway } from './gateway.ts';
