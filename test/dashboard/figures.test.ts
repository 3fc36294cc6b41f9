/** What the dashboard reckons before it draws. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { amount, duration, percent, rate } from "../../dashboard/format.js";
import { edgeSentence, placePills } from "../../dashboard/graph-drawing.js";
import { BOX, layout } from "../../dashboard/graph-layout.js";
import { buildGraph } from "../../dashboard/graph-model.js";
import { MeshIndex } from "../../dashboard/mesh-index.js";
import { parts } from "../../dashboard/problems-view.js";
import { readTapLine } from "../../dashboard/tap-lines.js";
import { BOUNDS_MS, figures, passedOf, quantile, readLook, sum, TrafficWindow } from "../../dashboard/traffic.js";
import { emptyMeshConfig, type ServicePort } from "../../src/config/mesh-config.ts";
import { PROBLEMS, type ProblemCode, problem } from "../../src/model/problems.ts";
import { trafficReport } from "../../src/traffic/testkit/generators.ts";
import { passedBetween } from "../../src/traffic/traffic-look.ts";
import {
  DURATION_BOUNDS_MS,
  differenceOfTraffic,
  NO_COUNTS,
  NO_TRAFFIC,
  sumOfTraffic,
  type TrafficEdge,
  totalTraffic,
} from "../../src/traffic/traffic-report.ts";

const edge = (more: Partial<TrafficEdge> = {}): TrafficEdge => ({
  ...{ ...NO_COUNTS, source: "shop/client", servicePort: "shop/web:80", backend: "shop/web:80", protocol: "http" },
  ...more,
});

const report = (...edges: TrafficEdge[]) => ({ ...NO_TRAFFIC, edges });

/** Of a process that is all the mesh. */
const alone = (more: Partial<TrafficEdge>, at: number) => readLook(report(edge(more)), at);

const answered = (calls: number) => report(edge({ exchanges: [0, 0, calls, 0, 0, 0] }));

/** Of a controller, with the calls that each proxy has counted. */
const byProxy = (calls: Record<string, number>, at: number, { ageMs = 0, missing = 0 } = {}) => {
  const proxies = Object.fromEntries(Object.entries(calls).map(([proxy, count]) => [proxy, answered(count)]));
  return readLook({ ageMs, proxies, missing }, at);
};

describe("traffic", () => {
  test("has the buckets of TrafficReport", () => {
    expect(BOUNDS_MS).toEqual(DURATION_BOUNDS_MS);
  });

  test("is what passed within the window, each second", () => {
    const window = new TrafficWindow();
    window.add(alone({ exchanges: [0, 0, 100, 0, 0, 0] }, 0));
    expect(window.passed()[0]?.calls).toBe(0);
    window.add(alone({ exchanges: [1, 0, 117, 0, 0, 2] }, 4_000));
    expect(figures(sum(window.passed()), window.seconds)).toMatchObject({ perSecond: 5, errorShare: 3 / 20 });
  });

  test("forgets looks that are older than ten seconds, but for the one that the newest is compared with", () => {
    const window = new TrafficWindow();
    for (let at = 0; at <= 60_000; at += 2_000) window.add(alone({ exchanges: [0, 0, at, 0, 0, 0] }, at));
    expect([window.seconds, window.passed()[0]?.calls]).toEqual([10, 10_000]);
  });

  test("of a proxy that began again is all that it counted", () => {
    const window = new TrafficWindow();
    window.add(alone({ exchanges: [0, 0, 100, 0, 0, 0] }, 0));
    window.add(alone({ exchanges: [0, 0, 7, 0, 0, 0] }, 2_000));
    expect(window.passed()[0]?.calls).toBe(7);
  });

  test("of a proxy that missed a look is no burst when it is heard again", () => {
    const window = new TrafficWindow();
    window.add(byProxy({ a: 10 }, 0, { missing: 1 }));
    window.add(byProxy({ a: 12, b: 100_001 }, 1_000));
    expect(figures(sum(window.passed()), window.seconds).perSecond).toBe(2);
    window.add(byProxy({ a: 14 }, 2_000, { missing: 1 }));
    expect(figures(sum(window.passed()), window.seconds).perSecond).toBe(2);
    window.add(byProxy({ a: 16, b: 100_009 }, 3_000));
    window.add(byProxy({ a: 18, b: 100_013 }, 4_000));
    expect(sum(window.passed()).calls).toBe(2 + 2 + 2 + 2 + 4);
  });

  test("of a proxy that is new counts from its second look", () => {
    const window = new TrafficWindow();
    window.add(byProxy({ a: 0 }, 0));
    window.add(byProxy({ a: 1, new: 5_000 }, 2_000));
    expect(sum(window.passed()).calls).toBe(1);
    window.add(byProxy({ a: 2, new: 5_010 }, 4_000));
    expect(sum(window.passed()).calls).toBe(12);
  });

  test("has the edges of a proxy that misses looks, until it is out of the window", () => {
    const window = new TrafficWindow();
    window.add(byProxy({ a: 7 }, 0));
    const counted = [2_000, 4_000, 6_000, 8_000, 10_000, 12_000].map((at) => {
      window.add(byProxy({}, at, { missing: 1 }));
      return window.totals().map(({ calls }) => calls);
    });
    expect(counted).toEqual([[7], [7], [7], [7], [7], []]);
  });

  test("is of the time at which the proxies were asked, and the same look told twice changes nothing", () => {
    const window = new TrafficWindow();
    window.add(byProxy({ a: 0 }, 1_000));
    window.add(byProxy({ a: 8 }, 3_400, { ageMs: 400 }));
    window.add(byProxy({ a: 8 }, 3_450, { ageMs: 450 }));
    expect([window.seconds, sum(window.passed()).calls]).toEqual([2, 8]);
  });

  test("says how many proxies are missing, and that of a mesh in one process none is", () => {
    expect(byProxy({}, 0, { missing: 2 }).missing).toBe(2);
    expect(alone({}, 0).missing).toBe(0);
  });

  test("passes between two looks as the server says, whichever proxies are heard", () => {
    const proxies = fc.dictionary(
      fc.constantFrom("a", "b", "c"),
      fc.record({ earlier: trafficReport, more: trafficReport, looks: fc.constantFrom("both", "first", "second") }),
    );
    fc.assert(
      fc.property(proxies, (all) => {
        const heard = Object.entries(all);
        const first = heard.flatMap(([name, { earlier, looks }]) => (looks === "second" ? [] : [[name, earlier]]));
        const second = heard.flatMap(([name, { earlier, more, looks }]) =>
          looks === "first" ? [] : [[name, sumOfTraffic([earlier, more])]],
        );
        const before = readLook({ ageMs: 0, proxies: Object.fromEntries(first), missing: 0 }, 0);
        const now = readLook({ ageMs: 0, proxies: Object.fromEntries(second), missing: 0 }, 1_000);
        const window = new TrafficWindow();
        window.add(before);
        window.add(now);
        const passed = passedBetween({ atMs: 0, reports: before.reports }, { atMs: 1_000, reports: now.reports });
        const { calls, audited, opened } = sum(window.passed());
        const said = sum((passed?.edges ?? []).map(passedOf));
        expect({ calls, audited, opened }).toEqual({ calls: said.calls, audited: said.audited, opened: said.opened });
      }),
    );
  });

  test("counts a refusal as denied, and not as an error of the endpoint's", () => {
    const denied = edge({ exchanges: [0, 0, 0, 0, 3, 0], failures: { AccessDenied: 2, AmbiguousPath: 1 } });
    expect(passedOf(denied)).toMatchObject({ calls: 3, errors: 0, denied: 3 });
    const flows = edge({ protocol: "tcp", flowsEnded: 5, failures: { AccessDenied: 1, ConnectRefused: 2 } });
    expect(passedOf(flows)).toMatchObject({ calls: 5, errors: 2, denied: 1 });
  });

  test("differs as the server's own reports do", () => {
    const counts = fc.array(fc.nat(50), { minLength: 6, maxLength: 6 });
    fc.assert(
      fc.property(counts, counts, (before, after) => {
        const [old, now] = [report(edge({ exchanges: before })), report(edge({ exchanges: after }))];
        const window = new TrafficWindow();
        window.add(readLook(old, 0));
        window.add(readLook(now, 1_000));
        // The server's looks at each class of status; here their sum is what shows a new beginning.
        fc.pre(after.every((count, index) => count >= (before[index] ?? 0)));
        const all = totalTraffic(differenceOfTraffic(now, old)).exchanges.reduce((left, right) => left + right, 0);
        expect(sum(window.passed()).calls).toBe(all);
      }),
    );
  });

  test("has a p99 within the bucket that holds it", () => {
    const counts = fc.array(fc.nat(1000), { minLength: BOUNDS_MS.length + 1, maxLength: BOUNDS_MS.length + 1 });
    fc.assert(
      fc.property(counts, (durations) => {
        const found = quantile(durations, 0.99);
        const total = durations.reduce((left, right) => left + right, 0);
        if (found === undefined) return expect(total).toBe(0);
        const below = durations.slice(0, BOUNDS_MS.filter((bound) => bound < found).length);
        expect(below.reduce((left, right) => left + right, 0)).toBeLessThanOrEqual(0.99 * total);
      }),
    );
    expect(quantile([0, 0, 100], 0.99)).toBeCloseTo(1 + 1.5 * 0.99);
  });
});

describe("a line of live calls", () => {
  test.each([
    ['{"kind":"http","status":200}', { call: { kind: "http", status: 200 } }],
    ['{"kind":"lost","calls":12}', { lost: 12 }],
    ['{"kind":"lost","calls":"many"}', undefined],
    ['{"kind":"error","status":400,"message":"status: no\\n"}', { status: 400, refusal: "status: no" }],
    ['{"kind":"error","status":503}', { status: 503, refusal: "status 503" }],
    ["null", undefined],
    ["[]", undefined],
    ["status: no", undefined],
  ])("%s is a call only where it is one", (line, expected) => expect(readTapLine(line)).toEqual(expected));

  test("may be anything", () => {
    const said = fc.oneof(
      fc.string(),
      fc.json(),
      fc.record({ kind: fc.constantFrom("lost", "error"), calls: fc.jsonValue() }),
    );
    fc.assert(
      fc.property(said, (line) => {
        const read = readTapLine(typeof line === "string" ? line : JSON.stringify(line));
        expect(read === undefined || "call" in read || "lost" in read || "refusal" in read).toBe(true);
      }),
    );
  });
});

describe("figures read", () => {
  test.each([
    [rate(0), "0/s"],
    [rate(0.01), "<0.1/s"],
    [rate(12.34), "12/s"],
    [amount(1234), "1.2k"],
    [amount(2_500_000), "2.5M"],
    [percent(0), "0 %"],
    [percent(0.0001), "<0.1 %"],
    [percent(1 / 3), "33 %"],
    [percent(0.05), "5 %"],
    [duration(undefined), "–"],
    [duration(0.01), "<0.1 ms"],
    [duration(0.55), "0.6 ms"],
    [duration(12.4), "12 ms"],
    [duration(1500), "1.5 s"],
  ])("%s", (text, expected) => expect(text).toBe(expected));
});

describe("the layout", () => {
  const shape = fc
    .array(fc.tuple(fc.nat(12), fc.nat(12)), { maxLength: 40 })
    .map((pairs) => pairs.map(([from, to]) => ({ from: `n${from}`, to: `n${to}`, id: `${from} ${to}` })));
  const nodes = Array.from({ length: 13 }, (_, index) => ({ id: `n${index}`, column: index < 3 ? 0 : 1 }));

  test("puts no box over another, whoever calls whom, circles too", () => {
    fc.assert(
      fc.property(shape, (edges) => {
        const places = [...layout(nodes, edges).values()];
        expect(places).toHaveLength(nodes.length);
        for (const [index, a] of places.entries())
          for (const b of places.slice(index + 1))
            expect(a.x === b.x && Math.abs(a.y - b.y) < BOX.height, JSON.stringify([a, b])).toBe(false);
      }),
    );
  });

  test("leads to the right where there is no circle", () => {
    fc.assert(
      fc.property(shape, (all) => {
        const edges = all.filter(({ from, to }) => Number(from.slice(1)) < Number(to.slice(1)));
        const places = layout(nodes, edges);
        for (const { from, to } of edges)
          expect(places.get(from)?.column).toBeLessThan(places.get(to)?.column ?? Number.NaN);
      }),
    );
  });

  test("is the same in whatever order nodes and edges come", () => {
    fc.assert(
      fc.property(shape, (edges) => {
        const sorted = (places: ReturnType<typeof layout>) => [...places].sort(([a], [b]) => (a < b ? -1 : 1));
        const turned = layout([...nodes].reverse(), [...edges].reverse());
        expect(sorted(turned)).toEqual(sorted(layout(nodes, edges)));
      }),
    );
  });

  test("puts no pill over another of the same gap", () => {
    fc.assert(
      fc.property(shape, (pairs) => {
        const unique = [...new Map(pairs.map((each) => [each.id, each])).values()];
        const places = layout(nodes, unique);
        const pills = [...placePills(unique.map(edgeOf), places).values()];
        for (const [index, a] of pills.entries())
          for (const b of pills.slice(index + 1)) expect(a.x === b.x && Math.abs(a.y - b.y) < 20).toBe(false);
      }),
    );
  });

  test("puts no pill over another where many arrows lead past the top", () => {
    const [callers, called] = [10, 20].map((count) => Array.from({ length: count }, (_, index) => index));
    const edges = called?.flatMap((to) => (callers ?? []).map((from) => ({ from: `c${from}`, to: `s${to}` }))) ?? [];
    const all = edges.map(({ from, to }) => edgeOf({ id: `${from} ${to}`, from, to }));
    const ends = [...new Set(edges.flatMap(({ from, to }) => [from, to]))];
    const boxes = ends.map((id) => ({ id, column: id.startsWith("c") ? 0 : 1 }));
    const heights = [...placePills(all, layout(boxes, edges)).values()].map(({ y }) => y).sort((a, b) => a - b);
    expect(heights[0]).toBeGreaterThanOrEqual(0);
    expect(heights.filter((y, index) => y - (heights[index - 1] ?? Number.NEGATIVE_INFINITY) < 20)).toEqual([]);
  });
});

describe("the graph of a mesh that is too big to show", () => {
  const port = (service: string): ServicePort => ({
    ...{ namespace: "shop", service, port: 80, trafficType: "http", scheme: "http", middlewares: {}, endpoints: {} },
  });
  const services = Array.from({ length: 30 }, (_, index) => `s${index}`);
  const servicePorts = Object.fromEntries(services.map((name) => [`shop/${name}:80`, port(name)]));
  const index = new MeshIndex({ ...emptyMeshConfig(), servicePorts });
  const call = (source: string, service: string, calls: number) =>
    passedOf(edge({ source, servicePort: `shop/${service}:80`, exchanges: [0, 0, calls, 0, 0, 0] }));
  const choice = { text: "", namespace: "", troubled: false, limit: 5 };
  const draw = (totals: ReturnType<typeof call>[], more: Partial<typeof choice> = {}, shown: string[] = []) =>
    buildGraph(
      { index, passed: totals, totals, seconds: 1, problems: new Map() },
      { ...choice, ...more },
      new Set(shown),
    );
  const ids = ({ nodes }: ReturnType<typeof draw>) => nodes.map(({ id }) => id).sort();

  test("has the Services with the most calls, and says how many are left out", () => {
    const graph = draw(services.map((name, calls) => call("shop/client", name, calls)));
    const busy = ["s25", "s26", "s27", "s28", "s29"].map((name) => `service:shop/${name}`);
    expect([ids(graph), graph.hidden]).toEqual([["caller:shop/client", ...busy], 25]);
  });

  test("keeps what it shows while another is but a little busier", () => {
    const shown = ["caller:shop/client", "service:shop/s1"];
    const totals = [call("shop/client", "s1", 10), call("shop/client", "s2", 15)];
    expect(ids(draw(totals, { limit: 1 }, shown))).toContain("service:shop/s1");
    expect(ids(draw(totals, { limit: 1 }))).toContain("service:shop/s2");
  });

  test("has no more arrows than can be told apart, however many workloads call a Service", () => {
    const graph = draw(Array.from({ length: 500 }, (_, caller) => call(`shop/c${caller}`, "s1", 1)));
    expect([graph.edges.length, graph.hiddenEdges]).toEqual([15, 485]);
  });

  test("finds a Service by its name, by who calls it, and by its troubles", () => {
    const failing = passedOf(edge({ servicePort: "shop/s7:80", source: "shop/c", exchanges: [0, 0, 0, 0, 0, 1] }));
    const totals = [call("shop/client", "s3", 1), failing];
    expect(ids(draw(totals, { text: "S12" }))).toEqual(["service:shop/s12"]);
    expect(ids(draw(totals, { text: "client" }))).toEqual(["caller:shop/client", "service:shop/s3"]);
    expect(ids(draw(totals, { troubled: true }))).toEqual(["caller:shop/c", "service:shop/s7"]);
    expect(ids(draw(totals, { namespace: "other" }))).toEqual([]);
  });
});

test("who may call a Service is said by the rules for its protocol, Pods and their port, and by no other", () => {
  const endpoints = { "10.0.0.1:8080": { identity: "shop/web" } };
  const web = {
    namespace: "shop",
    service: "web",
    port: 80,
    trafficType: "http",
    scheme: "http",
    middlewares: {},
  } as const;
  const rule = (name: string, destination: string, more: object) => ({
    ...{ origin: { kind: "TrafficTarget", namespace: "shop", name }, destination, sources: [] },
    ...more,
  });
  const every = { http: { matches: [] } };
  const rules = [
    rule("fits", "shop/web", every),
    rule("port", "shop/web", { http: { matches: [], ports: [8080] } }),
    rule("other-port", "shop/web", { http: { matches: [], ports: [80] } }),
    rule("tcp", "shop/web", { tcp: {} }),
    rule("others", "shop/db", every),
  ];
  const accessRules = Object.fromEntries(rules.map((each) => [`shop/${each.origin.name}`, each]));
  const index = new MeshIndex({
    ...emptyMeshConfig(),
    accessRules,
    servicePorts: { "shop/web:80": { ...web, endpoints } },
  });
  const service = index.services.get("shop/web");
  expect(service && index.rulesFor(service).map(({ origin }) => origin.name)).toEqual(["fits", "port"]);
});

const STILL = { perSecond: 0, errorShare: 0, denied: 0, audited: 0, p99Ms: undefined };

function edgeOf({ id, from, to }: { id: string; from: string; to: string }) {
  const rest = { kind: "call" as const, figures: STILL, timed: true, share: undefined, access: "" as const };
  return { id, from, to, ...rest };
}

test("an arrow is said in a sentence, for those who do not see it", () => {
  const call = edgeOf({ id: "1", from: "caller:shop/client", to: "service:shop/web" });
  const denied = { ...call, figures: { ...STILL, perSecond: 2, denied: 1, errorShare: 0.5 } };
  expect(edgeSentence(denied)).toBe("shop/client → shop/web, 2/s, errors 50 %, 1 call denied by access control");
});

test("each problem's message comes apart into what it is, its effect and its remedy", () => {
  const object = { kind: "Service", namespace: "shop", name: "web" };
  for (const [code, { effect, remedy }] of Object.entries(PROBLEMS)) {
    const { message } = problem(code as ProblemCode, object, "", 'value "a: b; c" is wrong');
    const found = parts(message);
    const plain = (text: string) => text.toLowerCase().replace(/\.$/, "");
    expect.soft([plain(found.effect), plain(found.remedy)], code).toEqual([plain(effect), plain(remedy)]);
    expect.soft(found.what, code).toBe('Value "a: b; c" is wrong.');
  }
});
