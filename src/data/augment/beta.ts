import type { Random } from '../../random.js';

/** A number from 0 to 1 of the distribution Beta(alpha, alpha). */
export function beta(alpha: number, random: Random): number {
  const [one, other] = [logGamma(alpha, random), logGamma(alpha, random)];
  return 1 / (1 + Math.exp(other - one));
}

/** The logarithm of a number of the distribution Gamma(shape, 1), which for small shapes is itself too small for a double. */
function logGamma(shape: number, random: Random): number {
  // Γ(a) = Γ(a + 1) · U^(1/a)
  if (shape < 1) return logGamma(shape + 1, random) + Math.log(1 - random.next()) / shape;
  // Marsaglia and Tsang, "A Simple Method for Generating Gamma Variables" (2000).
  const d = shape - 1 / 3;
  while (true) {
    const x = random.normal();
    const v = (1 + x / Math.sqrt(9 * d)) ** 3;
    if (v > 0 && Math.log(1 - random.next()) < x ** 2 / 2 + d * (1 - v + Math.log(v))) return Math.log(d * v);
  }
}
