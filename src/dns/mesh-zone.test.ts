import fc from "fast-check";
import { expect, test } from "vitest";
import { MeshZone } from "./mesh-zone.ts";

function zoneWith(names: Record<string, string[]>, domains: readonly string[] = ["traefik.mesh", "maesh"]): MeshZone {
  const zone = new MeshZone(domains);
  zone.update({ names });
  return zone;
}

const zone = zoneWith({ "whoami/whoami": ["127.3.0.1"], "b/a": ["127.3.0.2", "fd00::2"], "b/none": [] });
const NONE = { kind: "none" };
const EMPTY = { kind: "empty" };

test("service.namespace.domain has its addresses in every mesh domain", () => {
  expect(zone.find("whoami.whoami.traefik.mesh")).toEqual({ kind: "addresses", addresses: ["127.3.0.1"] });
  expect(zone.find("whoami.whoami.maesh")).toEqual({ kind: "addresses", addresses: ["127.3.0.1"] });
  expect(zone.find("a.b.traefik.mesh")).toEqual({ kind: "addresses", addresses: ["127.3.0.2", "fd00::2"] });
  expect(zone.find("none.b.traefik.mesh")).toEqual({ kind: "addresses", addresses: [] });
});

test("what is above a name exists and has no address", () => {
  for (const name of ["traefik.mesh", "maesh", "whoami.traefik.mesh", "b.maesh"])
    expect(zone.find(name), name).toEqual(EMPTY);
});

test("no other name exists", () => {
  for (const name of [
    "b.a.traefik.mesh",
    "whoami.b.traefik.mesh",
    "a.traefik.mesh",
    "x.whoami.whoami.traefik.mesh",
    "whoami.svc.whoami.traefik.mesh",
    "whoami.whoami.traefik.mesh.whoami.svc.cluster.local",
    "whoami.whoami.mesh",
    "mesh",
    "xtraefik.mesh",
    "whoami.whoami.xmaesh",
    "__proto__.whoami.traefik.mesh",
    "constructor.traefik.mesh",
    "whoami/whoami.traefik.mesh",
    "",
  ])
    expect(zone.find(name), name).toEqual(NONE);
});

test("an update is in force at once", () => {
  const changing = zoneWith({ "a/x": ["127.3.0.1"] });
  expect(changing.find("a.maesh")).toEqual(EMPTY);
  changing.update({ names: { "b/x": ["127.3.0.9"] } });
  expect(changing.find("a.maesh")).toEqual(NONE);
  expect(changing.find("x.a.maesh")).toEqual(NONE);
  expect(changing.find("x.b.maesh")).toEqual({ kind: "addresses", addresses: ["127.3.0.9"] });
});

test("of two domains, one within the other, a name is the inner one's", () => {
  const nested = zoneWith({ "n/s": ["127.3.0.1"], "inner/s": ["127.3.0.2"] }, ["mesh", "inner.mesh"]);
  expect(nested.find("s.n.inner.mesh")).toEqual({ kind: "addresses", addresses: ["127.3.0.1"] });
  expect(nested.find("s.inner.mesh")).toEqual(NONE);
});

test("a name has addresses if and only if its Service has, whatever the names are", () => {
  const label = fc.stringMatching(/^[a-z0-9-]{1,8}$/);
  fc.assert(
    fc.property(fc.uniqueArray(fc.tuple(label, label), { maxLength: 8 }), label, label, (known, service, namespace) => {
      const some = zoneWith(Object.fromEntries(known.map(([n, s]) => [`${n}/${s}`, ["127.3.0.1"]])));
      for (const [n, s] of known) expect(some.find(`${s}.${n}.maesh`).kind).toBe("addresses");
      const exists = known.some(([n, s]) => n === namespace && s === service);
      expect(some.find(`${service}.${namespace}.maesh`).kind).toBe(exists ? "addresses" : "none");
      expect(some.find(`${namespace}.maesh`).kind).toBe(known.some(([n]) => n === namespace) ? "empty" : "none");
    }),
  );
});

test("a name changes when the change is told, and no sooner", () => {
  const names: Record<string, string[]> = { "a/web": ["127.3.0.1"], "b/web": ["127.3.0.2"] };
  const changing = zoneWith(names);
  names["a/web"] = ["127.3.0.9"];
  delete names["b/web"];
  const before = { kind: "addresses", addresses: ["127.3.0.1"] };
  expect(changing.find("web.a.traefik.mesh")).toEqual(before);
  changing.update({ names }, [{ section: "names", key: "b/web", before: ["127.3.0.2"] }]);
  expect(changing.find("web.a.traefik.mesh")).toEqual(before);
  expect([changing.find("web.b.traefik.mesh"), changing.find("b.traefik.mesh")]).toEqual([NONE, NONE]);
});
