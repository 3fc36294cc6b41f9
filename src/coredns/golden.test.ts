/** Each `testdata/<case>.in.yaml` against its `.out.yaml`; `npx vitest run src/coredns -u` rewrites these. */
import { readdirSync, readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { checkCorefile } from "./corefile.ts";
import { planPatch, planRestore } from "./dns-patch.ts";
import type { DnsPlan, PatchOptions } from "./dns-plan.ts";
import type { ObservedDns } from "./dns-provider.ts";
import { applyPlan } from "./testkit/apply-plan.ts";

const FOLDER = new URL("./testdata/", import.meta.url);
const CASES = readdirSync(FOLDER)
  .filter((path) => path.endsWith(".in.yaml"))
  .map((path) => path.slice(0, -".in.yaml".length))
  .sort();
const MODES = ["forward", "rewrite"] as const;

interface Case extends ObservedDns {
  readonly options?: Partial<PatchOptions>;
  /** Says that restoring gives something else than what was there, and what. */
  readonly notAsBefore?: string;
}

const read = (name: string) => parse(readFileSync(new URL(`${name}.in.yaml`, FOLDER), "utf8")) as Case;

function optionsOf({ options }: Case, mode: PatchOptions["mode"]): PatchOptions {
  return {
    mode,
    meshNamespace: "tulle",
    clusterDomain: "cluster.local",
    meshDomains: ["traefik.mesh", "maesh"],
    dnsServiceIPs: ["10.96.7.7"],
    longNames: [],
    marks: "original",
    ...options,
  };
}

const observedOf = ({ workloads, configMaps, dnsOperator }: Case): ObservedDns => ({
  workloads,
  configMaps,
  ...(dnsOperator && { dnsOperator }),
});

interface Plans {
  readonly patch: DnsPlan;
  readonly restore: DnsPlan;
}

/** The provider is the same in each plan of a case. */
const shown = ({ provider: _, ...plan }: DnsPlan) => plan;

describe.each(CASES)("%s", (name) => {
  const input = read(name);
  const observed = observedOf(input);

  test("is planned as its pair says", async () => {
    const [forward, rewrite] = MODES.map((mode) => {
      const options = optionsOf(input, mode);
      const patch = planPatch(observed, options);
      return { patch, restore: planRestore(applyPlan(observed, patch), options) };
    }) as [Plans, Plans];
    // The text for the owner shows the same blocks, and restoring mostly leads to the same.
    const { byHand: _, ...rewriting } = shown(rewrite.patch);
    const plans = {
      forward: { patch: shown(forward.patch), restore: shown(forward.restore) },
      rewrite: {
        patch: rewriting,
        ...(!isDeepStrictEqual(forward.restore, rewrite.restore) && { restore: shown(rewrite.restore) }),
      },
    };
    const { provider } = planPatch(observed, optionsOf(input, "forward"));
    const out = stringify(
      { provider, ...plans },
      { aliasDuplicateObjects: false, lineWidth: 0, blockQuote: "literal" },
    );
    await expect(out).toMatchFileSnapshot(new URL(`${name}.out.yaml`, FOLDER).pathname);
  });

  test.each(MODES)("changes nothing a second time (%s)", (mode) => {
    const options = optionsOf(input, mode);
    const patched = applyPlan(observed, planPatch(observed, options));
    const again = planPatch(patched, options);
    expect([again.changes, again.restart]).toEqual([[], undefined]);
    const restored = applyPlan(patched, planRestore(patched, options));
    expect(planRestore(restored, options).changes).toEqual([]);
  });

  test.each(MODES)("is restored to what it was, from the other mode too (%s)", (mode) => {
    if (input.notAsBefore !== undefined) return;
    let now = observed;
    for (const step of [mode, ...MODES]) now = applyPlan(now, planPatch(now, optionsOf(input, step)));
    now = applyPlan(now, planRestore(now, optionsOf(input, mode)));
    expect(now).toEqual(observed);
  });

  test.each(MODES)("leads to no Corefile that CoreDNS refuses (%s)", (mode) => {
    const plan = planPatch(observed, optionsOf(input, mode));
    const { configMaps } = applyPlan(observed, plan);
    const changed = plan.changes.map(({ object }) => object.name);
    for (const [map, { data = {} }] of Object.entries(configMaps))
      for (const [key, text] of Object.entries(data))
        if (changed.includes(map) && (key === "Corefile" || key.endsWith(".server")))
          expect(checkCorefile(text), `${map} ${key}`).toEqual([]);
  });
});
