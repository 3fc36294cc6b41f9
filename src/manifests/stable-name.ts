/** Letters that Kubernetes uses for generated names: no vowels, so no words; nothing that looks like another. */
const ALPHABET = "bcdfghjklmnpqrstvwxz2456789";

/** Text of `length` letters that depends on nothing but the input (FNV-1a, stirred once for each letter). */
export function stableSuffix(input: string, length: number): string {
  let hash = 0x811c9dc5;
  for (let index = 0; index < input.length; index++) hash = Math.imul(hash ^ input.charCodeAt(index), 0x01000193);
  let suffix = "";
  for (let index = 0; index < length; index++) {
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) ^ index;
    hash = Math.imul(hash ^ (hash >>> 13), 0x297a2d39);
    suffix += ALPHABET.charAt((hash >>> 0) % ALPHABET.length);
  }
  return suffix;
}
