import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Nearness, type Place, type Placed } from "./nearness.ts";

const at = (node: string, zone: string): Placed => ({ config: { node, zone } });
const LIST = [at("n1", "za"), at("n2", "za"), at("n3", "zb"), { config: {} }];
const [ON_NODE, IN_ZONE, ELSEWHERE, NOWHERE] = LIST as [Placed, Placed, Placed, Placed];
const HERE: Place = { node: "n1", zone: "za" };

function near(prefer: "node" | "zone" | undefined, place: Place, list: readonly Placed[] = LIST): readonly Placed[] {
  const nearness = new Nearness<Placed>();
  nearness.change(prefer, place);
  return nearness.nearOf(list);
}

describe("of endpoints in several places", () => {
  test("without preference all are near", () => {
    expect(near(undefined, HERE)).toBe(LIST);
  });

  test("by zone, those of the proxy's zone are, its node no more than others", () => {
    expect(near("zone", HERE)).toEqual([ON_NODE, IN_ZONE]);
  });

  test("by node, those of the node are, else those of the zone, else all", () => {
    expect(near("node", HERE)).toEqual([ON_NODE]);
    expect(near("node", { node: "n4", zone: "za" })).toEqual([ON_NODE, IN_ZONE]);
    const far = [ELSEWHERE, NOWHERE];
    expect(near("node", HERE, far)).toBe(far);
  });

  test("a proxy that does not know where it is takes all", () => {
    expect(near("node", { node: undefined, zone: undefined })).toBe(LIST);
  });
});

test("another preference or place holds for lists that were asked about before", () => {
  const nearness = new Nearness<Placed>();
  nearness.change("node", HERE);
  expect(nearness.nearOf(LIST)).toEqual([ON_NODE]);
  nearness.change("node", { node: "n3", zone: "zb" });
  expect(nearness.nearOf(LIST)).toEqual([ELSEWHERE]);
  nearness.change(undefined, HERE);
  expect(nearness.nearOf(LIST)).toBe(LIST);
});

test("some are always near, and only of those that may be reached", () => {
  const anyName = fc.constantFrom("1", "2", "3");
  const anyPlaced = fc.record({ node: anyName, zone: anyName }, { requiredKeys: [] }).map((config) => ({ config }));
  fc.assert(
    fc.property(
      fc.array(anyPlaced, { minLength: 1 }),
      fc.constantFrom("node" as const, "zone" as const),
      fc.record({ node: fc.option(anyName, { nil: undefined }), zone: fc.option(anyName, { nil: undefined }) }),
      (list, prefer, place) => {
        const found = near(prefer, place, list);
        expect(found.length).toBeGreaterThan(0);
        expect(found.every((each) => list.includes(each as (typeof list)[0]))).toBe(true);
      },
    ),
  );
});
