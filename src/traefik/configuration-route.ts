/** `/api/configuration/current`, which scripts of Traefik Mesh read, and from which Traefik's HTTP provider polls. */
import type { AdminRoutes, Answer } from "../admin/admin-server.ts";
import { type TraefikMesh, toTraefik } from "./to-traefik.ts";
import { traefikText } from "./traefik-configuration.ts";

export interface PolledMesh extends TraefikMesh {
  /** Another number after each change of anything in it. */
  readonly serial: number;
}

/** @param mesh undefined before there is one: whoever polls goes on with what it has, instead of with nothing */
export function configurationRoute(mesh: () => PolledMesh | undefined): AdminRoutes {
  let made: { readonly serial: number; readonly answer: Answer } | undefined;
  return {
    "/api/configuration/current": {
      says: "the mesh as dynamic configuration for Traefik 3",
      answer() {
        const current = mesh();
        if (current === undefined)
          return { status: 503, type: "text/plain; charset=utf-8", body: "no configuration is compiled yet\n" };
        // Every node's Traefik asks every few seconds.
        if (made?.serial !== current.serial)
          made = {
            serial: current.serial,
            answer: {
              status: 200,
              type: "application/json; charset=utf-8",
              body: traefikText(toTraefik(current).configuration),
            },
          };
        return made.answer;
      },
    },
  };
}
