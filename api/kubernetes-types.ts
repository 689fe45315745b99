/**
 * The Kubernetes kinds that Isthmus reads or writes, as plain JSON (timestamps are RFC 3339 strings). Only fields that something here uses are named;
 * an index signature is left out on purpose so that a misspelt field is a type error.
 */
export type * from './kinds/meta.ts';
export type * from './kinds/core.ts';
export type * from './kinds/pod.ts';
export type * from './kinds/apps.ts';
export type * from './kinds/policy.ts';
export type * from './kinds/discovery.ts';
export type * from './kinds/coordination.ts';
export type * from './kinds/authentication.ts';
export type * from './kinds/rbac.ts';
export type * from './kinds/apiextensions.ts';
export type * from './kinds/admission.ts';
