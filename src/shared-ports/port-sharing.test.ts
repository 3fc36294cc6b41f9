import { expect, test } from "vitest";
import { canSharePorts } from "./port-sharing.ts";

test.each([
  ["20.19.0", false],
  ["22.11.0", false],
  ["22.12.0", true],
  ["23.0.0", false],
  ["23.1.0", true],
  ["24.0.0", true],
])("Node.js %s shares ports: %s", (version, can) => {
  expect(canSharePorts(version)).toBe(can);
});
