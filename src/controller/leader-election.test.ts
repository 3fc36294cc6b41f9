import { afterEach, expect, test } from "vitest";
import { ApiError } from "../kube/api-error.ts";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import { silentLog } from "../telemetry/log.ts";
import { LeaderElection } from "./leader-election.ts";
import { FakeApi } from "./testkit/fake-api.ts";

const LEASE = "/apis/coordination.k8s.io/v1/namespaces/mesh/leases/lease";
const running: { stop: () => Promise<void> }[] = [];
afterEach(async () => {
  for (const each of running.splice(0)) await each.stop();
});

function replica(api: FakeApi, clock: ManualClock, identity: string, lastWrite: Promise<void> = Promise.resolve()) {
  const controller = new AbortController();
  const leading: boolean[] = [];
  const election = new LeaderElection({
    api,
    namespace: "mesh",
    lease: "lease",
    identity,
    clock,
    random: () => 0.5,
    log: silentLog,
    signal: controller.signal,
    onLead: async (signal) => {
      leading.push(true);
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      leading.push(false);
      await lastWrite;
    },
  });
  const run = election.run();
  const stop = async () => {
    controller.abort();
    await run;
  };
  running.push({ stop });
  return { election, leading, stop };
}

const holder = (api: FakeApi) => (api.objects.get(LEASE)?.["spec"] as { holderIdentity?: string })?.holderIdentity;

async function pass(clock: ManualClock, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 250) {
    clock.advance(250);
    for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
}

test("of two replicas one leads, and goes on", async () => {
  const [api, clock] = [new FakeApi(), new ManualClock()];
  const [a, b] = [replica(api, clock, "a"), replica(api, clock, "b")];
  await pass(clock, 60_000);
  expect([a.leading, b.leading].filter((each) => each.length > 0)).toEqual([[true]]);
  expect(a.election.holder).toBe(b.election.holder);
});

test("a leader that ends gives the lease up, and the other leads within seconds", async () => {
  const [api, clock] = [new FakeApi(), new ManualClock()];
  const a = replica(api, clock, "a");
  await pass(clock, 1000);
  const b = replica(api, clock, "b");
  await pass(clock, 1000);
  await a.stop();
  expect(a.leading).toEqual([true, false]);
  expect(holder(api)).toBe("");
  await pass(clock, 5000);
  expect(b.leading).toEqual([true]);
});

test("a leader that vanished is followed when its lease was seen not to change for its whole length", async () => {
  const [api, clock] = [new FakeApi(), new ManualClock()];
  api.put(LEASE.slice(0, LEASE.lastIndexOf("/")), {
    metadata: { name: "lease" },
    // A clock that is an hour ahead says nothing.
    spec: { holderIdentity: "gone", leaseDurationSeconds: 15, renewTime: "2999-01-01T00:00:00.000000Z" },
  });
  const b = replica(api, clock, "b");
  await pass(clock, 14_000);
  expect(b.leading).toEqual([]);
  await pass(clock, 5_000);
  expect(b.leading).toEqual([true]);
});

test("a leader that cannot renew stops before another may start", async () => {
  const [api, clock] = [new FakeApi(), new ManualClock()];
  const a = replica(api, clock, "a");
  await pass(clock, 1000);
  expect(a.leading).toEqual([true]);
  api.refuse = () => {
    throw new ApiError("away", 0);
  };
  await pass(clock, 14_000);
  expect(a.leading).toEqual([true, false]);
  api.refuse = () => {};
  await pass(clock, 20_000);
  expect(a.leading).toEqual([true, false, true]);
});

test("a leader whose lease another took stops at its next renewal", async () => {
  const [api, clock] = [new FakeApi(), new ManualClock()];
  const a = replica(api, clock, "a");
  await pass(clock, 1000);
  await api.request("PATCH", LEASE, { body: { spec: { holderIdentity: "thief" } } });
  await pass(clock, 6000);
  expect(a.leading).toEqual([true, false]);
});

test("a leader whose requests get no answer stops before another may start", async () => {
  const [api, clock] = [new FakeApi(), new ManualClock()];
  const a = replica(api, clock, "a");
  await pass(clock, 1000);
  const request = api.request;
  api.request = (method, path, { signal } = {}) =>
    new Promise((_, reject) => {
      signal?.addEventListener("abort", () => reject(new ApiError(`${method} ${path}: given up`)), { once: true });
    });
  await pass(clock, 8_000);
  expect(a.leading).toEqual([true]);
  await pass(clock, 2_000);
  expect(a.leading).toEqual([true, false]);
  api.request = request;
});

test("a leader that takes long to end leaves the lease to whom it has gone to", async () => {
  const [api, clock] = [new FakeApi(), new ManualClock()];
  let finish = () => {};
  const a = replica(
    api,
    clock,
    "a",
    new Promise((resolve) => {
      finish = resolve;
    }),
  );
  await pass(clock, 1000);
  const b = replica(api, clock, "b");
  await pass(clock, 1000);
  const stopped = a.stop();
  await pass(clock, 25_000);
  expect(holder(api)).toBe("b");
  finish();
  await stopped;
  expect(holder(api)).toBe("b");
  expect(b.leading).toEqual([true]);
});

test("a lease that somebody takes in the very moment in which it is given up stays taken", async () => {
  const [api, clock] = [new FakeApi(), new ManualClock()];
  const a = replica(api, clock, "a");
  await pass(clock, 1000);
  api.refuse = (method, path, body) => {
    if (method !== "PATCH" || JSON.stringify(body).includes("thief")) return;
    api.refuse = () => {};
    const lease = structuredClone(api.objects.get(path)) as unknown as { metadata: { name: string } };
    api.put(path.slice(0, path.lastIndexOf("/")), { ...lease, spec: { holderIdentity: "thief" } });
  };
  await a.stop();
  expect(holder(api)).toBe("thief");
});
