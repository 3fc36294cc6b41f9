/**
 * Traefik Mesh, as far as another mesh sees of it: its chart needs a Kubernetes before 1.25. Blocks in the Corefile, a
 * shadow service, a Pod in the place of its proxies and one in that of its controller, and what starting its controller
 * and uninstalling it do to the Corefile. It serves the Service whoami/whoami.
 */
import { apply, kubectl } from "./cluster.ts";
import { corefile, setCorefile } from "./dns.ts";

export const ORIGINAL = "traefik-mesh-before";

const THEIR_BLOCKS = /\n?#### Begin (Maesh|Traefik Mesh) Block[\s\S]*?#### End \1 Block\n/g;

const block = (title: string, domain: string) => `
#### Begin ${title} Block
${domain}:53 {
    errors
    rewrite continue {
        name regex ([a-zA-Z0-9-_]*)\\.([a-zv0-9-_]*)\\.${domain} ${ORIGINAL}-{1}-6d61657368-{2}.${ORIGINAL}.svc.cluster.local
        answer name ${ORIGINAL}-([a-zA-Z0-9-_]*)-6d61657368-([a-zA-Z0-9-_]*)\\.${ORIGINAL}\\.svc\\.cluster\\.local {1}.{2}.${domain}
    }
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
${"        "}
        fallthrough in-addr.arpa ip6.arpa
    }
    forward . /etc/resolv.conf
    cache 30
    loop
    reload
    loadbalance
}
#### End ${title} Block
`;

export const THEIR_PROXY = "traefik-mesh-proxy-x";
const THEIR_CONTROLLER = "traefik-mesh-controller-x";
const labels = { app: "maesh" };

function pod(name: string, more: object): object {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: ORIGINAL, labels: { ...labels, ...more } },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [{ name: "main", image: "traefik/whoami:v1.6.0", imagePullPolicy: "IfNotPresent" }],
    },
  };
}

function service(name: string, more: object, selector: object): object {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: ORIGINAL, labels: { ...labels, ...more } },
    spec: { selector, ports: [{ name: "whoami", port: 80, targetPort: 80 }] },
  };
}

/** With cluster DNS leading to it. */
export async function startOriginal(): Promise<void> {
  const items = [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: ORIGINAL } },
    pod(THEIR_PROXY, { component: "maesh-mesh" }),
    pod(THEIR_CONTROLLER, { component: "controller" }),
    service("traefik-mesh-controller", {}, { component: "controller" }),
    service(`${ORIGINAL}-whoami-6d61657368-whoami`, { type: "shadow" }, { component: "maesh-mesh" }),
  ];
  await apply(JSON.stringify({ apiVersion: "v1", kind: "List", items }));
  await kubectl("-n", ORIGINAL, "wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s");
  await prepareOriginal();
}

/** What its controller does whenever it starts. */
export async function prepareOriginal(): Promise<void> {
  const others = (await corefile()).replace(THEIR_BLOCKS, "");
  await setCorefile(others + block("Maesh", "maesh") + block("Traefik Mesh", "traefik.mesh"));
  await restartDns();
}

/** `kubectl scale deployment traefik-mesh-controller --replicas=0` */
export async function stopOriginalController(): Promise<void> {
  await kubectl("-n", ORIGINAL, "delete", "pod", THEIR_CONTROLLER, "--wait=true");
}

/** `helm uninstall`, and its cleanup job. */
export async function uninstallOriginal(): Promise<void> {
  await kubectl("-n", ORIGINAL, "delete", "service", "traefik-mesh-controller");
  await kubectl("-n", ORIGINAL, "delete", "pod", "--all", "--wait=true");
  await kubectl("-n", ORIGINAL, "delete", "service", "-l", "app=maesh,type=shadow");
  await setCorefile((await corefile()).replace(THEIR_BLOCKS, ""));
  await restartDns();
  await kubectl("delete", "namespace", ORIGINAL, "--wait=false");
}

async function restartDns(): Promise<void> {
  await kubectl("-n", "kube-system", "rollout", "restart", "deployment/coredns");
  await kubectl("-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=90s");
}
