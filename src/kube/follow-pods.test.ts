import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../model/clock.ts";
import { silentLog } from "../telemetry/log.ts";
import { ApiClient } from "./api-client.ts";
import { followPods } from "./follow-pods.ts";
import { HurriedClock } from "./testkit/hurried-clock.ts";
import { answer, ScriptedApiServer } from "./testkit/scripted-api-server.ts";

const PODS = "/api/v1/namespaces/tulle/pods";
const pod = (name: string, phase: string, more = {}) => ({
  metadata: { name, namespace: "tulle", ...more },
  status: { phase },
});

let server: ScriptedApiServer;
let api: ApiClient;
let controller: AbortController;
beforeEach(async () => {
  server = await ScriptedApiServer.start();
  api = new ApiClient({ access: server.access(), clock: systemClock, log: silentLog, userAgent: "test" });
  controller = new AbortController();
});
afterEach(async () => {
  controller.abort();
  api.close();
  await server.close();
});

function follow(onChange: (pods: ReadonlySet<string>) => void): Promise<void> {
  const { signal } = controller;
  const common = { api, namespace: "tulle", labelSelector: "a=b", random: Math.random, log: silentLog };
  return followPods({ ...common, clock: new HurriedClock(), signal, onChange });
}

test("those that run are told, and each that comes or goes", async () => {
  server.put(PODS, pod("a", "Running"));
  server.put(PODS, pod("b", "Pending"));
  let names: readonly string[] = [];
  let wake = () => {};
  const ended = follow((pods) => {
    names = [...pods].sort();
    wake();
  });
  const until = async (...wanted: string[]) => {
    while (names.join() !== wanted.join())
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
  };
  await until("a");
  server.put(PODS, pod("b", "Running"));
  await until("a", "b");
  server.put(PODS, pod("a", "Running", { deletionTimestamp: "2026-11-25T00:00:00Z" }));
  await until("b");
  server.remove(PODS, "tulle/b");
  await until();
  expect(server.exchanges.every(({ query }) => query.get("labelSelector") === "a=b")).toBe(true);
  controller.abort();
  await ended;
});

test("that there is none is told too", async () => {
  const told = new Promise<ReadonlySet<string>>((resolve) => void follow(resolve));
  expect((await told).size).toBe(0);
});

test("who may not list them is told so at once", async () => {
  server.script(answer(403, { message: "pods is forbidden" }), ({ path }) => path === PODS);
  await expect(follow(() => {})).rejects.toThrow("pods is forbidden");
});
