import { readFileSync } from 'node:fs';
import { parseAnchors, parseAnchorsPem, sameAnchors } from './anchors.ts';
import type { Logger, TrustSnapshot } from './types.ts';

/**
 * The anchors that this process believes. They come from the mounted file first, and from the bundle stream as soon as it speaks. While the stream is
 * connected the file, which reaches a pod late, is not listened to; when the control plane is away, a file that changed is the only news there is.
 */
export class TrustStore {
  readonly #file: string;
  readonly #logger: Logger;
  readonly #changed: () => void;
  #snapshot: TrustSnapshot | undefined;
  #streamLive = false;
  /** Text of the file as it was last taken or refused: each text is judged once. */
  #fileText: string | undefined;
  /** Said once per failure, not at every look. */
  #fileError: string | undefined;

  constructor(options: { file: string; logger: Logger; changed: () => void }) {
    this.#file = options.file;
    this.#logger = options.logger;
    this.#changed = options.changed;
  }

  get snapshot(): TrustSnapshot | undefined {
    return this.#snapshot;
  }

  /** What is wrong with the file now; undefined when nothing is. */
  get fileError(): string | undefined {
    return this.#fileError;
  }

  set streamLive(live: boolean) {
    this.#streamLive = live;
  }

  /**
   * Looks at the file. Never throws: a file that cannot be used leaves the anchors as they are, and is told. Small
   * files in memory, as the kubelet's mounts are, are read in microseconds; the thread pool would cost a start four
   * turns of the event loop.
   */
  readFile(): void {
    try {
      const text = readFileSync(this.#file, 'utf8');
      if (text === this.#fileText || (this.#streamLive && this.#snapshot !== undefined)) return;
      const anchors = parseAnchorsPem(text);
      this.#fileText = text;
      this.#fileError = undefined;
      if (this.#snapshot !== undefined && sameAnchors(this.#snapshot.anchors, anchors)) return;
      this.#replace(0n, anchors);
    } catch (error) {
      this.#tellFileError(error instanceof Error ? error.message : String(error));
    }
  }

  /**
   * Takes a bundle of the stream. Throws, and keeps what is in use, when it is no newer than that or not usable; the message goes into the acknowledgement.
   */
  applyBundle(sequence: bigint, anchorsDer: readonly Uint8Array[]): void {
    const anchors = parseAnchors(anchorsDer);
    const current = this.#snapshot;
    if (current !== undefined) {
      if (sequence < current.sequence) {
        throw new Error(`bundle ${sequence} is older than bundle ${current.sequence}, which is in use`);
      }
      const same = sameAnchors(current.anchors, anchors);
      if (sequence === current.sequence) {
        if (same) return;
        throw new Error(`bundle ${sequence} was sent before with other anchors`);
      }
      if (same) {
        this.#snapshot = { ...current, sequence };
        return;
      }
    }
    this.#replace(sequence, anchors);
  }

  #replace(sequence: bigint, anchors: TrustSnapshot['anchors']): void {
    const version = (this.#snapshot?.version ?? 0) + 1;
    this.#snapshot = { version, sequence, anchors };
    this.#logger.info(
      { sequence: Number(sequence), anchors: anchors.map((anchor) => anchor.fingerprint256) },
      'trust anchors are in use',
    );
    this.#changed();
  }

  #tellFileError(message: string): void {
    if (message === this.#fileError) return;
    this.#fileError = message;
    this.#logger.error(
      { file: this.#file, error: message },
      this.#snapshot === undefined
        ? 'the trust anchors cannot be read; waiting for a good file'
        : 'the trust anchors file is not usable; the former anchors stay in use',
    );
  }
}
