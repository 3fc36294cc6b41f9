/** Tulle's own proxy: that of a loopback cluster. */
import type { RunningMesh } from "../running-mesh.ts";
import type { Engine } from "./engine.ts";

/** @param mesh stays its owner's: closing the engine leaves it */
export function tulleEngine(mesh: RunningMesh): Engine {
  return {
    name: "Tulle",
    at: (service, port) => mesh.at(service, port),
    pod: (name) => mesh.pod(name),
    clusterIP: (service) => clusterIPOf(mesh, service),
    close: () => Promise.resolve(),
  };
}

export function clusterIPOf(mesh: RunningMesh, service: string): string {
  const found = mesh.ready.services.find(({ name }) => name === service);
  if (found === undefined) throw new Error(`no mesh service ${service}`);
  return found.clusterIP;
}
