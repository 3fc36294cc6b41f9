import { expect, test } from "vitest";
import { LoopbackAddresses } from "../manifests/loopback-addresses.ts";
import { problem } from "../model/problems.ts";
import { MeshInForce } from "./mesh-in-force.ts";

test("where a problem stands is told as it is when it is asked for, also after an edit that changes no object", () => {
  let line = 4;
  const mesh = new MeshInForce({
    accessControl: "off",
    defaultTrafficType: "http",
    addresses: new LoopbackAddresses(),
    locate: (problems) => problems.map((each) => ({ problem: each, file: "a.yaml", line })),
  });
  const service = { kind: "Service", namespace: "shop", name: "web" };
  mesh.noteProblems([], [problem("TrafficTypeInvalid", service, "metadata", "it is odd")]);
  expect(mesh.located.map((each) => each.line)).toEqual([4]);
  line++;
  expect(mesh.located.map((each) => each.line)).toEqual([5]);
});
