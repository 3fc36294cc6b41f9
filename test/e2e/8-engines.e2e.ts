/** The same mesh, with each engine as the proxy: installed, used and taken away. */
import { describe } from "vitest";
import { SETTINGS } from "./cluster.ts";
import { engineSuite } from "./engine-suite.ts";

if (SETTINGS.traefik === "") console.log("no Traefik is on the PATH: the mesh with Traefik as the proxy is left out");

describe("with Tulle's own proxy", () => engineSuite("tulle", []));

describe.runIf(SETTINGS.traefik !== "")("with Traefik as the proxy", () =>
  engineSuite("traefik", ["proxy.engine=traefik", `proxy.traefik.image=${SETTINGS.traefik}`]),
);
