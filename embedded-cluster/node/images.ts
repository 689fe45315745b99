import { createHash } from 'node:crypto';

/** The local command that stands for an image. */
export interface LocalImage {
  /** The image's ENTRYPOINT. */
  command: string[];
  /** The image's ENV. */
  env?: Record<string, string>;
  /** The image's WORKDIR; a scratch directory of the container's own when absent. */
  workingDir?: string;
}

export type LocalImages = Readonly<Record<string, LocalImage>>;

/** A digest that changes with what the image runs, for `imageID` in a container's status. */
export function imageId(name: string, image: LocalImage): string {
  const digest = createHash('sha256').update(JSON.stringify(image)).digest('hex');
  return `${name.replace(/:[^/:]*$/, '')}@sha256:${digest}`;
}
