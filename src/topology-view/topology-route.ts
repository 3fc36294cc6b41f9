/** `/api/topology/current`: the topology as Traefik Mesh's admin API tells it. */
import { type AdminRoutes, compactJson, text } from "../admin/admin-server.ts";
import type { Problem } from "../model/problems.ts";
import { type ToldMesh, topologyDocument } from "./topology-document.ts";

/** The mesh at the moment of the question. */
export interface MeshNow {
  /** Another one whenever objects have changed. */
  readonly stamp: string | number;
  readonly problems: readonly Problem[];
  /** To work it out from all objects takes a while in a big cluster. */
  told(): Omit<ToldMesh, "problems">;
}

/** @param now undefined where nothing is in force yet */
export function topologyRoute(now: () => MeshNow | undefined): AdminRoutes {
  let last: (Pick<MeshNow, "stamp" | "problems"> & { readonly answer: ReturnType<typeof compactJson> }) | undefined;
  return {
    "/api/topology/current": {
      says: "Services, Pods, TrafficSplits and TrafficTargets and how they belong together, in Traefik Mesh's form",
      answer() {
        const mesh = now();
        if (mesh === undefined) return text("no configuration is in force yet\n", 503);
        const { stamp, problems } = mesh;
        if (last?.stamp !== stamp || last.problems !== problems)
          last = { stamp, problems, answer: compactJson(topologyDocument({ ...mesh.told(), problems })) };
        return last.answer;
      },
    },
  };
}
