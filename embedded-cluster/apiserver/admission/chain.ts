import type { Admission, AdmissionRequest } from '../operations/core.ts';

/** One built-in admission plugin. Mutators change the object in place; a refusal is thrown. */
export interface AdmissionPlugin {
  mutate?(request: AdmissionRequest): void;
  validate?(request: AdmissionRequest): void;
}

/** The webhooks as one step after the built-in plugins. */
export interface WebhookAdmission {
  /** True when the object was changed. */
  mutate(request: AdmissionRequest): Promise<boolean>;
  validate(request: AdmissionRequest): Promise<void>;
}

/** Built-in plugins in order, then webhooks, as in kube-apiserver. */
export function createAdmission(plugins: readonly AdmissionPlugin[], webhooks: WebhookAdmission): Admission {
  return {
    async mutate(request) {
      if (request.object !== undefined) for (const plugin of plugins) plugin.mutate?.(request);
      return webhooks.mutate(request);
    },
    async validate(request) {
      for (const plugin of plugins) plugin.validate?.(request);
      await webhooks.validate(request);
    },
  };
}
