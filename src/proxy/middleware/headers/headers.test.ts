import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { HeaderChange } from "../../../config/mesh-config.ts";
import { changeFields } from "./headers.ts";

function changed(fields: readonly [string, string][], change: HeaderChange): [string, string][] {
  const names = fields.map(([name]) => name);
  const values = fields.map(([, value]) => value);
  changeFields(names, values, change);
  expect(values).toHaveLength(names.length);
  return names.map((name, index) => [name, values[index] as string]);
}

const FIELDS: [string, string][] = [
  ["Host", "whoami"],
  ["X-Color", "red"],
  ["Accept", "*/*"],
  ["x-color", "blue"],
];

describe("changeFields", () => {
  const cases: [string, HeaderChange, [string, string][]][] = [
    ["nothing to do changes nothing", {}, FIELDS],
    [
      "set replaces all of a name, in the first one's place, whatever the case",
      { set: { "x-COLOR": "green" } },
      [
        ["Host", "whoami"],
        ["X-Color", "green"],
        ["Accept", "*/*"],
      ],
    ],
    ["set brings what is not there", { set: { "X-New": "1" } }, [...FIELDS, ["X-New", "1"]]],
    ["add leaves what is there", { add: { "X-Color": "green" } }, [...FIELDS, ["X-Color", "green"]]],
    [
      "remove takes all of a name",
      { remove: ["x-color", "not-there"] },
      [
        ["Host", "whoami"],
        ["Accept", "*/*"],
      ],
    ],
    [
      "remove comes first, then set, then add",
      { remove: ["x-color"], set: { "X-Color": "one" }, add: { "X-Color": "two" } },
      [
        ["Host", "whoami"],
        ["Accept", "*/*"],
        ["X-Color", "one"],
        ["X-Color", "two"],
      ],
    ],
    [
      "framing, connection and host are not a route's to change",
      {
        set: { "Content-Length": "5", Host: "evil", Connection: "x" },
        add: { "transfer-encoding": "chunked", Upgrade: "h2c", TE: "trailers", Trailer: "a", "Keep-Alive": "1" },
        remove: ["host", "proxy-connection"],
      },
      FIELDS,
    ],
    [
      "no line of its own can be smuggled in",
      { set: { "X-A": "1\r\nX-B: 2", "X-C": "a\0b" }, add: { "X-D: 1\r\nX-E": "1", "": "1", "X F": "1" } },
      FIELDS,
    ],
    ["what is not one byte a character is left out", { set: { "X-A": "→" } }, FIELDS],
    [
      "an empty value is a value",
      { set: { Accept: "" } },
      [FIELDS[0], FIELDS[1], ["Accept", ""], FIELDS[3]] as [string, string][],
    ],
  ];
  test.each(cases)("%s", (_name, change, expected) => {
    expect(changed(FIELDS, change)).toEqual(expected);
  });
});

test("fields that the change does not name stay as they are, in order", () => {
  const name = fc.constantFrom("a", "A", "b", "B", "c", "content-type");
  const fields = fc.array(fc.tuple(name, fc.stringMatching(/^[a-z]{0,4}$/)));
  const record = fc.dictionary(name, fc.stringMatching(/^[a-z]{0,4}$/));
  fc.assert(
    fc.property(fields, record, record, fc.array(name), (before, set, add, remove) => {
      const after = changed(before, { set, add, remove });
      const named = new Set([...Object.keys(set), ...Object.keys(add), ...remove].map((text) => text.toLowerCase()));
      const untouched = (list: [string, string][]) => list.filter(([text]) => !named.has(text.toLowerCase()));
      expect(untouched(after)).toEqual(untouched(before));
      for (const text of Object.keys(set))
        expect(after.some(([other]) => other.toLowerCase() === text.toLowerCase())).toBe(true);
    }),
  );
});
