/**
 * Loaded before every test file: property tests begin from one seed, so that what `npm test` says of a commit it says
 * again. `PROPERTY_SEED=random npm test` looks elsewhere each time; a counterexample that it finds becomes an example
 * of its test.
 */
import fc from 'fast-check';

const DEFAULT_SEED = 20_261_121;
const wanted = process.env['PROPERTY_SEED'] ?? String(DEFAULT_SEED);
if (wanted !== 'random') fc.configureGlobal({ seed: Number(wanted) });
