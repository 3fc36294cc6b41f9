import fc from "fast-check";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { anyText } from "../model/testkit/any-text.ts";
import { traefikText } from "./traefik-configuration.ts";

const withRule = (rule: string) => ({
  http: { routers: { r: { entryPoints: ["http-5000"], rule, service: "s" } }, services: {}, middlewares: {} },
});

test("no text of a user's is a template, or is refused by YAML", () => {
  const userText = fc.oneof(
    anyText(),
    fc.string({
      unit: fc.constantFrom("{", "}", "{{", "\\", '"', "\u0085", "\u009f", "\u2028", "\ufeff", "\uffff", "\u007f"),
    }),
  );
  fc.assert(
    fc.property(userText, (text) => {
      const written = traefikText(withRule(text));
      expect(written).not.toContain("{{");
      // YAML 1.2 §5.1, without what JSON cannot hold unescaped anyway.
      expect(written).toMatch(/^[\n\u0020-\u007e\u00a0-\ud7ff\ud800-\udfff\ue000-\ufefe\uff00-\ufffd]*$/);
      expect(JSON.parse(written)).toEqual(withRule(text));
      expect(parse(written)).toEqual(withRule(text));
    }),
    { numRuns: 1_000 },
  );
});

test("it ends with a newline", () => {
  expect(traefikText(withRule("Host(`a`)")).endsWith("}\n")).toBe(true);
});
