/** Properties of any Corefile; what the plans look like is in the golden cases. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkCorefile, parseCorefile } from "./corefile.ts";
import { planPatch, planRestore } from "./dns-patch.ts";
import type { PatchOptions } from "./dns-plan.ts";
import type { ObservedDns } from "./dns-provider.ts";
import { applyPlan } from "./testkit/apply-plan.ts";
import { corefiles } from "./testkit/corefiles.ts";

const OPTIONS: PatchOptions = {
  mode: "forward",
  meshNamespace: "tulle",
  clusterDomain: "cluster.local",
  meshDomains: ["traefik.mesh", "maesh"],
  dnsServiceIPs: ["10.96.7.7"],
  longNames: [{ service: "long", namespace: "ns", shadow: "tulle-1" }],
  marks: "own",
};
const anyOptions: fc.Arbitrary<PatchOptions> = fc.record({
  mode: fc.constantFrom("forward", "rewrite"),
  meshNamespace: fc.constantFrom("tulle", "maesh"),
  clusterDomain: fc.constantFrom("cluster.local", "k8s.corp.example"),
  meshDomains: fc.constantFrom(["traefik.mesh", "maesh"], ["traefik.mesh"], ["mesh.corp.example", "maesh"]),
  dnsServiceIPs: fc.constantFrom(["10.96.7.7"], ["10.96.7.8", "fd00::8"]),
  longNames: fc.constantFrom([], OPTIONS.longNames),
  marks: fc.constantFrom("own", "original"),
});

function cluster(corefile: string): ObservedDns {
  const containers = [{ name: "coredns", image: "coredns/coredns:1.11.1" }];
  const volumes = [{ name: "config", configMap: { name: "coredns" } }];
  return {
    workloads: [
      { kind: "Deployment", metadata: { name: "coredns" }, spec: { template: { spec: { containers, volumes } } } },
    ],
    configMaps: { coredns: { metadata: { name: "coredns" }, data: { Corefile: corefile } } },
  };
}

const corefileOf = (observed: ObservedDns) => observed.configMaps["coredns"]?.data?.["Corefile"] ?? "";
const patched = (observed: ObservedDns, options: PatchOptions) => applyPlan(observed, planPatch(observed, options));
const restored = (observed: ObservedDns) => applyPlan(observed, planRestore(observed, OPTIONS));

describe("any Corefile", () => {
  test("is patched once, and planning again changes nothing", () => {
    fc.assert(
      fc.property(corefiles, anyOptions, (text, options) => {
        const first = planPatch(cluster(text), options);
        expect([first.faults, first.changes.length]).toEqual([[], 1]);
        expect(planPatch(patched(cluster(text), options), options).changes).toEqual([]);
      }),
    );
  });

  test("comes back byte for byte, whatever was changed in between", () => {
    fc.assert(
      fc.property(corefiles, fc.array(anyOptions, { minLength: 1, maxLength: 4 }), (text, steps) => {
        expect(corefileOf(restored(steps.reduce(patched, cluster(text))))).toBe(text);
      }),
    );
  });

  test("serves each mesh domain in a server block of its own, and is valid", () => {
    fc.assert(
      fc.property(corefiles, anyOptions, (text, options) => {
        const after = corefileOf(patched(cluster(text), options));
        const before = parseCorefile(text).blocks.length;
        const added = parseCorefile(after).blocks.slice(before);
        expect(added.map(({ keys }) => keys[0]?.split(":")[0])).toEqual(options.meshDomains.toSorted());
        expect(checkCorefile(after)).toEqual([]);
      }),
    );
  });

  test("keeps what its owner writes around the blocks", () => {
    fc.assert(
      fc.property(corefiles, anyOptions, (text, options) => {
        const own = `# mine\n${corefileOf(patched(cluster(text), options))}later.example {\n}\n`;
        const again = corefileOf(patched(cluster(own), { ...options, dnsServiceIPs: ["10.96.7.9"] }));
        expect(again.startsWith(`# mine\n${text}`)).toBe(true);
        expect(again.endsWith("\nlater.example {\n}\n")).toBe(true);
        const back = corefileOf(restored(cluster(own)));
        expect(back.replace(/\n+later/, "\nlater")).toBe(
          `# mine\n${text}\nlater.example {\n}\n`.replace(/\n+later/, "\nlater"),
        );
      }),
    );
  });

  test("that is broken is left alone, with the reason", () => {
    const broken = fc
      .tuple(corefiles, fc.constantFrom("}\n", "a.org {\n", 'log "\n', "#### Begin Maesh Block\n"))
      .map((parts) => parts.join("\n"));
    fc.assert(
      fc.property(broken, anyOptions, (text, options) => {
        const plan = planPatch(cluster(text), options);
        expect([plan.changes, plan.restart]).toEqual([[], undefined]);
        expect(plan.faults).not.toEqual([]);
      }),
    );
  });
});

test("a fault names the line of the Corefile as it is, not as it would be", () => {
  const text = corefileOf(patched(cluster(""), { ...OPTIONS, mode: "rewrite" }));
  const line = text.split("\n").length;
  expect(planPatch(cluster(`${text}}\n`), OPTIONS).faults).toEqual([
    `ConfigMap kube-system/coredns, key Corefile, line ${line}: The brace } closes nothing.`,
  ]);
});

test("a restart hastens a Corefile with reload, and is needed without", () => {
  const need = (corefile: string) => planPatch(cluster(corefile), OPTIONS).restart?.need;
  expect([need(". {\n reload\n}\n"), need(". {\n}\n")]).toEqual(["hastens", "needed"]);
});

test("a block on another port than the cluster's is nobody's rival", () => {
  expect(planPatch(cluster(". {\n}\nmaesh:5353 {\n}\n"), OPTIONS).faults).toEqual([]);
  expect(planPatch(cluster(". {\n}\nmaesh {\n}\n"), OPTIONS).faults).toHaveLength(1);
  expect(planPatch(cluster(".:5353 {\n}\nmaesh:5353 {\n}\n"), OPTIONS).faults).toHaveLength(1);
});

test("a CoreDNS that has become too old to patch can still be restored", () => {
  const observed = patched(cluster(". {\n}\n"), OPTIONS);
  const downgraded = JSON.parse(JSON.stringify(observed).replace("1.11.1", "1.2.6")) as ObservedDns;
  expect(planPatch(downgraded, { ...OPTIONS, mode: "rewrite" }).changes).toEqual([]);
  expect(corefileOf(restored(downgraded))).toBe(". {\n}\n");
});
