/** The admission webhook that adds the sidecar, and the same as pure functions for manifests. */
export type { InjectionContext, ProxyMode, SidecarTelemetry } from './context.ts';
export type { Quantities } from './proxy-config.ts';
export { injectPod, type InjectionResult, type JsonPatchOperation } from './inject-pod.ts';
export { injectManifest, type WorkloadReport, type WorkloadTransform } from './inject-workload.ts';
export { lacksSidecar } from './lacks-sidecar.ts';
export { startInjector, type Injector, type InjectorDeps } from './injector.ts';
export type { MadeCertificate, MakeServingCertificate } from './serving-secret.ts';
