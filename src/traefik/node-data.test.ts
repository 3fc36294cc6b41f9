import { expect, test } from "vitest";
import { emptyMeshConfig, type MeshConfig } from "../config/mesh-config.ts";
import { shopServicePort } from "../config/testkit/shop-config.ts";
import { nodeData } from "./node-data.ts";

test("what a proxy has in force is told in a Traefik's form, and beside it as it is", () => {
  const config: MeshConfig = {
    ...emptyMeshConfig(),
    meshDomains: ["traefik.mesh"],
    servicePorts: {
      "shop/web:80": shopServicePort("web", ["10.1.0.1:8080"], { middlewares: { retry: { attempts: 2 } } }),
    },
  };
  const told = nodeData(
    { version: "v1", config },
    () => undefined,
    () => 5000,
  );
  expect(told).toMatchObject({
    version: "v1",
    config,
    routers: { "shop-web-80@http": { entryPoints: ["http-5000"], status: "enabled", using: ["http-5000"] } },
    middlewares: { "shop-web-retry@http": { retry: { attempts: 2 }, usedBy: ["shop-web-80@http"] } },
    services: { "shop-web-80@http": { loadBalancer: { servers: [{ url: "http://10.1.0.1:8080" }] } } },
  });
});
