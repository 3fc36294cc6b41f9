import { expect, test } from "vitest";
import { warnAbsent } from "./warn-absent.ts";

test.each([
  ["shop/web", undefined],
  ["shop/web:80", undefined],
  ["nowhere", undefined],
  [undefined, undefined],
  ["nowhere/x", "there is no Service nowhere/x in the mesh"],
  ["shop/wep", "there is no Service shop/wep in the mesh; is shop/web meant?"],
  ["shop/web:8080", expect.stringContaining("there is no port shop/web:8080 in the mesh")],
])("of %s it is said: %s", async (scope, expected) => {
  const said: string[] = [];
  const write = (line: string) => void said.push(line);
  const log = { debug: write, info: write, warn: write, error: write };
  await warnAbsent({ servicePorts: async () => ["shop/web:80"] }, scope, log);
  expect(said[0]).toEqual(expected);
});
