/** Constant load from Pods on every node, and what became of it. */
import { readFileSync } from "node:fs";
import { apply, eventually, fail, getJson, kubectl, podsOf, SETTINGS } from "./cluster.ts";

const NAMESPACE = "load";

export interface LoadTotals {
  readonly sent: number;
  readonly ok: number;
  readonly failed: number;
  readonly slowestMs: number;
  readonly failures: readonly string[];
}

interface Line extends LoadTotals {
  readonly open: number;
  readonly end: boolean;
}

/** Of all Pods, each of which adds to its own. */
export function newFailures(before: LoadTotals, after: LoadTotals): string[] {
  return after.failures.filter((failure) => !before.failures.includes(failure));
}

/** Starts a Pod on each node that calls `target`; together they make `rate` calls a second. */
export async function startLoad(target: string, rate: number): Promise<Load> {
  const nodes = (await getJson<{ items: { metadata: { name: string } }[] }>("nodes")).items.map(
    ({ metadata }) => metadata.name,
  );
  await apply(JSON.stringify({ apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } }));
  const script = readFileSync(new URL("./load.mjs", import.meta.url), "utf8");
  await apply(
    JSON.stringify({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "load", namespace: NAMESPACE },
      data: { "load.mjs": script },
    }),
  );
  for (const node of nodes) await apply(JSON.stringify(loadPod(node, target, rate / nodes.length)));
  const load = new Load();
  await eventually("the load runs", 60, async () => {
    const { ok } = await load.totals();
    if (ok < rate) fail(`${ok} calls so far`);
  });
  return load;
}

function loadPod(node: string, target: string, rate: number): object {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: `load-${node}`, namespace: NAMESPACE, labels: { app: "load" } },
    spec: {
      nodeName: node,
      restartPolicy: "Never",
      terminationGracePeriodSeconds: 30,
      containers: [
        {
          name: "load",
          image: `${SETTINGS.repository}:${SETTINGS.tag}`,
          imagePullPolicy: "IfNotPresent",
          command: ["/usr/bin/node", "/load/load.mjs"],
          env: [
            { name: "TARGET", value: target },
            { name: "RATE", value: String(rate) },
          ],
          volumeMounts: [{ name: "load", mountPath: "/load" }],
        },
      ],
      volumes: [{ name: "load", configMap: { name: "load" } }],
    },
  };
}

export class Load {
  /** So far, of all Pods. */
  async totals(): Promise<LoadTotals> {
    const pods = await podsOf(NAMESPACE, "app=load");
    const lines = await Promise.all(pods.map(({ metadata }) => lastLine(metadata.name)));
    return lines.reduce<LoadTotals>(
      (sum, line) => ({
        sent: sum.sent + line.sent,
        ok: sum.ok + line.ok,
        failed: sum.failed + line.failed,
        slowestMs: Math.max(sum.slowestMs, line.slowestMs),
        failures: [...sum.failures, ...line.failures],
      }),
      { sent: 0, ok: 0, failed: 0, slowestMs: 0, failures: [] },
    );
  }

  /** What is counted while `during` happens, and for some seconds after it. */
  async while(during: () => Promise<void>): Promise<LoadTotals> {
    const before = await this.totals();
    await during();
    await new Promise((resolve) => setTimeout(resolve, 3000));
    const after = await this.totals();
    return {
      sent: after.sent - before.sent,
      ok: after.ok - before.ok,
      failed: after.failed - before.failed,
      slowestMs: after.slowestMs,
      failures: newFailures(before, after),
    };
  }

  async stop(): Promise<void> {
    await kubectl("delete", "namespace", NAMESPACE, "--wait=true");
  }
}

async function lastLine(pod: string): Promise<Line> {
  const text = (await kubectl("-n", NAMESPACE, "logs", pod, "--tail=1").catch(() => "")).trim();
  if (!text.startsWith("{")) return { sent: 0, ok: 0, failed: 0, slowestMs: 0, failures: [], open: 0, end: false };
  return JSON.parse(text) as Line;
}
