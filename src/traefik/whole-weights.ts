/**
 * Weights as Traefik counts them: in whole numbers of 64 bits. A single number that is none makes it refuse the whole
 * configuration, whatever else is in it.
 */

/** Far from where the sum of many would not be exact any more. */
const MAX_WEIGHT = 1_000_000_000;
/** In parts of a number: what is nearer to a whole one is meant as that. */
const ROUNDING = 1e-9;

/**
 * @param weights above 0
 * @returns whole numbers from 1 to a billion in the same ratio, as small as they can be in powers of ten
 */
export function wholeWeights(weights: readonly number[]): number[] {
  const largest = Math.max(...weights);
  for (let scale = 1; scale <= MAX_WEIGHT && largest * scale <= MAX_WEIGHT; scale *= 10) {
    const scaled = weights.map((weight) => Math.round(weight * scale));
    if (weights.every((weight, index) => isNear(weight * scale, scaled[index] as number))) return scaled;
  }
  return weights.map((weight) => Math.max(1, Math.round((weight / largest) * MAX_WEIGHT)));
}

function isNear(value: number, whole: number): boolean {
  return whole >= 1 && Math.abs(value - whole) <= value * ROUNDING;
}
