import { expect, test } from "vitest";
import { problem } from "../model/problems.ts";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import { silentLog } from "../telemetry/log.ts";
import { EventRecorder } from "./event-recorder.ts";
import { FakeApi } from "./testkit/fake-api.ts";

const SERVICES = "/api/v1/namespaces/shop/services";
const EVENTS = "/api/v1/namespaces/shop/events";

function fixture(services: readonly string[]) {
  const [api, clock] = [new FakeApi(), new ManualClock()];
  for (const name of services) api.put(SERVICES, { metadata: { name, uid: `uid-of-${name}` } });
  const recorder = new EventRecorder({
    api,
    clock,
    log: silentLog,
    instance: "controller-1",
    locate: ({ name }) => ({ path: `${SERVICES}/${name}`, apiVersion: "v1" }),
  });
  const pass = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 1000) {
      clock.advance(1000);
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { api, recorder, pass, events: () => api.list(EVENTS) };
}

const wrong = (name: string) =>
  problem("TrafficTypeInvalid", { kind: "Service", namespace: "shop", name }, "metadata.annotations", "it says ftp");

test("a problem that lasts is told once as an Event on the object, with its uid", async () => {
  const { recorder, pass, events } = fixture(["web"]);
  recorder.update([wrong("web")]);
  await pass(60_000);
  expect(events()).toHaveLength(1);
  expect(events()[0]).toMatchObject({
    involvedObject: { kind: "Service", namespace: "shop", name: "web", uid: "uid-of-web", apiVersion: "v1" },
    reason: "TrafficTypeInvalid",
    type: "Warning",
  });
  expect(events()[0]?.["message"]).toContain("it says ftp");
});

test("a problem that passes by is not told", async () => {
  const { recorder, pass, events } = fixture(["web"]);
  recorder.update([wrong("web")]);
  await pass(3000);
  recorder.update([]);
  await pass(10_000);
  expect(events()).toEqual([]);
});

test("one that is still there after an hour is told again", async () => {
  const { recorder, pass, events } = fixture(["web"]);
  recorder.update([wrong("web")]);
  await pass(3_610_000);
  expect(events()).toHaveLength(2);
});

test("thousands of problems are told a few a second", async () => {
  const names = Array.from({ length: 40 }, (_, index) => `s${index}`);
  const { recorder, pass, events } = fixture(names);
  recorder.update(names.map(wrong));
  await pass(6000);
  expect(events().length).toBeLessThanOrEqual(10);
  await pass(10_000);
  expect(events()).toHaveLength(40);
});

test("an object that is gone by then is no error", async () => {
  const { recorder, pass, events } = fixture([]);
  recorder.update([wrong("web")]);
  await pass(10_000);
  expect(events()).toEqual([]);
});
