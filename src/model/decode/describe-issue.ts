import type { z } from "zod";

export interface FieldFault {
  /** `spec.ports[0].port` */
  readonly field: string;
  /** What stands there and what is expected, without a full stop. */
  readonly detail: string;
}

/** Paths as `kubectl explain` writes them: keys that are no names stand in brackets and quotes. */
function fieldPath(path: readonly PropertyKey[], prefix = ""): string {
  let text = prefix;
  for (const part of path) {
    if (typeof part === "number") text += `[${part}]`;
    else if (/^[A-Za-z][A-Za-z0-9]*$/.test(String(part))) text += text === "" ? String(part) : `.${String(part)}`;
    else text += `["${String(part)}"]`;
  }
  return text;
}

export function describeIssues(error: z.ZodError, raw: unknown, prefix = ""): FieldFault[] {
  return error.issues.flatMap((issue): FieldFault[] => {
    // At each field that is too many, and not at what holds it.
    if (issue.code === "unrecognized_keys")
      return issue.keys.map((key) => ({ field: fieldPath([...issue.path, key], prefix), detail: issue.message }));
    return [{ field: fieldPath(issue.path, prefix), detail: describe(issue, valueAt(raw, issue.path)) }];
  });
}

function valueAt(raw: unknown, path: readonly PropertyKey[]): unknown {
  let value = raw;
  for (const part of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<PropertyKey, unknown>)[part];
  }
  return value;
}

const KINDS: Readonly<Record<string, string>> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "a map of fields",
  record: "a map",
};

function describe(issue: z.core.$ZodIssue, value: unknown): string {
  if (issue.code === "custom" || issue.code === "invalid_format") return `${found(value)}; ${issue.message}`;
  if (value === undefined) return `it is missing; ${expectation(issue)} is expected`;
  return `${found(value)}; ${expectation(issue, value)} is expected`;
}

function found(value: unknown): string {
  if (value === undefined) return "it is missing";
  if (value === null) return "it is empty";
  if (typeof value === "string") return `it is "${value.length > 60 ? `${value.slice(0, 60)}…` : value}"`;
  if (Array.isArray(value)) return "it is a list";
  return typeof value === "object" ? "it is a map" : `it is ${String(value)}`;
}

function expectation(issue: z.core.$ZodIssue, value?: unknown): string {
  switch (issue.code) {
    case "invalid_type": {
      const kind = KINDS[issue.expected] ?? issue.expected;
      const quotable = issue.expected === "string" && (typeof value === "number" || typeof value === "boolean");
      return quotable ? `a text, so quotes around it ("${String(value)}"),` : kind;
    }
    case "invalid_value":
      return `one of ${issue.values.map(String).join(", ")}`;
    case "too_small":
      return issue.origin === "array" ? `a list of at least ${issue.minimum}` : `at least ${issue.minimum}`;
    case "too_big":
      return `at most ${issue.maximum}`;
    default:
      return issue.message;
  }
}
