import { afterAll, beforeAll, expect, test } from "vitest";
import { apply, curl, eventually, fail, getJson, kubectl, netcat, tulle } from "./cluster.ts";
import { setAccessControl } from "./install.ts";

/** A caller of each ServiceAccount on each node. */
const callers: { name: string; node: string; allowed: boolean }[] = [];

beforeAll(async () => {
  const nodes = (await getJson<{ items: { metadata: { name: string } }[] }>("nodes")).items;
  for (const { metadata } of nodes)
    for (const account of ["whoami-client", "whoami-stranger"])
      callers.push({ name: `${account}-${metadata.name}`, node: metadata.name, allowed: account === "whoami-client" });
  await apply(JSON.stringify({ apiVersion: "v1", kind: "List", items: callers.map(callerPod) }));
  await eventually("callers run", 60, async () => {
    for (const { name } of callers) {
      const { status } = await curl("whoami", name, "http://whoami.whoami.svc.cluster.local/");
      if (status !== 200) fail(`${name}: ${status}`);
    }
  });
  await setAccessControl("on");
}, 180_000);

afterAll(() => setAccessControl("off"), 120_000);

function callerPod({ name, node, allowed }: (typeof callers)[number]): object {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "whoami" },
    spec: {
      nodeName: node,
      serviceAccountName: allowed ? "whoami-client" : "whoami-stranger",
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          name: "tools",
          image: "giantswarm/tiny-tools:3.9",
          imagePullPolicy: "IfNotPresent",
          command: ["sleep", "3600"],
        },
      ],
    },
  };
}

test("from every node, the ServiceAccount that a target names is allowed, and others are denied", async () => {
  for (const { name, allowed } of callers) {
    const { status } = await curl("whoami", name, "http://whoami.whoami.traefik.mesh/");
    expect(`${name} ${status}`).toBe(`${name} ${allowed ? 200 : 403}`);
  }
});

test("the path decides where a target names paths", async () => {
  for (const { name, allowed } of callers) {
    const api = await curl("whoami", name, "http://whoami-api.whoami.traefik.mesh/api");
    const metrics = await curl("whoami", name, "http://whoami-api.whoami.traefik.mesh/metrics");
    expect(`${name} ${api.status} ${metrics.status}`).toBe(`${name} ${allowed ? 200 : 403} 403`);
  }
});

test("forged headers change nothing, through a split neither", async () => {
  const [stranger, client] = [callers.find(({ allowed }) => !allowed), callers.find(({ allowed }) => allowed)];
  const address = (await getJson<{ status: { podIP: string } }>("pod", "-n", "whoami", client?.name ?? "")).status
    .podIP;
  for (const host of ["whoami", "whoami-split"]) {
    const forged = [
      "-H",
      `X-Forwarded-For: ${address}`,
      "-H",
      `X-Real-Ip: ${address}`,
      "-H",
      `Forwarded: for=${address}`,
    ];
    const { status } = await curl("whoami", stranger?.name ?? "", `http://${host}.whoami.traefik.mesh/`, ...forged);
    expect(`${host} ${status}`).toBe(`${host} 403`);
  }
});

test("tulle explain says of the cluster what the proxies do, and which object decides", async () => {
  const to = ["--to", "whoami.whoami.traefik.mesh"];
  const allowed = await tulle("explain", "--from", "whoami/whoami-client", ...to);
  expect([allowed.code, allowed.text]).toEqual([0, expect.stringContaining("TrafficTarget whoami/whoami-http")]);
  const denied = await tulle("explain", "--from", "whoami/whoami-stranger", ...to);
  expect([denied.code, denied.text]).toEqual([1, expect.stringContaining("denied")]);
});

test("TCP is open to the allowed ServiceAccount, and reset for others", async () => {
  for (const { name, allowed } of callers) {
    const answer = await netcat("whoami", name, "-q 1 -w 3", "whoami-tcp.whoami.traefik.mesh", 8080);
    expect(`${name} ${answer.includes("Hostname: whoami-tcp")}`).toBe(`${name} ${allowed}`);
  }
});

test("a Pod that has just started is known at its first call", async () => {
  const [first] = callers.filter(({ allowed }) => allowed);
  let known = 0;
  for (let round = 0; round < 5 && known < 3; round++) {
    const name = `newcomer-${round}`;
    const pod = {
      ...(callerPod({ name, node: first?.node ?? "", allowed: true }) as {
        spec: { containers: { command: string[] }[] };
      }),
    };
    const [container] = pod.spec.containers;
    if (container !== undefined)
      container.command = [
        "sh",
        "-c",
        "curl -s -o /dev/null -w '%{http_code}\\n' http://whoami.whoami.traefik.mesh/; sleep 3600",
      ];
    await apply(JSON.stringify(pod));
    const status = await eventually("its first call", 30, async () => {
      const answered = await logs(name);
      return answered === "" ? fail("nothing yet") : answered;
    });
    if (status === "200") known++;
    // Nobody knows an address that the kubelet has told nobody. On a busy machine it may be half a minute late.
    else expect(`${status} ${await addressOf(name)}`).toBe("403 ");
  }
  expect(known).toBe(3);
}, 120_000);

/** As the API server knows it. */
function addressOf(pod: string): Promise<string> {
  return kubectl("-n", "whoami", "get", "pod", pod, "-o", "jsonpath={.status.podIP}");
}

async function logs(pod: string): Promise<string> {
  return (await kubectl("-n", "whoami", "logs", pod).catch(() => "")).trim();
}
