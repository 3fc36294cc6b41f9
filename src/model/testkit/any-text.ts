import fc from "fast-check";

/**
 * ASCII, where languages have their signs; the controls and letters after it; any UTF-16 unit, half a pair among them; any
 * code point of two units. fast-check's own "binary" has no such halves, and takes two seconds to be made, in each process.
 */
const piece = fc.oneof(
  fc.nat({ max: 0x7f }).map((unit) => String.fromCharCode(unit)),
  fc.nat({ max: 0xff }).map((unit) => String.fromCharCode(unit)),
  fc.nat({ max: 0xffff }).map((unit) => String.fromCharCode(unit)),
  fc.integer({ min: 0x10000, max: 0x10ffff }).map((point) => String.fromCodePoint(point)),
);

/** Any string that there is. Lengths are those of its pieces, of one or two units. */
export function anyText(lengths: Pick<fc.StringConstraints, "minLength" | "maxLength"> = {}): fc.Arbitrary<string> {
  return fc.string({ unit: piece, ...lengths });
}
