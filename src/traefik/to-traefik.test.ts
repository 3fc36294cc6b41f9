import fc from "fast-check";
import { expect, test } from "vitest";
import { type Backend, emptyMeshConfig, type MeshConfig, type ServicePort } from "../config/mesh-config.ts";
import { AssignedNumbers } from "./entrypoint-numbers.ts";
import { type Translated, toTraefik } from "./to-traefik.ts";
import { traefikText } from "./traefik-configuration.ts";

/** Of namespace `n`, on port 80 of TCP. @param backends absent: it is not split */
function servicePort(service: string, backends?: readonly Backend[]): ServicePort {
  return {
    namespace: "n",
    service,
    port: 80,
    trafficType: "tcp",
    scheme: "http",
    middlewares: {},
    endpoints: { "10.0.0.1:80": {} },
    ...(backends === undefined
      ? {}
      : {
          routes: [
            { origin: { kind: "TrafficSplit", namespace: "n", name: service }, matches: [], backends: [...backends] },
          ],
        }),
  };
}

const translate = (servicePorts: MeshConfig["servicePorts"]): Translated =>
  toTraefik({
    config: { ...emptyMeshConfig(), servicePorts },
    service: () => undefined,
    numbers: new AssignedNumbers().of(() => undefined),
  });

test("whatever weights there are, every number in the text is one that Traefik can count with", () => {
  const anyWeights = fc.array(fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }), { maxLength: 4 });
  fc.assert(
    fc.property(anyWeights, (weights) => {
      const backends = weights.map((weight, index) => ({ servicePort: `n/v${index % 3}:80`, weight }));
      const { configuration } = translate({
        "n/root:80": servicePort("root", backends),
        "n/v0:80": servicePort("v0"),
        "n/v1:80": servicePort("v1"),
        "n/v2:80": servicePort("v2"),
      });
      JSON.parse(traefikText(configuration), (_, value) => {
        if (typeof value === "number") expect(value).toSatisfy(Number.isSafeInteger);
        return value;
      });
    }),
  );
});
