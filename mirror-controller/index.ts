/** The mirror controller: mirrors what linked clusters export and probes their gateways. */
export { configFromEnv } from './config.ts';
export type { Config } from './config.ts';
export type { PlainConfig } from './messages.ts';
export { startMirrorController } from './mirror-controller.ts';
export type { MirrorController, MirrorControllerOptions } from './mirror-controller.ts';
