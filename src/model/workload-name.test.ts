import { describe, expect, test } from "vitest";
import { workloadKind, workloadName } from "./workload-name.ts";

describe("a Pod is called after", () => {
  const cases: readonly (readonly [
    string,
    string,
    string,
    Readonly<Record<string, string>>,
    string | undefined,
    string?,
  ])[] = [
    [
      "the Deployment of its ReplicaSet",
      "ReplicaSet",
      "web-5d4f",
      { "pod-template-hash": "5d4f" },
      "web",
      "Deployment",
    ],
    ["a ReplicaSet that is nobody's", "ReplicaSet", "web-5d4f", {}, "web-5d4f", "ReplicaSet"],
    [
      "a ReplicaSet whose name has another end",
      "ReplicaSet",
      "web",
      { "pod-template-hash": "5d4f" },
      "web",
      "ReplicaSet",
    ],
    [
      "a ReplicaSet that is named as its hash",
      "ReplicaSet",
      "-5d4f",
      { "pod-template-hash": "5d4f" },
      "-5d4f",
      "ReplicaSet",
    ],
    ["its StatefulSet, whatever the end of its name", "StatefulSet", "db-12345678", {}, "db-12345678", "StatefulSet"],
    ["its DaemonSet", "DaemonSet", "agent", { "pod-template-hash": "agent" }, "agent", "DaemonSet"],
    ["its Job", "Job", "migrate", {}, "migrate", "Job"],
    ["the CronJob of its Job", "Job", "backup-29384710", {}, "backup", "CronJob"],
    ["an owner that we do not know", "Rollout", "web", {}, "web", "Rollout"],
    ["nobody, where its owner is a node", "Node", "node-1", {}, undefined],
  ];
  for (const [says, kind, name, labels, expected, expectedKind] of cases)
    test(says, () => {
      expect(workloadName({ kind, name }, labels)).toBe(expected);
      expect(workloadKind({ kind, name }, labels)).toBe(expectedKind);
    });
});

test("a Pod without owner is one of nothing", () => {
  expect(workloadName(undefined, { "pod-template-hash": "x" })).toBeUndefined();
  expect(workloadKind(undefined, { "pod-template-hash": "x" })).toBeUndefined();
});
