import { describe, expect, test } from "vitest";
import { type Found, NONE, type Zone } from "../dns/zone.ts";
import { resolveAsPod } from "./pod-resolver.ts";

const at = (address: string): Found => ({ kind: "addresses", addresses: [address] });
const alias = (target: string): Found => ({ kind: "alias", target });
const zone = (names: Readonly<Record<string, Found>>): Zone => ({ origins: [], find: (name) => names[name] ?? NONE });

const mesh = zone({ "web.shop.traefik.mesh": at("127.3.0.1") });
const cluster = zone({
  "web.shop.svc.cluster.local": at("127.2.0.1"),
  "web.other.svc.cluster.local": at("127.2.0.2"),
  "old.shop.svc.cluster.local": alias("Web.shop.traefik.mesh."),
  "away.shop.svc.cluster.local": alias("example.com"),
  "circle.shop.svc.cluster.local": alias("circle.shop.svc.cluster.local"),
  "shop.svc.cluster.local": { kind: "empty" },
});

const resolve = (name: string, namespace?: string) => resolveAsPod([mesh, cluster], name, namespace);

describe("a name is looked up as a Pod's resolver does it", () => {
  test.each([
    ["in the Pod's own namespace first", "web", "shop", ["127.2.0.1"]],
    ["in a namespace that it names", "web.other", "shop", ["127.2.0.2"]],
    ["with svc", "web.other.svc", "shop", ["127.2.0.2"]],
    ["as it is, last", "web.shop.traefik.mesh", "shop", ["127.3.0.1"]],
    ["in any letters", "WEB.Shop.Traefik.Mesh", undefined, ["127.3.0.1"]],
    ["in no namespace, where no Pod asks", "web", undefined, []],
    ["without search domains, where it is whole", "web.shop.", "shop", []],
    ["and is found whole", "web.shop.svc.cluster.local.", "shop", ["127.2.0.1"]],
    ["but has no address of its own", "shop.svc.cluster.local", "shop", []],
  ])("%s", (_, name, namespace, addresses) => {
    expect(resolve(name, namespace)).toEqual(addresses);
  });

  test("an alias is followed into another zone, and not out of all", () => {
    expect(resolve("old", "shop")).toEqual(["127.3.0.1"]);
    expect(resolve("away", "shop")).toEqual([]);
  });

  test("an alias of itself has no address", () => {
    expect(resolve("circle", "shop")).toEqual([]);
  });
});
