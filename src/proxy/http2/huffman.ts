/**
 * The Huffman code of RFC 7541, Appendix B. It is canonical, so the lengths of the codes say all: codes of one length
 * follow each other in the order of their symbols, and shorter ones come first.
 */

/** Symbols by code length; 256 is the end of the string, which no string may contain. */
const SYMBOLS_BY_LENGTH: Readonly<Record<number, readonly number[]>> = {
  5: [48, 49, 50, 97, 99, 101, 105, 111, 115, 116],
  6: [32, 37, 45, 46, 47, 51, 52, 53, 54, 55, 56, 57, 61, 65, 95, 98, 100, 102, 103, 104, 108, 109, 110, 112, 114, 117],
  7: [
    58, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 89, 106, 107, 113, 118,
    119, 120, 121, 122,
  ],
  8: [38, 42, 44, 59, 88, 90],
  10: [33, 34, 40, 41, 63],
  11: [39, 43, 124],
  12: [35, 62],
  13: [0, 36, 64, 91, 93, 126],
  14: [94, 125],
  15: [60, 96, 123],
  19: [92, 195, 208],
  20: [128, 130, 131, 162, 184, 194, 224, 226],
  21: [153, 161, 167, 172, 176, 177, 179, 209, 216, 217, 227, 229, 230],
  22: [
    129, 132, 133, 134, 136, 146, 154, 156, 160, 163, 164, 169, 170, 173, 178, 181, 185, 186, 187, 189, 190, 196, 198,
    228, 232, 233,
  ],
  23: [
    1, 135, 137, 138, 139, 140, 141, 143, 147, 149, 150, 151, 152, 155, 157, 158, 165, 166, 168, 174, 175, 180, 182,
    183, 188, 191, 197, 231, 239,
  ],
  24: [9, 142, 144, 145, 148, 159, 171, 206, 215, 225, 236, 237],
  25: [199, 207, 234, 235],
  26: [192, 193, 200, 201, 202, 205, 210, 213, 218, 219, 238, 240, 242, 243, 255],
  27: [203, 204, 211, 212, 214, 221, 222, 223, 241, 244, 245, 246, 247, 248, 250, 251, 252, 253, 254],
  28: [2, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24, 25, 26, 27, 28, 29, 30, 31, 127, 220, 249],
  30: [10, 13, 22, 256],
};
const END_OF_STRING = 256;

// The decoder reads four bits a step. A step gives at most one symbol, as no code is shorter than five bits.
// An entry of STEPS: the next state in bits 0–7, EMITS, FAILS, and the symbol in bits 16–23.
const EMITS = 1 << 8;
const FAILS = 1 << 9;
const STEPS = new Uint32Array(256 * 16);
/** 1 where the bits read since the last symbol are padding: fewer than eight, all ones (RFC 7541 §5.2). */
const MAY_END = new Uint8Array(256);

interface Node {
  readonly state: number;
  readonly next: [Node | number | undefined, Node | number | undefined];
}

function buildSteps(): void {
  const nodes: Node[] = [];
  const newNode = (): Node => {
    const node: Node = { state: nodes.length, next: [undefined, undefined] };
    nodes.push(node);
    return node;
  };
  const root = newNode();
  const add = (code: number, length: number, symbol: number) => {
    let node = root;
    for (let bit = length - 1; bit > 0; bit--) {
      const side = (code >>> bit) & 1;
      node.next[side] ??= newNode();
      node = node.next[side] as Node;
    }
    node.next[code & 1] = symbol;
  };
  let code = 0;
  let before = 0;
  for (const [length, symbols] of Object.entries(SYMBOLS_BY_LENGTH)) {
    code <<= Number(length) - before;
    before = Number(length);
    for (const symbol of symbols) add(code++, before, symbol);
  }

  for (const node of nodes)
    for (let bits = 0; bits < 16; bits++) STEPS[node.state * 16 + bits] = step(root, node, bits);
  for (let node = root, bits = 0; bits < 8; bits++, node = node.next[1] as Node) MAY_END[node.state] = 1;
}

function step(root: Node, from: Node, bits: number): number {
  let node = from;
  let emitted = 0;
  for (let bit = 3; bit >= 0; bit--) {
    const next = node.next[(bits >>> bit) & 1];
    if (next === END_OF_STRING) return FAILS;
    if (typeof next === "number") {
      emitted = EMITS | (next << 16);
      node = root;
    } else node = next as Node;
  }
  return emitted | node.state;
}

buildSteps();

/** One decoder serves a thread: it is used and done with in one step. */
let scratch = Buffer.allocUnsafe(4096);

/** @returns the string, one character a byte, or undefined where the bytes are no such code */
export function huffmanDecode(bytes: Uint8Array, start: number, end: number): string | undefined {
  const room = Math.ceil(((end - start) * 8) / 5);
  if (room > scratch.length) scratch = Buffer.allocUnsafe(room);
  let state = 0;
  let length = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    const high = STEPS[state * 16 + (byte >>> 4)] as number;
    if ((high & EMITS) !== 0) scratch[length++] = high >>> 16;
    const low = STEPS[(high & 0xff) * 16 + (byte & 15)] as number;
    if (((high | low) & FAILS) !== 0) return undefined;
    if ((low & EMITS) !== 0) scratch[length++] = low >>> 16;
    state = low & 0xff;
  }
  return MAY_END[state] === 1 ? scratch.toString("latin1", 0, length) : undefined;
}
