import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HpackDecoder } from "./hpack-decoder.ts";
import { encodeFields, NO_DYNAMIC_TABLE } from "./hpack-encoder.ts";
import { DynamicTable, STATIC_TABLE } from "./hpack-tables.ts";
import { huffmanDecode } from "./huffman.ts";

const bytesOf = (hex: string) => Buffer.from(hex.replaceAll(" ", ""), "hex");

function decode(decoder: HpackDecoder, block: Buffer) {
  const fields: string[] = [];
  const outcome = decoder.decode(block, 0, block.length, fields);
  return { outcome, fields };
}

const decodeNew = (hex: string) => decode(new HpackDecoder(65_536), bytesOf(hex));

describe("blocks of the RFC's examples (RFC 7541, Appendix C)", () => {
  const first = [":method", "GET", ":scheme", "http", ":path", "/", ":authority", "www.example.com"];
  const second = [...first, "cache-control", "no-cache"];
  const third = [":method", "GET", ":scheme", "https", ":path", "/index.html", ":authority", "www.example.com"];

  test.each([
    [
      "plain",
      "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
      "8286 84be 5808 6e6f 2d63 6163 6865",
      "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ],
    [
      "in Huffman code",
      "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
      "8286 84be 5886 a8eb 1064 9cbf",
      "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ],
  ])("three requests of one connection, %s", (_name, ...blocks) => {
    const decoder = new HpackDecoder(65_536);
    const decoded = blocks.map((hex) => decode(decoder, bytesOf(hex)).fields);
    expect(decoded).toEqual([first, second, [...third, "custom-key", "custom-value"]]);
  });

  test("responses that make the table, of 256 bytes, forget", () => {
    const decoder = new HpackDecoder(65_536);
    const blocks = [
      "3fe101 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
      "4883 640e ffc1 c0bf",
      "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
    ];
    const decoded = blocks.map((hex) => decode(decoder, bytesOf(hex)));
    const location = ["location", "https://www.example.com"];
    expect(decoded.map(({ fields }) => fields)).toEqual([
      [":status", "302", "cache-control", "private", "date", "Mon, 21 Oct 2013 20:13:21 GMT", ...location],
      [":status", "307", "cache-control", "private", "date", "Mon, 21 Oct 2013 20:13:21 GMT", ...location],
      [
        ...[":status", "200", "cache-control", "private", "date", "Mon, 21 Oct 2013 20:13:22 GMT", ...location],
        ...["content-encoding", "gzip", "set-cookie"],
        "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
      ],
    ]);
  });
});

describe("a block is refused", () => {
  test.each([
    ["index 0", "80"],
    ["an index beyond both tables", "be"],
    ["a name's index beyond both tables", "7f 10 01 61"],
    ["an integer without end", "ff ff ff ff ff ff 01"],
    ["an integer cut short", "ff"],
    ["a string that is longer than the block", "00 05 6162"],
    ["a string cut short before its length", "00 01 61"],
    ["padding of eight bits", "00 82 1f ff 01 61"],
    ["padding of zeros", "00 81 18 01 61"],
    ["the end-of-string symbol", "00 84 ff ff ff ff 01 61"],
    ["a table larger than ours", "3f e2 1f"],
    ["a change of size after a field", "82 20"],
  ])("for %s", (_name, hex) => {
    expect(decodeNew(hex).outcome).toBe("bad");
  });

  test("without an exception, whatever its bytes", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 5 }), (blocks) => {
        const decoder = new HpackDecoder(300);
        for (const block of blocks) {
          const { outcome, fields } = decode(decoder, Buffer.from(block));
          expect(["ok", "tooLarge", "bad"]).toContain(outcome);
          expect(fields.length % 2).toBe(0);
        }
      }),
    );
  });
});

test("fields beyond the bound are not kept, and the table stays right for the next block", () => {
  const decoder = new HpackDecoder(100);
  // "a: 60 bytes" twice, with indexing; then the second entry by its index.
  const field = (name: string) => `40 01 ${Buffer.from(name).toString("hex")} 3c ${"78".repeat(60)}`;
  const tooLarge = decode(decoder, bytesOf(field("a") + field("b")));
  expect(tooLarge.outcome).toBe("tooLarge");
  expect(tooLarge.fields).toEqual(["a", "x".repeat(60)]);
  expect(decode(decoder, bytesOf("be"))).toEqual({ outcome: "ok", fields: ["b", "x".repeat(60)] });
});

test("an entry larger than the table empties it", () => {
  const table = new DynamicTable();
  table.add("a", "b");
  table.add("c", "x".repeat(5000));
  expect(table.count).toBe(0);
});

test("the dynamic table holds what its size allows, newest first, as a list would", () => {
  const entry = fc.tuple(fc.string({ maxLength: 40 }), fc.string({ maxLength: 400 }));
  fc.assert(
    fc.property(fc.array(fc.oneof(entry, fc.nat({ max: 4096 })), { maxLength: 200 }), (steps) => {
      const table = new DynamicTable();
      let model: [string, string][] = [];
      let max = 4096;
      for (const step of steps) {
        if (typeof step === "number") {
          max = step;
          table.resize(step);
        } else {
          model.unshift(step);
          table.add(...step);
        }
        let bytes = 0;
        model = model.filter(([name, value]) => {
          bytes += name.length + value.length + 32;
          return bytes <= max;
        });
        expect(Array.from({ length: table.count }, (_, at) => [table.name(at), table.value(at)])).toEqual(model);
      }
    }),
  );
});

test("what the encoder writes, the decoder reads", () => {
  const text = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) });
  const name = fc.oneof(text, fc.constantFrom(...STATIC_TABLE.filter((_, at) => at % 2 === 0)));
  const value = fc.oneof(text, fc.constantFrom(...STATIC_TABLE), fc.constant("v".repeat(70_000)));
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value)), (pairs) => {
      const block = Buffer.from(NO_DYNAMIC_TABLE + encodeFields(pairs.flat()), "latin1");
      expect(decode(new HpackDecoder(Number.POSITIVE_INFINITY), block)).toEqual({
        outcome: "ok",
        fields: pairs.flat(),
      });
    }),
  );
});

test("the shortest and the longest of the Huffman codes are read (RFC 7541, Appendix B)", () => {
  const read = (hex: string) => huffmanDecode(bytesOf(hex), 0, hex.length / 2);
  expect(["07", "ffc7", "fffffff3", "fffffff7"].map(read)).toEqual(["0", "\0", "\n", "\r"]);
});
