import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { anyText } from "../model/testkit/any-text.ts";
import { type CorefileEntry, checkCorefile, parseCorefile, zoneOf } from "./corefile.ts";
import { corefiles } from "./testkit/corefiles.ts";

/** Names and arguments, without lines. */
type Outline = [string, ...(string | Outline[])[]];
const outline = (entries: readonly CorefileEntry[]): Outline[] =>
  entries.map(({ name, args, body }) => [name, ...args, ...(body ? [outline(body)] : [])]);
const pluginsOf = (text: string) => outline(parseCorefile(text).blocks[0]?.plugins ?? []);
const keysOf = (text: string) => parseCorefile(text).blocks.map(({ keys }) => keys);
const faultsOf = (text: string) => checkCorefile(text).map(({ line, sentence }) => `${line}: ${sentence}`);

describe("a Corefile is read", () => {
  test("as server blocks with keys and plugins", () => {
    const text = `.:53 cluster.local {
    errors
    kubernetes cluster.local in-addr.arpa {
      pods insecure
      fallthrough
    }
    forward . /etc/resolv.conf { max_concurrent 1000
    }
}
example.org,
example.net {
}
`;
    expect(parseCorefile(text).faults).toEqual([]);
    expect(keysOf(text)).toEqual([
      [".:53", "cluster.local"],
      ["example.org", "example.net"],
    ]);
    expect(pluginsOf(text)).toEqual([
      ["errors"],
      ["kubernetes", "cluster.local", "in-addr.arpa", [["pods", "insecure"], ["fallthrough"]]],
      ["forward", ".", "/etc/resolv.conf", [["max_concurrent", "1000"]]],
    ]);
    expect(parseCorefile(text).blocks.map(({ line }) => line)).toEqual([1, 10]);
  });

  test("with braces as deep as one likes", () => {
    expect(pluginsOf(". {\n a {\n b {\n c\n }\n d\n }\n e\n}")).toEqual([["a", [["b", [["c"]]], ["d"]]], ["e"]]);
    const deep = `. {\n${"a {\n".repeat(100_000)}${"}\n".repeat(100_000)}}\n`;
    expect(parseCorefile(deep).faults).toEqual([]);
  });

  test("with quotes, in which braces, comments and line breaks are text, and only a quote is escaped", () => {
    const text = '. {\n log "a # b" "say \\"no\\"" "\\d\\."\n template "{}\n}" # "\n errors\n}\n';
    expect(pluginsOf(text)).toEqual([["log", "a # b", 'say "no"', "\\d\\."], ["template", "{}\n}"], ["errors"]]);
    expect(parseCorefile(text).blocks[0]?.plugins[2]?.line).toBe(5);
  });

  test("without comments, but a # inside a word is none", () => {
    expect(pluginsOf("# } {\n. { # {\n log a#b # }\n #errors\n}")).toEqual([["log", "a#b"]]);
  });

  test("with imports, snippets and environment variables", () => {
    const text = "(common) {\n errors\n}\nimport custom/*.server\n{$ZONE}:{$PORT} {\n import common\n}\nimport more\n";
    const { blocks, imports, faults } = parseCorefile(text);
    expect(faults).toEqual([]);
    expect(imports).toEqual(["custom/*.server", "more"]);
    expect(blocks.map(({ snippet }) => snippet)).toEqual(["common", undefined]);
    expect(blocks[1]?.keys).toEqual(["{$ZONE}:{$PORT}"]);
  });

  test("without braces around its only server", () => {
    const [block] = parseCorefile(".:53\nerrors\nforward . 192.0.2.1\n").blocks;
    expect(block).toMatchObject({ keys: [".:53"], braced: false });
    expect(outline(block?.plugins ?? [])).toEqual([["errors"], ["forward", ".", "192.0.2.1"]]);
  });

  test("with Windows line ends and a byte order mark", () => {
    expect(pluginsOf("\ufeff.:53 {\r\n  errors\r\n}\r\n")).toEqual([["errors"]]);
  });

  test("whatever it is, without a throw, and with lines that it has", () => {
    const piece = fc.constantFrom(
      "{",
      "}",
      '"',
      "#",
      "\n",
      " ",
      "import",
      "(a)",
      ",",
      "\\",
      "a.b:53",
      "{$X}",
      "forward",
    );
    const text = fc.oneof(
      anyText(),
      fc.array(piece).map((pieces) => pieces.join("")),
      corefiles,
    );
    fc.assert(
      fc.property(text, (some) => {
        const lines = some.split("\n").length;
        for (const { line } of checkCorefile(some)) expect(line >= 1 && line <= lines).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  test("and found right, where CoreDNS would take it", () => {
    fc.assert(
      fc.property(corefiles, (text) => {
        expect(checkCorefile(text)).toEqual([]);
      }),
    );
  });
});

describe("a Corefile that CoreDNS would not take has a fault:", () => {
  const cases: Readonly<Record<string, readonly [text: string, ...faults: string[]]>> = {
    "a server block that nothing closes": [
      "\n. {\n errors\n",
      "2: The server block that opens here is never closed: a } is missing.",
    ],
    "a plugin's brace that nothing closes": [
      ". {\n errors\n cache {\n success 1\n",
      '3: The brace { of "cache" is never closed: a } is missing.',
    ],
    "a brace too many": [". {\n errors\n}\n}\n", "4: The brace } closes nothing."],
    "a brace behind a plugin": [". {\n errors }\n", "2: The brace } has to stand on a line of its own."],
    "a quote that nothing closes": [
      '. {\n log "a\n}\n',
      "1: The server block that opens here is never closed: a } is missing.",
      '2: The quote " that opens here is never closed.',
    ],
    "a comma before the brace": ["a.org, {\n}\n", "1: A zone is expected after the comma."],
    "an import of nothing": ["import\n", '1: "import" does not say what to import.'],
    "a snippet twice": ["(a) {\n}\n(a) {\n}\n", "3: The snippet (a) is defined on line 1 already."],
    "a zone twice, however it is written": [
      ".:53 {\n}\na.org {\n}\ndns://A.ORG.:53 {\n}\n",
      "5: The zone a.org on port 53 is served by the block on line 3 already.",
    ],
    "a zone twice in one block": [
      "a.org a.org:53 {\n}\n",
      "1: The zone a.org on port 53 is served by the block on line 1 already.",
    ],
    "a plugin twice": [
      ". {\n cache 5\n errors\n cache 30\n}\n",
      "4: plugin/cache can only be used once per server block, and the block on line 1 has it on line 2 already.",
    ],
    "a plugin again by a snippet": [
      "(common) {\n errors\n}\n. {\n errors\n import common\n}\n",
      "6: plugin/errors can only be used once per server block, and the block on line 4 has it on line 5 already.",
    ],
  };
  for (const [name, [text, ...faults]] of Object.entries(cases))
    test(name, () => expect(faultsOf(text).toSorted()).toEqual(faults));
});

describe("it is no fault that", () => {
  const cases: Readonly<Record<string, string>> = {
    "a zone is served on two ports": "a.org:53 {\n}\na.org:5353 {\n}\n",
    "a zone is served on one port by two transports": "tls://a.org:53 {\n}\na.org:53 {\n}\n",
    "a zone is served on two addresses": "a.org {\n bind 127.0.0.1\n}\na.org {\n bind 127.0.0.2\n}\n",
    "two zones are known by their variables only": "{$A} {\n}\n{$A} {\n}\n",
    "plugins stand twice that may": ". {\n rewrite name a b\n rewrite name c d\n log\n log\n}\n",
    "a plugin stands in two blocks": ". {\n errors\n}\na.org {\n errors\n}\n",
    "there is nothing": "",
  };
  for (const [name, text] of Object.entries(cases)) test(name, () => expect(faultsOf(text)).toEqual([]));
});

test("forward may stand twice in a block from CoreDNS 1.9.4 on, and where the version is not known", () => {
  const text = ". {\n forward a.org 192.0.2.1\n forward . 192.0.2.2\n}\n";
  const faults = (major: number, minor: number, patch: number) => checkCorefile(text, { major, minor, patch }).length;
  expect([faults(1, 3, 0), faults(1, 9, 3), faults(1, 9, 4), faults(1, 14, 7), faults(2, 0, 0)]).toEqual([
    1, 1, 0, 0, 0,
  ]);
  expect(checkCorefile(text)).toEqual([]);
});

test("a key says zone, port and transport, each with its default", () => {
  expect(zoneOf(".")).toEqual({ zone: ".", port: "53", transport: "dns" });
  expect(zoneOf(":1053")).toEqual({ zone: ".", port: "1053", transport: "dns" });
  expect(zoneOf("Example.ORG.")).toEqual({ zone: "example.org", port: "53", transport: "dns" });
  expect(zoneOf("tls://example.org")).toEqual({ zone: "example.org", port: "853", transport: "tls" });
  expect(zoneOf("2001:db8::/32")).toEqual({ zone: "2001:db8::/32", port: "53", transport: "dns" });
  expect(zoneOf("{$ZONE}:53")).toBeUndefined();
});
