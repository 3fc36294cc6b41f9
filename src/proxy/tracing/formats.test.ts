import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isTraceField } from "../http1/fields.ts";
import { PROPAGATORS, Propagation, type Propagator, withoutFields, withoutLines } from "./propagation.ts";
import type { HasFields, TraceContext } from "./trace-context.ts";
import { readTraceparent } from "./w3c-format.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";

/** A request with these fields: name, value, name, value … */
function requestOf(fields: readonly string[]): HasFields {
  return {
    header: (name) => {
      const values = fields.filter((_, at) => at % 2 === 1 && fields[at - 1] === name);
      return values.length === 0 ? undefined : values.join(", ");
    },
  };
}

const hex = (length: number) =>
  fc
    .array(fc.constantFrom(..."0123456789abcdef"), { minLength: length, maxLength: length })
    .map((digits) => digits.join(""))
    .filter((id) => /[^0]/.test(id));

const contexts: fc.Arbitrary<TraceContext> = fc.record({
  traceId: hex(32),
  spanId: hex(16),
  sampled: fc.boolean(),
  debug: fc.constant(false),
  randomId: fc.constant(false),
});

const read = (name: Propagator, fields: readonly string[]) => PROPAGATORS[name].read(requestOf(fields));
const names = Object.keys(PROPAGATORS) as Propagator[];

describe.each(names)("a context as %s", (name) => {
  test("reads as it was written", () => {
    fc.assert(
      fc.property(contexts, (context) => {
        const fields: string[] = [];
        PROPAGATORS[name].write(context, fields);
        expect(read(name, fields)).toEqual(context);
      }),
    );
  });

  test("is told in fields that are known by their names", () => {
    expect(PROPAGATORS[name].names.filter((each) => !isTraceField(each))).toEqual([]);
  });

  test("is as absent when anything else stands there, and nothing is thrown", () => {
    const value = fc.oneof(
      fc.string({ maxLength: 80 }),
      fc
        .array(fc.constantFrom("-", ":", "%3A", "0", "1", "d", "00", TRACE, SPAN, TRACE.toUpperCase(), "f".repeat(300)))
        .map((parts) => parts.join("")),
    );
    const fields = fc.tuple(...PROPAGATORS[name].names.map((field) => value.map((text) => [field, text])));
    fc.assert(
      fc.property(fields, (parts) => {
        const found = read(name, parts.flat());
        if (found === undefined) return;
        if (found.traceId === "") expect([found.spanId, typeof found.sampled]).toEqual(["", "boolean"]);
        else
          expect([found.traceId, found.spanId]).toEqual([
            expect.stringMatching(/^(?!0+$)[0-9a-f]{32}$/),
            expect.stringMatching(/^(?!0+$)[0-9a-f]{16}$/),
          ]);
      }),
    );
  });
});

test("tracestate is known as a field of traces", () => {
  expect(isTraceField("tracestate")).toBe(true);
});

describe("traceparent", () => {
  test.each([
    ["a later version may say more", `cc-${TRACE}-${SPAN}-01-what-else`, true],
    ["a later version may say no more", `cc-${TRACE}-${SPAN}-01`, true],
    ["a later version says it after a dash", `cc-${TRACE}-${SPAN}-01.what`, false],
    ["version 00 says no more", `00-${TRACE}-${SPAN}-01-what`, false],
    ["version ff is none", `ff-${TRACE}-${SPAN}-01`, false],
    ["a trace id of zeros is none", `00-${"0".repeat(32)}-${SPAN}-01`, false],
    ["a span id of zeros is none", `00-${TRACE}-${"0".repeat(16)}-01`, false],
    ["digits are in lower case", `00-${TRACE.toUpperCase()}-${SPAN}-01`, false],
    ["two fields are none", `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`, false],
  ])("%s", (_, text, isRead) => {
    expect(readTraceparent(text) !== undefined).toBe(isRead);
  });

  test("carries on that the id is random, and no flag that it does not know", () => {
    const context = readTraceparent(`00-${TRACE}-${SPAN}-ff`) as TraceContext;
    const fields: string[] = [];
    PROPAGATORS.tracecontext.write(context, fields);
    expect(fields).toEqual(["traceparent", `00-${TRACE}-${SPAN}-03`]);
  });
});

describe("B3", () => {
  const short = TRACE.slice(16);

  test("may have half a trace id, a parent, and no decision", () => {
    expect(read("b3", ["b3", `${short}-${SPAN}`])).toMatchObject({
      traceId: short.padStart(32, "0"),
      sampled: undefined,
    });
    expect(read("b3", ["b3", `${TRACE}-${SPAN}-0-${short}`])).toMatchObject({ spanId: SPAN, sampled: false });
    expect(read("b3multi", ["x-b3-traceid", short, "x-b3-spanid", SPAN])).toMatchObject({ sampled: undefined });
  });

  test("may be a decision alone", () => {
    expect(read("b3", ["b3", "0"])).toMatchObject({ traceId: "", sampled: false });
    expect(read("b3", ["b3", "d"])).toMatchObject({ traceId: "", sampled: true, debug: true });
    expect(read("b3multi", ["x-b3-sampled", "true"])).toMatchObject({ traceId: "", sampled: true });
  });

  test("goes on with its order to debug", () => {
    const context = read("b3", ["b3", `${TRACE}-${SPAN}-d`]) as TraceContext;
    const fields: string[] = [];
    PROPAGATORS.b3multi.write(context, fields);
    expect(fields).toEqual(["x-b3-traceid", TRACE, "x-b3-spanid", SPAN, "x-b3-flags", "1"]);
  });
});

test("uber-trace-id may leave out zeros and encode its colons", () => {
  expect(read("jaeger", ["uber-trace-id", "abc%3A1%3A0%3A1"])).toMatchObject({
    traceId: "abc".padStart(32, "0"),
    spanId: "1".padStart(16, "0"),
    sampled: true,
  });
});

describe("propagation", () => {
  const both = requestOf(["b3", `${TRACE}-${SPAN}-1`, "traceparent", `00-${SPAN}${SPAN}-${SPAN}-01`]);

  test("reads the first form that can be read, in the order of the settings", () => {
    expect(new Propagation(["tracecontext", "b3"]).read(both)?.traceId).toBe(SPAN + SPAN);
    expect(new Propagation(["b3", "tracecontext"]).read(both)?.traceId).toBe(TRACE);
    expect(new Propagation(["jaeger"]).read(both)).toBeUndefined();
    const broken = requestOf(["traceparent", "00-1", "b3", `${TRACE}-${SPAN}-1`]);
    expect(new Propagation(["tracecontext", "b3"]).read(broken)?.traceId).toBe(TRACE);
  });

  test("goes on in each form in which it came, and in the first where it came in none", () => {
    const propagation = new Propagation(["tracecontext", "b3", "b3multi"]);
    expect(propagation.formsOf(both)).toEqual([PROPAGATORS.tracecontext, PROPAGATORS.b3]);
    expect(propagation.formsOf(requestOf([]))).toEqual([PROPAGATORS.tracecontext]);
  });
});

test("fields are taken out of a head whatever their case and place, and nothing else is touched", () => {
  const name = fc.constantFrom("b3", "B3", "x-b3", "Traceparent", "traceparent2", "accept", "b");
  const lines = fc.array(fc.tuple(name, fc.constantFrom("", "b3: 1", "v", "traceparent:")));
  fc.assert(
    fc.property(lines, (pairs) => {
      const textOf = (some: typeof pairs) =>
        `GET /b3 HTTP/1.1\r\n${some.map(([field, value]) => `${field}: ${value}\r\n`).join("")}\r\n`;
      const stale = ["b3", "traceparent"];
      const kept = pairs.filter(([field]) => !stale.includes(field.toLowerCase()));
      expect(withoutLines(textOf(pairs), stale)).toBe(textOf(kept));
      const lower = pairs.map(([field, value]) => [field.toLowerCase(), value]);
      expect(withoutFields(lower.flat(), stale)).toEqual(
        kept.flatMap(([field, value]) => [field.toLowerCase(), value]),
      );
    }),
  );
});
