import { expect, test } from "vitest";
import { KeptContent } from "./kept-content.ts";

test("there is room up to the bound, and again for what was given back", () => {
  const kept = new KeptContent(100);
  expect([kept.take(60), kept.take(60), kept.take(40)]).toEqual([true, false, true]);
  kept.giveBack(60);
  expect([kept.bytes, kept.take(61), kept.take(60)]).toEqual([40, false, true]);
});
