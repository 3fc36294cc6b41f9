/** The mesh of the soak: a folder of manifests that changes all the time, and `tulle local` on it. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { PROXY_CORE } from "./columns.mjs";
import { delay } from "./processes.mjs";
import { manifestsOf, NAMESPACE, startTulle } from "./tulle.mjs";

const IN_FORCE_WITHIN_MS = 20_000;
/** A call that was routed before the change may be on its way still. */
const AFTERWARDS_MS = 300;
const RETRY = { "mesh.traefik.io/retry-attempts": "3" };

/** `root` is split between `v1` and `v2`; `crash` is asked for repeatable calls alone. */
const SERVICES = {
  app: { kind: "app", trafficType: "http", port: 18090, annotations: RETRY },
  root: { kind: "app", trafficType: "http", port: 18091 },
  v1: { kind: "app", trafficType: "http", port: 18092 },
  v2: { kind: "app", trafficType: "http", port: 18093 },
  grpc: { kind: "grpc", trafficType: "http", scheme: "h2c", port: 18094 },
  echo: { kind: "echo", trafficType: "tcp", port: 18095 },
  crash: { kind: "crash", trafficType: "http", port: 18096, annotations: RETRY },
  udp: { kind: "udp", trafficType: "udp", port: 18097 },
};
const LEAVING = new Set(["app", "grpc", "echo"]);

const splitOf = (weight) => `apiVersion: split.smi-spec.io/v1alpha3
kind: TrafficSplit
metadata: { name: root, namespace: bench }
spec:
  service: root
  backends: [{ service: v1, weight: ${weight} }, { service: v2, weight: ${100 - weight} }]
`;

export class SoakMesh {
  #folder;
  #endpoints;
  /** Addresses that are in the EndpointSlices. */
  #present;
  #revision = 0;
  #admin = "";

  /** @param endpoints what `startSoakEndpoints` gives */
  constructor(workbench, endpoints) {
    this.#folder = path.join(workbench.folder, "mesh");
    mkdirSync(this.#folder);
    this.#endpoints = endpoints;
    this.#present = new Set(endpoints.addresses);
  }

  /** @returns the program and, by service, where it is served */
  async start(workbench, node) {
    this.#write("namespace", NAMESPACE);
    for (const name of Object.keys(SERVICES)) this.#writeService(name);
    this.#write("split", splitOf(50));
    const { program, ready, entries } = await startTulle(workbench, PROXY_CORE, [], {
      node: [node],
      paths: [this.#folder],
    });
    this.#admin = ready.admin;
    return { program, entries };
  }

  /** Something else in each call: weights, annotations, a Service that comes, one that goes. */
  change() {
    this.#revision++;
    const turn = this.#revision % 4;
    if (turn === 0) this.#write("split", splitOf(10 + ((this.#revision * 7) % 81)));
    if (turn === 1) this.#writeService("app", { "bench/revision": String(this.#revision) });
    if (turn === 2) this.#write("passing", this.#passing());
    if (turn === 3) rmSync(this.#fileOf("passing"), { force: true });
  }

  /**
   * Takes an address out of the EndpointSlices, and resolves once the proxy knows and nothing can be sent there any
   * more.
   */
  async withdraw(address) {
    this.#present.delete(address);
    this.#writeLeaving();
    await this.#inForce((text) => !text.includes(`"${address}:${this.#endpoints.ports.app}"`));
    await delay(AFTERWARDS_MS);
  }

  async restore(address) {
    this.#present.add(address);
    this.#writeLeaving();
    await this.#inForce((text) => text.includes(`"${address}:${this.#endpoints.ports.app}"`));
  }

  async #inForce(holds) {
    const until = Date.now() + IN_FORCE_WITHIN_MS;
    for (;;) {
      const answer = await fetch(`${this.#admin}/api/config`);
      if (holds(await answer.text())) return;
      if (Date.now() > until) throw new Error(`a change is not in force after ${IN_FORCE_WITHIN_MS} ms`);
      await delay(50);
    }
  }

  #writeLeaving() {
    for (const [name, { kind }] of Object.entries(SERVICES)) if (LEAVING.has(kind)) this.#writeService(name);
  }

  #writeService(name, annotations = {}) {
    const { kind, ...service } = SERVICES[name];
    const present = this.#endpoints.addresses.filter((address) => !LEAVING.has(kind) || this.#present.has(address));
    // Round after round the split's backends have an endpoint each that the other has not.
    const addresses = name === "v1" ? present.slice(0, -1) : name === "v2" ? present.slice(1) : present;
    const all = { ...service.annotations, ...annotations };
    const targetPort = this.#endpoints.ports[kind];
    this.#write(name, manifestsOf({ ...service, name, annotations: all, addresses, targetPort }));
  }

  #passing() {
    const name = `passing-${this.#revision}`;
    const { addresses, ports } = this.#endpoints;
    return manifestsOf({ name, trafficType: "http", port: 18098, addresses, targetPort: ports.app });
  }

  #fileOf(name) {
    return path.join(this.#folder, `${name}.yaml`);
  }

  /** Whole or not at all, as a `kubectl apply` is. */
  #write(name, text) {
    const file = this.#fileOf(name);
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  }
}
