/** SMI's TrafficMetrics, asked for as any user of the cluster asks: through the API server. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { curl, eventually, fail, kubectl } from "./cluster.ts";
import { upgrade } from "./install.ts";

const VERSIONS = ["v1alpha1", "v1alpha2"];
const CALLS = 20;

interface Measured {
  readonly kind: string;
  readonly apiVersion: string;
  readonly window: string;
  readonly resource: object;
  readonly edge: { readonly direction: string; readonly resource: { readonly namespace?: string } };
  readonly metrics: readonly { readonly name: string; readonly value: string }[];
}

const raw = async <T>(path: string): Promise<T> =>
  JSON.parse(await kubectl("get", "--raw", `/apis/metrics.smi-spec.io/${path}`)) as T;

beforeAll(async () => {
  await upgrade(["smi.metrics.enabled=true"]);
  for (const version of VERSIONS)
    await kubectl("wait", "--for=condition=Available", `apiservice/${version}.metrics.smi-spec.io`, "--timeout=60s");
}, 180_000);

afterAll(() => upgrade(["smi.metrics.enabled=false"]), 120_000);

test("kubectl knows the kinds", async () => {
  const { resources } = await raw<{ resources: { name: string }[] }>("v1alpha1");
  expect(resources.map(({ name }) => name)).toContain("deployments");
  expect(await kubectl("api-resources", "--api-group=metrics.smi-spec.io")).toContain("TrafficMetrics");
});

test.each(VERSIONS)(
  "%s tells of a Service what it got in the last half minute, and from whom",
  async (version) => {
    for (let call = 0; call < CALLS; call++)
      await curl("whoami", "whoami-client", "http://whoami.whoami.traefik.mesh/");
    const service = `${version}/namespaces/whoami/services/whoami`;
    const measured = await eventually("the calls are counted", 30, async () => {
      const found = await raw<Measured>(service);
      const success = Number(found.metrics.find(({ name }) => name === "success_count")?.value);
      return success >= CALLS ? found : fail(JSON.stringify(found));
    });
    expect(measured).toMatchObject({
      kind: "TrafficMetrics",
      apiVersion: `metrics.smi-spec.io/${version}`,
      window: "30s",
      resource: { kind: "Service", namespace: "whoami", name: "whoami" },
    });
    // Another replica may be asked, which has not heard yet of what has just passed.
    await eventually("the caller is told", 30, async () => {
      const { items } = await raw<{ items: Measured[] }>(`${service}/edges`);
      const found = items.map(({ edge }) => [edge.direction, edge.resource.namespace]);
      expect(found).toContainEqual(["from", "whoami"]);
    });
  },
  120_000,
);

test("who is not the API server is refused", async () => {
  const url = "https://tulle-controller.tulle.svc.cluster.local:9444/apis";
  expect((await curl("whoami", "whoami-client", url, "-k")).status).toBe(401);
});
