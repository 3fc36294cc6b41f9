import fc from "fast-check";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { type Clock, systemClock } from "../model/clock.ts";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import { silentLog } from "../telemetry/log.ts";
import { ApiClient } from "./api-client.ts";
import { Reflector, type ReflectorOptions, type ReflectorStatus, type Resource } from "./reflector.ts";
import { HurriedClock } from "./testkit/hurried-clock.ts";
import {
  answer,
  cut,
  cutWithinAnswer,
  type Exchange,
  type Fault,
  halfJson,
  ScriptedApiServer,
} from "./testkit/scripted-api-server.ts";

const PODS = "/api/v1/pods";
const RESOURCE: Resource = { path: PODS, apiVersion: "v1", kind: "Pod" };
const isWatch = ({ watch }: Exchange) => watch;
const isList = ({ watch, path }: Exchange) => !watch && path === PODS;
const pod = (name: string) => ({ metadata: { name, namespace: "x" } });

let server: ScriptedApiServer;

beforeEach(async () => {
  server = await ScriptedApiServer.start();
  onTestFinished(() => server.close());
});

interface Mirror {
  readonly reflector: Reflector;
  /** Version by key, as the changes that were reported make it. */
  readonly contents: Map<string, string>;
  /** Keys put and removed, a line each, in order. */
  readonly log: string[];
  readonly statuses: ReflectorStatus[];
  absences: number;
  readonly ended: Promise<void>;
  stop(): void;
  /** Resolves once the mirror holds what the server holds, and watches. */
  upToDate(): Promise<void>;
  /** Resolves once that is so. */
  until(fits: () => boolean): Promise<void>;
}

function mirror(clock: Clock = new HurriedClock(), options: Partial<ReflectorOptions> = {}): Mirror {
  const api = new ApiClient({ access: server.access(), clock: systemClock, log: silentLog, userAgent: "test" });
  const controller = new AbortController();
  onTestFinished(() => {
    controller.abort();
    api.close();
  });
  const contents = new Map<string, string>();
  const log: string[] = [];
  const statuses: ReflectorStatus[] = [];
  const waiting = new Set<{ fits: () => boolean; resolve: () => void }>();
  const changed = () => {
    for (const each of waiting) if (each.fits() && waiting.delete(each)) each.resolve();
  };
  const reflector = new Reflector({
    api,
    resource: RESOURCE,
    clock,
    random: () => 0.5,
    log: silentLog,
    signal: controller.signal,
    onChange: ({ put, remove }) => {
      for (const { namespace, name } of remove) {
        contents.delete(`${namespace}/${name}`);
        log.push(`- ${name}`);
      }
      for (const { metadata } of put) {
        contents.set(`${metadata.namespace}/${metadata.name}`, metadata.resourceVersion);
        log.push(`+ ${metadata.name}`);
      }
      changed();
    },
    onStatus: (status) => {
      statuses.push(status);
      changed();
    },
    ...options,
  });
  const ended = reflector.run();
  const until = (fits: () => boolean) =>
    new Promise<void>((resolve) => {
      if (fits()) resolve();
      else waiting.add({ fits, resolve });
    });
  const same = () => {
    const wanted = server.contents(PODS);
    return wanted.size === contents.size && [...wanted].every(([key, version]) => contents.get(key) === version);
  };
  return {
    reflector,
    contents,
    log,
    statuses,
    absences: 0,
    ended,
    stop: () => controller.abort(),
    until,
    upToDate: () => until(() => reflector.status.synced && reflector.status.watching && same()),
  };
}

const lists = () => server.exchanges.filter(isList).length;
const watches = () => server.exchanges.filter(isWatch);

test("what is there is listed, and what happens after that is watched", async () => {
  server.put(PODS, pod("a"));
  const { log, upToDate, until } = mirror();
  await upToDate();
  server.put(PODS, pod("b"));
  server.put(PODS, pod("a"));
  server.remove(PODS, "x/b");
  await until(() => log.length === 4);
  expect(log).toEqual(["+ a", "+ b", "+ a", "- b"]);
  expect(watches()[0]?.query.get("allowWatchBookmarks")).toBe("true");
});

test("objects of a list and of a watch have version and kind", async () => {
  server.put(PODS, pod("a"));
  const seen: unknown[] = [];
  const { upToDate } = mirror(new HurriedClock(), {
    onChange: ({ put }) => seen.push(...put.map(({ apiVersion, kind }) => `${apiVersion} ${kind}`)),
  });
  await expect.poll(() => seen.length).toBe(1);
  await expect.poll(() => watches().length).toBe(1);
  server.put(PODS, pod("b"));
  await expect.poll(() => seen).toEqual(["v1 Pod", "v1 Pod"]);
  expect(upToDate).toBeDefined();
});

test("lists come in pages, and an object is in the mirror once", async () => {
  for (let index = 0; index < 1201; index++) server.put(PODS, pod(`p${index}`));
  const { contents, upToDate } = mirror();
  await upToDate();
  expect(contents.size).toBe(1201);
  expect(server.exchanges.filter(isList).map(({ query }) => query.get("limit"))).toEqual(["500", "500", "500"]);
});

test("pages that grow old while they are read are read anew", async () => {
  for (let index = 0; index < 600; index++) server.put(PODS, pod(`p${index}`));
  server.script(
    (exchange) => {
      server.compact();
      exchange.serve();
    },
    ({ query }) => query.has("continue"),
  );
  const { contents, upToDate } = mirror();
  await upToDate();
  expect(contents.size).toBe(600);
});

test("a list without items is an empty one", async () => {
  server.script(answer(200, { metadata: { resourceVersion: "100" }, items: null }));
  const { contents, upToDate } = mirror();
  await upToDate();
  expect(contents.size).toBe(0);
});

test("a watch that ends is taken up where it was, without another list", async () => {
  const { upToDate, log } = mirror();
  await upToDate();
  server.put(PODS, pod("a"));
  await upToDate();
  server.endWatches(PODS);
  await expect.poll(() => watches().length).toBe(2);
  server.put(PODS, pod("b"));
  await upToDate();
  expect(lists()).toBe(1);
  expect(log).toEqual(["+ a", "+ b"]);
  expect(watches()[1]?.query.get("resourceVersion")).toBe("101");
});

test("a bookmark moves the place where a watch is taken up", async () => {
  const { upToDate } = mirror();
  await upToDate();
  for (let index = 0; index < 3; index++) server.put("/api/v1/services", pod(`other${index}`));
  server.bookmark(PODS);
  server.endWatches(PODS);
  await expect.poll(() => watches().length).toBe(2);
  expect(watches()[1]?.query.get("resourceVersion")).toBe("103");
});

test("a watch that was away for too long is listed anew, and what is missing then is removed", async () => {
  for (const name of ["stays", "goes"]) server.put(PODS, pod(name));
  const { upToDate, log, until } = mirror();
  await upToDate();
  server.script((exchange) => {
    server.remove(PODS, "x/goes");
    server.put(PODS, pod("comes"));
    server.compact();
    exchange.serve();
  }, isWatch);
  server.resetWatches(PODS);
  await until(() => log.includes("+ comes"));
  expect(log).toEqual(["+ stays", "+ goes", "- goes", "+ comes"]);
  await upToDate();
});

test("410 instead of a watch is the same", async () => {
  const { upToDate } = mirror();
  await upToDate();
  server.script(answer(410, { reason: "Gone", message: "too old" }), isWatch);
  server.resetWatches(PODS);
  await expect.poll(lists).toBe(2);
  await upToDate();
});

test.each<[string, Fault]>([
  ["a list that is refused", answer(500, { message: "etcd is away" })],
  ["a list that is cut off before its answer", cut],
  ["a list that is cut off within its answer", cutWithinAnswer],
  ["a list that ends in half an object", halfJson],
  ["a page of a proxy on the way", answer(200, "<html>Log in</html>")],
  ["a list without version", answer(200, { items: [] })],
  ["a denial of access", answer(403, { reason: "Forbidden", message: "cannot list pods" })],
  ["credentials that are no longer good", answer(401, { reason: "Unauthorized", message: "Unauthorized" })],
])("%s changes nothing of the mirror, is told, and tried again", async (_, fault) => {
  server.put(PODS, pod("a"));
  server.script(fault, isList);
  const { contents, statuses, upToDate } = mirror();
  await upToDate();
  expect(contents.size).toBe(1);
  expect(statuses.some(({ error, synced }) => error !== "" && !synced)).toBe(true);
  expect(statuses.at(-1)?.error).toBe("");
});

test("a server that asks for a pause gets it", async () => {
  const clock = new ManualClock();
  server.script(answer(429, { message: "slow down" }, { "retry-after": "17" }));
  const { until, statuses, upToDate } = mirror(clock);
  await until(() => statuses.some(({ error }) => error.includes("429")));
  clock.advance(16_999);
  // A request that were under way would be in before this one is answered.
  await fetchOnce();
  expect(lists()).toBe(1);
  clock.advance(1);
  await upToDate();
});

test("tries grow rarer, up to one in ten seconds, and frequent again after a success", async () => {
  const clock = new ManualClock();
  const { until, statuses } = mirror(clock);
  await until(() => statuses.at(-1)?.watching === true);
  const failed = (count: number) => until(() => statuses.filter(({ error }) => error !== "").length === count);
  // Half the chance: a quarter is taken off of 200, 400, … 10,000 ms.
  const delays = [150, 300, 600, 1200, 2400, 4800, 7500, 7500];
  for (let turn = 1; turn < delays.length; turn++) server.script(answer(503, { message: "starting" }), isWatch);
  server.resetWatches(PODS);
  for (const [turn, delay] of delays.entries()) {
    await failed(turn + 1);
    const before = watches().length;
    clock.advance(delay - 1);
    await fetchOnce();
    expect(watches()).toHaveLength(before);
    const came = server.next(isWatch);
    clock.advance(1);
    await came;
  }
  await until(() => statuses.at(-1)?.watching === true);
  server.put(PODS, pod("a"));
  await fetchOnce();
  server.resetWatches(PODS);
  await failed(delays.length + 1);
  const came = server.next(isWatch);
  clock.advance(150);
  await came;
});

test("a watch that ends at once, each time, is not taken up at once", async () => {
  const clock = new ManualClock();
  const { until, statuses } = mirror(clock);
  server.script((exchange) => {
    exchange.stream.respond({ ":status": 200 });
    exchange.stream.end();
  }, isWatch);
  await until(() => statuses.at(-1)?.error === `watch ${PODS}: ended at once`);
  await fetchOnce();
  expect(watches()).toHaveLength(1);
  clock.advance(10_000);
  await until(() => statuses.at(-1)?.watching === true);
});

test("an event that comes twice is told once", async () => {
  const { upToDate, log } = mirror();
  await upToDate();
  server.put(PODS, pod("a"));
  server.put(PODS, pod("b"));
  server.repeat(PODS, [1, 0, 0]);
  server.put(PODS, pod("c"));
  await upToDate();
  expect(log).toEqual(["+ a", "+ b", "+ c"]);
});

test("an object that was deleted does not come back by an event that comes once more", async () => {
  const { upToDate, contents } = mirror();
  await upToDate();
  server.put(PODS, pod("a"));
  server.remove(PODS, "x/a");
  server.repeat(PODS, [1]);
  server.put(PODS, pod("b"));
  await upToDate();
  expect([...contents.keys()]).toEqual(["x/b"]);
});

test("a list by a server that lags behind is not taken, until it is clear that there is no other", async () => {
  server.put(PODS, pod("a"));
  const { upToDate, log, until } = mirror();
  await upToDate();
  const stale = answer(200, { metadata: { resourceVersion: "50" }, items: [] });
  server.script(answer(410, { reason: "Expired", message: "" }), isWatch);
  server.script(stale, isList);
  server.script(stale, isList);
  server.resetWatches(PODS);
  await expect.poll(lists).toBe(4);
  await upToDate();
  expect(log).toEqual(["+ a"]);
  // A server that was restored from a backup.
  server.script(answer(410, { reason: "Expired", message: "" }), isWatch);
  for (let turn = 0; turn < 3; turn++) server.script(stale, isList);
  server.resetWatches(PODS);
  await until(() => log.includes("- a"));
});

test("a resource that is not served, twice, is reported as absent, with all its objects removed", async () => {
  server.put(PODS, pod("a"));
  const clock = new ManualClock();
  let absences = 0;
  const { upToDate, until, log, statuses } = mirror(clock, { onAbsent: () => absences++ });
  await upToDate();
  const missing = answer(404, { reason: "NotFound", message: "not found" });
  for (let turn = 0; turn < 2; turn++) server.script(missing, isWatch);
  server.resetWatches(PODS);
  await until(() => statuses.at(-1)?.error !== "");
  clock.advance(10_000);
  await until(() => statuses.at(-1)?.error.includes("404") === true);
  expect([absences, log]).toEqual([0, ["+ a"]]);
  clock.advance(10_000);
  await until(() => log.includes("- a"));
  expect(absences).toBe(1);
});

test("a resource that every cluster has is kept when a server denies it", async () => {
  server.put(PODS, pod("a"));
  const { upToDate, log } = mirror();
  await upToDate();
  for (let turn = 0; turn < 4; turn++) server.script(answer(404, { message: "not found" }), isWatch);
  server.resetWatches(PODS);
  await expect.poll(() => watches().length).toBe(6);
  await upToDate();
  expect(log).toEqual(["+ a"]);
});

test("it ends when it is told to, whatever it is doing", async () => {
  const first = mirror();
  await first.upToDate();
  first.stop();
  await first.ended;
  server.script(answer(503, ""), isList);
  const second = mirror(new ManualClock());
  await second.until(() => second.statuses.length > 0);
  second.stop();
  await second.ended;
});

type Step =
  | { readonly do: "put" | "remove"; readonly name: string }
  | { readonly do: "fault"; readonly fault: number }
  | { readonly do: "repeat"; readonly backwards: readonly number[] }
  | { readonly do: "compact" | "bookmark" | "end" | "reset" | "go away" | "cut" | "breathe" };

const FAULTS: readonly Fault[] = [
  answer(500, ""),
  answer(404, { reason: "NotFound" }),
  answer(410, { reason: "Expired" }),
  answer(429, "", { "retry-after": "1" }),
  answer(200, "<html>"),
  answer(200, { metadata: { resourceVersion: "3" }, items: [] }),
  cut,
  cutWithinAnswer,
  halfJson,
  ({ stream }) => {
    stream.respond({ ":status": 200 });
    stream.end('{"type":"ERROR","object":{"code":410}}\n');
  },
];

const STEP: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("put" as const), name: fc.constantFrom(..."abcdef") }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("remove" as const), name: fc.constantFrom(..."abcdef") }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("fault" as const), fault: fc.nat(FAULTS.length - 1) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("repeat" as const),
      backwards: fc.array(fc.nat(5), { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom("compact", "bookmark", "end", "reset", "go away", "cut", "breathe", "breathe"),
    }) as fc.Arbitrary<Step>,
  },
);

async function perform(step: Step): Promise<void> {
  if (step.do === "put") server.put(PODS, pod(step.name));
  else if (step.do === "remove") server.remove(PODS, `x/${step.name}`);
  else if (step.do === "fault") server.script(FAULTS[step.fault] as Fault);
  else if (step.do === "repeat") server.repeat(PODS, step.backwards);
  else if (step.do === "compact") server.compact();
  else if (step.do === "bookmark") server.bookmark(PODS);
  else if (step.do === "end") server.endWatches(PODS);
  else if (step.do === "reset") server.resetWatches(PODS);
  else if (step.do === "go away") server.goAway();
  else if (step.do === "cut") server.cutConnections();
  else for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
}

test("whatever happens on the way, in the end the mirror holds what the server holds", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(STEP, { minLength: 5, maxLength: 40 }), async (steps) => {
      const { upToDate, stop, ended } = mirror();
      for (const step of steps) await perform(step);
      server.heal();
      // Of a script's last event nothing more may come: the next real one, or the next watch, sets it right.
      server.put(PODS, pod("last"));
      server.endWatches(PODS);
      await upToDate();
      stop();
      await ended;
    }),
    { numRuns: 60 },
  );
}, 30_000);

/** A request of its own, answered after all that came before it. */
async function fetchOnce(): Promise<void> {
  const api = new ApiClient({ access: server.access(), clock: systemClock, log: silentLog, userAgent: "test" });
  await api.request("GET", "/apis");
  api.close();
}
