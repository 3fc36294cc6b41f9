import { describe, expect, test } from "vitest";
import { workloadName } from "./workload-name.ts";

describe("a Pod is called after", () => {
  const cases: readonly (readonly [string, string, string, Readonly<Record<string, string>>, string | undefined])[] = [
    ["the Deployment of its ReplicaSet", "ReplicaSet", "web-5d4f", { "pod-template-hash": "5d4f" }, "web"],
    ["a ReplicaSet that is nobody's", "ReplicaSet", "web-5d4f", {}, "web-5d4f"],
    ["a ReplicaSet whose name has another end", "ReplicaSet", "web", { "pod-template-hash": "5d4f" }, "web"],
    ["a ReplicaSet that is named as its hash", "ReplicaSet", "-5d4f", { "pod-template-hash": "5d4f" }, "-5d4f"],
    ["its StatefulSet, whatever the end of its name", "StatefulSet", "db-12345678", {}, "db-12345678"],
    ["its DaemonSet", "DaemonSet", "agent", { "pod-template-hash": "agent" }, "agent"],
    ["its Job", "Job", "migrate", {}, "migrate"],
    ["the CronJob of its Job", "Job", "backup-29384710", {}, "backup"],
    ["an owner that we do not know", "Rollout", "web", {}, "web"],
    ["nobody, where its owner is a node", "Node", "node-1", {}, undefined],
  ];
  for (const [says, kind, name, labels, expected] of cases)
    test(says, () => {
      expect(workloadName({ kind, name }, labels)).toBe(expected);
    });
});

test("a Pod without owner is one of nothing", () => {
  expect(workloadName(undefined, { "pod-template-hash": "x" })).toBeUndefined();
});
