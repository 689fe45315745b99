import { randomInt } from 'node:crypto';

/** Letters that Kubernetes makes up names from: no vowels and look-alikes, so that no words appear (apimachinery `util/rand`). */
const ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';
const SUFFIX_LENGTH = 5;
/** 63 less the suffix: a generated name is a DNS label whenever its base is one. */
const MAX_BASE_LENGTH = 63 - SUFFIX_LENGTH;

export function randomSuffix(): string {
  let suffix = '';
  for (let i = 0; i < SUFFIX_LENGTH; i++) suffix += ALPHABET.charAt(randomInt(ALPHABET.length));
  return suffix;
}

/** The name for `metadata.generateName`. */
export function generateName(base: string): string {
  return base.slice(0, MAX_BASE_LENGTH) + randomSuffix();
}
