import { expect, test } from "vitest";
import { rawData } from "./raw-data.ts";

test("is told as a Traefik tells what it runs: by name and provider, with what uses it", () => {
  const told = rawData({
    http: {
      routers: {
        a: { entryPoints: ["http-5000"], rule: "Host(`a`)", service: "s", middlewares: ["m"] },
        b: { entryPoints: ["http-5000"], rule: "Host(`b`)", service: "s" },
      },
      services: {
        s: { loadBalancer: { servers: [{ url: "http://10.0.0.1:80" }], passHostHeader: true } },
        spare: { loadBalancer: { servers: [], passHostHeader: true } },
      },
      middlewares: { m: { retry: { attempts: 2 } } },
    },
    udp: {
      routers: { u: { entryPoints: ["udp-15000"], service: "us" } },
      services: { us: { loadBalancer: { servers: [{ address: "10.0.0.1:53" }] } } },
    },
  });
  expect(told).toEqual({
    routers: {
      "a@http": {
        entryPoints: ["http-5000"],
        rule: "Host(`a`)",
        service: "s",
        middlewares: ["m"],
        status: "enabled",
        using: ["http-5000"],
      },
      "b@http": {
        entryPoints: ["http-5000"],
        rule: "Host(`b`)",
        service: "s",
        status: "enabled",
        using: ["http-5000"],
      },
    },
    middlewares: { "m@http": { retry: { attempts: 2 }, status: "enabled", usedBy: ["a@http"] } },
    services: {
      "s@http": {
        loadBalancer: { servers: [{ url: "http://10.0.0.1:80" }], passHostHeader: true },
        status: "enabled",
        usedBy: ["a@http", "b@http"],
      },
      "spare@http": { loadBalancer: { servers: [], passHostHeader: true }, status: "enabled" },
    },
    udpRouters: {
      "u@http": { entryPoints: ["udp-15000"], service: "us", status: "enabled", using: ["udp-15000"] },
    },
    udpServices: {
      "us@http": {
        loadBalancer: { servers: [{ address: "10.0.0.1:53" }] },
        status: "enabled",
        usedBy: ["u@http"],
      },
    },
  });
});
