/**
 * resource.Quantity: a decimal number with an optional suffix, kept in canonical form (the largest suffix that leaves an integer, at most three
 * digits after the point of a unit are spent on `m`, `u`, `n`). Source: k8s.io/apimachinery/pkg/api/resource.
 */

const binarySuffixes = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'] as const;
/** Exponents of ten of the decimal suffixes. */
const decimalSuffixes: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  '': 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
/** Sign, number, suffix or exponent. */
const QUANTITY =
  /^([+-]?)([0-9]+(?:\.[0-9]*)?|\.[0-9]+)((?:[KMGTPE]i)|[numkMGTPE]|(?:[eE][+-]?[0-9]{1,3}))?$/;
/** Finer than a nano is rounded up, as the real type does. */
const smallestExponent = -9;

/** The canonical text of a quantity, or undefined where it is none. */
export function canonicalQuantity(text: string): string | undefined {
  const parts = QUANTITY.exec(text);
  if (parts === null) return undefined;
  const [, sign = '', number = '', suffix = ''] = parts;
  const nanos = toNanos(number, suffix);
  if (nanos === undefined) return undefined;
  if (nanos === 0n) return '0';
  const minus = sign === '-' ? '-' : '';
  if (suffix.endsWith('i')) {
    const binary = binaryText(nanos);
    if (binary !== undefined) return minus + binary;
  }
  return minus + (/^[eE]/.test(suffix) ? exponentText(nanos) : decimalText(nanos));
}

/** The value in units (cores, bytes), for comparisons and sums; precise to a nano. Undefined where the text is no quantity. */
export function quantityValue(text: string): number | undefined {
  const parts = QUANTITY.exec(text);
  if (parts === null) return undefined;
  const [, sign = '', number = '', suffix = ''] = parts;
  const nanos = toNanos(number, suffix);
  if (nanos === undefined) return undefined;
  return (sign === '-' ? -1 : 1) * (Number(nanos) / 1e9);
}

function toNanos(number: string, suffix: string): bigint | undefined {
  const [whole = '', fraction = ''] = number.split('.');
  const digits = BigInt(`${whole}${fraction}` || '0');
  const binary = suffix === '' ? -1 : binarySuffixes.findIndex((candidate) => candidate === suffix);
  const exponent = binary >= 0 ? 0 : exponentOf(suffix);
  if (exponent === undefined) return undefined;
  const scaled = binary >= 0 ? digits * 1024n ** BigInt(binary) : digits;
  const shift = exponent - fraction.length - smallestExponent;
  if (shift >= 0) return scaled * 10n ** BigInt(shift);
  const divisor = 10n ** BigInt(-shift);
  return (scaled + divisor - 1n) / divisor;
}

function exponentOf(suffix: string): number | undefined {
  if (/^[eE][+-]?[0-9]+$/.test(suffix)) return Number(suffix.slice(1));
  return decimalSuffixes[suffix];
}

function binaryText(nanos: bigint): string | undefined {
  if (nanos % 1_000_000_000n !== 0n) return undefined;
  let value = nanos / 1_000_000_000n;
  let index = 0;
  while (index < binarySuffixes.length - 1 && value % 1024n === 0n) {
    value /= 1024n;
    index += 1;
  }
  return `${value}${binarySuffixes[index] ?? ''}`;
}

function decimalText(nanos: bigint): string {
  const { value, exponent } = reduceByThousands(nanos);
  const suffix = Object.entries(decimalSuffixes).find(([, candidate]) => candidate === exponent)?.[0] ?? '';
  return `${value}${suffix}`;
}

function exponentText(nanos: bigint): string {
  const { value, exponent } = reduceByThousands(nanos);
  return exponent === 0 ? `${value}` : `${value}e${exponent}`;
}

function reduceByThousands(nanos: bigint): { value: bigint; exponent: number } {
  let value = nanos;
  let exponent = smallestExponent;
  while (exponent < 18 && value % 1000n === 0n) {
    value /= 1000n;
    exponent += 3;
  }
  return { value, exponent };
}
