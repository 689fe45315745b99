/** A copy of an object with these of its keys alone, as far as they have values: most of what a cache of thousands of objects would hold nobody looks at. */
export function keepOnly<T extends object, K extends keyof T>(object: T, keys: readonly K[]): Pick<T, K> {
  const entries = keys.filter((key) => object[key] !== undefined).map((key) => [key, object[key]] as const);
  return Object.fromEntries(entries) as Pick<T, K>;
}
