import { Resolver } from "node:dns/promises";
import { expect, onTestFinished, test } from "vitest";
import { DnsServer } from "../dns/dns-server.ts";
import { MeshZone } from "../dns/mesh-zone.ts";
import { systemClock } from "../model/clock.ts";
import { silentLog } from "../telemetry/log.ts";
import { addressesOf } from "./addresses-of.ts";

async function makeResolver(): Promise<Resolver> {
  const zone = new MeshZone(["traefik.mesh"]);
  zone.update({ names: { "a/four": ["10.0.0.1"], "a/six": ["fd00::1"], "a/both": ["10.0.0.2", "fd00::2"] } });
  const server = new DnsServer({ zones: [zone], log: silentLog, clock: systemClock });
  onTestFinished(() => server.close());
  const { address, port } = await server.listen("127.0.0.1", 0);
  const resolver = new Resolver({ tries: 1, timeout: 2000 });
  resolver.setServers([`${address}:${port}`]);
  return resolver;
}

test("a name has the addresses of both families, or of the one that the cluster has", async () => {
  const resolver = await makeResolver();
  expect(await addressesOf("four.a.traefik.mesh", resolver)).toEqual(["10.0.0.1"]);
  expect(await addressesOf("six.a.traefik.mesh", resolver)).toEqual(["fd00::1"]);
  expect(await addressesOf("both.a.traefik.mesh", resolver)).toEqual(["10.0.0.2", "fd00::2"]);
});

test("a name without an address is an error that says what DNS said", async () => {
  await expect(addressesOf("none.a.traefik.mesh", await makeResolver())).rejects.toThrow("ENOTFOUND");
});
