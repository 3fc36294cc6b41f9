/**
 * What a change costs from the objects to the tables of a proxy, and how that grows with the cluster: `npm run
 * bench:compile`. Every figure is the median of several changes, each another one. Prints Markdown.
 */
import os from "node:os";
import { patchOf } from "../dist/config/changes.js";
import { receive } from "../dist/config/config-message.js";
import { LiveSnapshot } from "../dist/config/snapshot.js";
import { ClusterCompiler } from "../dist/controller/cluster-compiler.js";
import { ClusterState } from "../dist/model/cluster-state.js";
import { refOf } from "../dist/model/objects.js";
import { MeshRouteTable } from "../dist/proxy/router/route-table.js";
import { clusterOf, MESH_NAMESPACE, podOf, sliceOf, splitOf, targetOf } from "./generated-cluster.mjs";
import { markdown, mebibytes, median, number } from "./report.mjs";

const SIZES = [100, 1_000, 10_000];
const ROUNDS = 15;
const OPTIONS = {
  namespace: MESH_NAMESPACE,
  accessControl: "on",
  defaultTrafficType: "http",
  watchNamespaces: [],
  ignoreNamespaces: [],
  meshDomains: ["traefik.mesh"],
};
const CLOCK = { now: () => performance.now(), wall: () => Date.now(), after: () => ({ cancel() {} }) };
const LOG = { debug() {}, info() {}, warn() {}, error() {} };

/** What one thing does that changes; `round` makes each change another one. */
const CHANGES = {
  "an endpoint's readiness": (round) => [sliceOf(5 + 10 * (round % 9), 1 + (round % 2))],
  "a Pod's address": (round) => [{ ...podOf(5 + 10 * (round % 9), 1), ips: [`10.255.0.${round}`] }],
  "a split's weights": (round) => [splitOf(10 * (round % 9), 10 + round)],
  "a target's routes": (round) => [targetOf(5 * (round % 9), [round % 2 === 0 ? "write" : "read"])],
};

class Stopwatch {
  /** Milliseconds by step. */
  steps = {};
  #at = performance.now();

  lap(step) {
    const now = performance.now();
    this.steps[step] = now - this.#at;
    this.#at = performance.now();
  }
}

class Pipeline {
  #state;
  #compiler = new ClusterCompiler(OPTIONS);
  #snapshot;
  #received;
  #table = new MeshRouteTable({ clock: CLOCK, random: Math.random, log: LOG, node: "node-1" });
  bytes = 0;

  constructor(objects) {
    this.#state = ClusterState.of(objects);
  }

  /** The first configuration, to a proxy that has none. */
  start() {
    const refs = [...this.#state.all()].map(refOf);
    const watch = new Stopwatch();
    const { config } = this.#compiler.update(this.#state, refs);
    watch.lap("compile");
    this.#snapshot = new LiveSnapshot(config);
    const { version } = this.#snapshot;
    watch.lap("version");
    this.#send({ type: "full", sequence: 1, version, config }, watch);
    return watch.steps;
  }

  /** From one change of the objects to what a proxy has in force. */
  change(put) {
    this.#state.apply({ put, remove: [] });
    const from = this.#snapshot.version;
    const watch = new Stopwatch();
    const { config, changes } = this.#compiler.update(this.#state, put.map(refOf));
    watch.lap("compile");
    this.#snapshot.noteChanges(changes);
    const { version } = this.#snapshot;
    watch.lap("version");
    this.#send({ type: "delta", sequence: 2, from, version, patch: patchOf(changes, config) }, watch);
    return watch.steps;
  }

  #send(message, watch) {
    const line = JSON.stringify(message);
    this.bytes = line.length;
    watch.lap("delta");
    const received = receive(JSON.parse(line), this.#received);
    if (received.error !== undefined) throw new Error(received.error);
    this.#received = received.snapshot;
    watch.lap("receive");
    this.#table.apply(received.snapshot.config, received.changes);
    watch.lap("tables");
  }
}

const STEPS = ["compile", "version", "delta", "receive", "tables"];

function medians(runs) {
  return Object.fromEntries(STEPS.map((step) => [step, median(runs.map((steps) => steps[step]))]));
}

function rowOf(services, what, steps, bytes) {
  const controller = steps.compile + steps.version + steps.delta;
  const proxy = steps.receive + steps.tables;
  const figures = [...STEPS.map((step) => steps[step]), controller, proxy].map((ms) => number(ms, 2));
  return [number(services), what, ...figures, number(bytes)];
}

function measure(services) {
  const heapBefore = usedHeap();
  const pipeline = new Pipeline(clusterOf(services));
  const rows = [rowOf(services, "the first", pipeline.start(), pipeline.bytes)];
  for (const [what, changed] of Object.entries(CHANGES)) {
    const runs = [];
    for (let round = 0; round < ROUNDS; round++) runs.push(pipeline.change(changed(round + 1)));
    rows.push(rowOf(services, what, medians(runs), pipeline.bytes));
  }
  return { rows, heap: usedHeap() - heapBefore };
}

function usedHeap() {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

const measured = [];
// The first of them warms the code up, and is measured again.
for (const services of [SIZES[0], ...SIZES]) measured.push({ services, ...measure(services) });
measured.shift();
const titles = [
  "Services",
  "change",
  "compile",
  "version",
  "delta",
  "receive",
  "tables",
  "controller",
  "proxy",
  "bytes",
];
console.log(`Node.js ${process.version}, ${os.cpus()[0]?.model ?? "unknown processor"}; milliseconds.\n`);
console.log(
  markdown(
    titles,
    measured.flatMap(({ rows }) => rows),
  ),
);
for (const { services, heap } of measured)
  console.log(`\n${number(services)} Services: ${mebibytes(heap)} MiB of heap for objects, controller and one proxy.`);
