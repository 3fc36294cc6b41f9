import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { ClusterState } from "../model/cluster-state.ts";
import { decodeObject } from "../model/decode/decode-object.ts";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import { NO_COUNTS, type TrafficEdge } from "../traffic/traffic-report.ts";
import type { MetricKind } from "./metric-kinds.ts";
import { MetricsApi } from "./metrics-api.ts";

interface Case {
  readonly objects: readonly unknown[];
  readonly edges: readonly Partial<TrafficEdge>[];
  readonly paths: readonly string[];
}

const CASE = parse(readFileSync(new URL("testdata/shop.in.yaml", import.meta.url), "utf8"), { merge: true }) as Case;
const state = ClusterState.of(CASE.objects.flatMap((raw) => (decodeObject(raw)?.objects ?? []) as never[]));

const padded = (counts: readonly number[] = [], length = 0) => Array.from({ length }, (_, index) => counts[index] ?? 0);
const edges = CASE.edges.map(
  (edge) =>
    ({
      ...NO_COUNTS,
      ...edge,
      exchanges: padded(edge.exchanges, NO_COUNTS.exchanges.length),
      durations: padded(edge.durations, NO_COUNTS.durations.length),
    }) as TrafficEdge,
);

async function select(
  { kind }: MetricKind,
  namespace: string,
  selector: string,
): Promise<ReadonlySet<string> | string> {
  if (selector === ")") return "unable to parse requirement: found ')'";
  expect([kind, namespace]).toEqual(["Deployment", "shop"]);
  return new Set(["shop/web"]);
}

function api() {
  const report = { edges, retired: NO_COUNTS };
  return new MetricsApi({ clock: new ManualClock(), state, recentTraffic: async () => report, select });
}

test("what was counted is told as SMI has it, of every kind and both versions", async () => {
  const metrics = api();
  const answers: Record<string, object> = {};
  for (const path of CASE.paths) {
    const { status, body } = await metrics.answer("GET", path);
    answers[path] = { status, body };
  }
  const text = stringify(answers, { lineWidth: 0, aliasDuplicateObjects: false, flowCollectionPadding: true });
  await expect(text).toMatchFileSnapshot("testdata/shop.out.yaml");
});

test("the versions differ in nothing but their name", async () => {
  const metrics = api();
  for (const path of CASE.paths.filter((each) => each.split("/").length > 4)) {
    const [one, two] = await Promise.all(
      ["v1alpha1", "v1alpha2"].map(async (version) => {
        const { status, body } = await metrics.answer("GET", path.replace(/v1alpha[12]/, version));
        return [status, JSON.stringify(body).replaceAll(version, "")];
      }),
    );
    expect(one, path).toEqual(two);
  }
});

test("nothing can be written", async () => {
  for (const method of ["POST", "PUT", "PATCH", "DELETE"])
    expect((await api().answer(method, "/apis/metrics.smi-spec.io/v1alpha1/pods")).status).toBe(405);
});

test("whatever path is asked for, there is an answer, and proxies that cannot be asked are told of", async () => {
  const failing = new MetricsApi({
    clock: new ManualClock(),
    state,
    recentTraffic: () => Promise.reject(new Error("no proxy answers")),
    select,
  });
  const words = [
    "",
    "apis",
    "metrics.smi-spec.io",
    "v1alpha1",
    "namespaces",
    "pods",
    "shop",
    "edges",
    "trafficsplits",
    "?",
  ];
  const path = fc.array(fc.oneof(fc.constantFrom(...words), fc.string()), { maxLength: 9 });
  await fc.assert(
    fc.asyncProperty(path, async (segments) => {
      const asked = `/apis/metrics.smi-spec.io/${segments.join("/")}`;
      const { status, body } = await api().answer("GET", asked);
      expect([200, 400, 404]).toContain(status);
      expect(JSON.parse(JSON.stringify(body))).toHaveProperty("apiVersion");
      expect([200, 404, 500]).toContain((await failing.answer("GET", asked)).status);
    }),
  );
});
