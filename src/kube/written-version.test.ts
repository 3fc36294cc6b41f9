import { expect, test } from "vitest";
import { writtenVersion } from "./written-version.ts";

const entry = (apiVersion: string, time: string, fields: object, subresource?: string) => ({
  apiVersion,
  time,
  fieldsV1: fields,
  ...(subresource === undefined ? {} : { subresource }),
});

const of = (...managedFields: object[]) => writtenVersion({ metadata: { managedFields } });

test("the version of the last write to the meaning of an object is the one that counts", () => {
  const first = entry("split.smi-spec.io/v1alpha2", "2024-01-01T00:00:00Z", { "f:spec": {} });
  const second = entry("split.smi-spec.io/v1alpha4", "2024-01-02T00:00:00Z", { "f:spec": {} });
  expect(of(first, second)).toBe("split.smi-spec.io/v1alpha4");
  expect(of(second, first)).toBe("split.smi-spec.io/v1alpha4");
});

test("who writes labels or a status says nothing about the meaning", () => {
  const author = entry("split.smi-spec.io/v1alpha2", "2024-01-01T00:00:00Z", { "f:spec": {} });
  const labels = entry("split.smi-spec.io/v1alpha4", "2024-01-02T00:00:00Z", { "f:metadata": {} });
  const status = entry("split.smi-spec.io/v1alpha3", "2024-01-03T00:00:00Z", { "f:spec": {} }, "status");
  expect(of(author, labels, status)).toBe("split.smi-spec.io/v1alpha2");
});

test("a file whose apiVersion alone was changed is of the new version once it is applied", () => {
  const before = entry("access.smi-spec.io/v1alpha2", "2024-01-01T00:00:00Z", { "f:spec": { "f:rules": {} } });
  const note = { "f:annotations": { "f:kubectl.kubernetes.io/last-applied-configuration": {} } };
  const after = entry("access.smi-spec.io/v1alpha3", "2024-01-02T00:00:00Z", { "f:metadata": note });
  expect(of(before, after)).toBe("access.smi-spec.io/v1alpha3");
});

test("objects of the first versions have their meaning outside of a spec", () => {
  const author = entry("access.smi-spec.io/v1alpha1", "2024-01-01T00:00:00Z", { "f:destination": {}, "f:specs": {} });
  expect(of(author)).toBe("access.smi-spec.io/v1alpha1");
});

test("an object without a record has no written version", () => {
  expect(of()).toBeUndefined();
  expect(writtenVersion({ metadata: {} })).toBeUndefined();
});
