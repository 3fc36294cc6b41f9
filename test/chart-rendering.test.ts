/** What Helm makes of the chart, where Helm is installed: the parts that are off by default, each of them on. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";

const CHART = fileURLToPath(new URL("../chart", import.meta.url));
const isInstalled = (program: string, argument: string) => spawnSync(program, [argument]).status === 0;
const hasHelm = isInstalled("helm", "version");
if (!hasHelm) process.stdout.write("helm is not installed: left out\n");

interface Rendered {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: {
    readonly caBundle?: string;
    readonly ingress?: readonly {
      readonly from?: readonly object[];
      readonly ports?: readonly { readonly port: number | string }[];
    }[];
    readonly podSelector?: { readonly matchLabels: Readonly<Record<string, string>> };
    readonly template?: {
      readonly metadata: { readonly labels: Readonly<Record<string, string>> };
      readonly spec: {
        readonly securityContext: Readonly<Record<string, unknown>>;
        readonly containers: readonly {
          readonly securityContext: object;
          readonly resources: object;
          readonly args?: readonly string[];
        }[];
      };
    };
  };
}

const helm = (...args: string[]) => spawnSync("helm", args, { encoding: "utf8" });
const settings = (values: readonly string[]) =>
  ["image.repository=example.com/tulle", ...values].flatMap((value) => ["--set", value]);

function render(...values: string[]): Rendered[] {
  const { status, stdout, stderr } = helm(
    "template",
    "tulle",
    CHART,
    "--namespace=mesh",
    "--kube-version=1.34.0",
    ...settings(values),
  );
  expect([status, stderr]).toEqual([0, ""]);
  return parseAllDocuments(stdout).flatMap((document) => (document.toJSON() as Rendered | null) ?? []);
}

const namesOf = (objects: readonly Rendered[]) => objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`);

const OPTIONS = {
  "metrics.podMonitor.enabled": ["PodMonitor tulle-controller", "PodMonitor tulle-proxy"],
  "metrics.prometheusRule.enabled": ["PrometheusRule tulle"],
  "metrics.dashboards.enabled": ["ConfigMap tulle-dashboards"],
  "metrics.prometheus.enabled": [
    "NetworkPolicy tulle-prometheus",
    "ServiceAccount tulle-prometheus",
    "ConfigMap tulle-prometheus",
    "Role tulle-prometheus",
    "RoleBinding tulle-prometheus",
    "Service tulle-prometheus",
    "Deployment tulle-prometheus",
  ],
  "metrics.grafana.enabled": [
    "NetworkPolicy tulle-grafana",
    "ConfigMap tulle-dashboards",
    "ConfigMap tulle-grafana",
    "Service tulle-grafana",
    "Deployment tulle-grafana",
  ],
  "smi.metrics.enabled": [
    "APIService v1alpha1.metrics.smi-spec.io",
    "APIService v1alpha2.metrics.smi-spec.io",
    "RoleBinding tulle-controller-smi-metrics",
    "ClusterRole tulle-controller-smi-metrics",
    "ClusterRoleBinding tulle-controller-smi-metrics",
    "ClusterRole tulle-smi-metrics-view",
    "ClusterRole tulle-smi-metrics-reader",
  ],
  "tracing.jaeger.enabled": ["NetworkPolicy tulle-jaeger", "Service tulle-jaeger", "Deployment tulle-jaeger"],
};
const ALL = Object.keys(OPTIONS).map((option) => `${option}=true`);

describe.runIf(hasHelm)("the chart", () => {
  test.each(Object.entries(OPTIONS))("with %s makes what that says, and nothing else besides", (option, added) => {
    const before = namesOf(render());
    const after = namesOf(render(`${option}=true`));
    expect(after.filter((name) => !before.includes(name)).sort()).toEqual([...added].sort());
    expect(before.filter((name) => !after.includes(name))).toEqual([]);
  });

  test("with everything on is as Helm would have charts", () => {
    const { status, stdout } = helm("lint", CHART, "--strict", ...settings(ALL));
    expect(status, stdout).toBe(0);
  });

  test("runs everything without root, on a read-only file system, with resources, as a part that the mesh passes over", () => {
    const workloads = [...render(...ALL), ...render("proxy.engine=traefik")].filter(
      ({ kind }) => kind === "Deployment" || kind === "DaemonSet",
    );
    expect(workloads).toHaveLength(7);
    for (const { metadata, spec } of workloads) {
      const template = spec?.template;
      expect(template?.metadata.labels["app.kubernetes.io/part-of"], metadata.name).toBe("tulle");
      expect(template?.spec.securityContext, metadata.name).toMatchObject({ runAsNonRoot: true });
      for (const container of template?.spec.containers ?? []) {
        expect(container.securityContext, metadata.name).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        });
        expect(container.resources, metadata.name).toHaveProperty("limits.memory");
      }
    }
  });

  test("has a NetworkPolicy for each workload, unless they are off", () => {
    const components = (objects: readonly Rendered[], wanted: (each: Rendered) => boolean) =>
      objects.filter(wanted).map(({ metadata }) => metadata.labels["app.kubernetes.io/component"]);
    const isWorkload = ({ kind }: Rendered) => kind === "Deployment" || kind === "DaemonSet";
    const objects = render(...ALL);
    const guarded = components(objects, ({ kind }) => kind === "NetworkPolicy");
    expect(guarded.sort()).toEqual(components(objects, isWorkload).sort());
    const open = render(...ALL, "networkPolicy.enabled=false");
    expect(components(open, ({ kind }) => kind === "NetworkPolicy")).toEqual([]);
  });

  test("has the API server trust who signed the certificate that the controller shows", () => {
    const objects = render("smi.metrics.enabled=true");
    const bundles = objects.filter(({ kind }) => kind === "APIService").map(({ spec }) => spec?.caBundle);
    const [secret] = objects.filter(({ kind }) => kind === "Secret");
    expect(bundles).toEqual([secret?.data?.["ca.crt"], secret?.data?.["ca.crt"]]);
  });

  test("asks for the authority of a Secret that it cannot see, and takes it", () => {
    const own = ["smi.metrics.enabled=true", "tls.existingSecret=own"];
    const { status, stderr } = helm("template", CHART, "--kube-version=1.34.0", ...settings(own));
    expect(status).not.toBe(0);
    expect(stderr).toContain("smi.metrics.caBundle is not set");
    const pem = "-----BEGIN CERTIFICATE-----\nabc";
    const [service] = render(...own, `smi.metrics.caBundle=${pem}`).filter(({ kind }) => kind === "APIService");
    expect(Buffer.from(service?.spec?.caBundle ?? "", "base64").toString()).toBe(pem);
  });

  test("opens the port of TrafficMetrics where they are served, on the Pod, the Service and the policy", () => {
    const places = (...values: string[]) =>
      render(...values).filter((object) => JSON.stringify(object.spec ?? {}).includes('"smi-metrics"'));
    expect(namesOf(places())).toEqual([]);
    expect(namesOf(places("smi.metrics.enabled=true")).sort()).toEqual([
      "Deployment tulle-controller",
      "NetworkPolicy tulle-controller",
      "Service tulle-controller",
    ]);
  });

  test("makes what is for the Prometheus operator where the cluster has it, with auto", () => {
    const auto = ["metrics.podMonitor.enabled=auto", "metrics.prometheusRule.enabled=auto"];
    const isOperators = ({ kind }: Rendered) => ["PodMonitor", "PrometheusRule"].includes(kind);
    expect(render(...auto).filter(isOperators)).toEqual([]);
    const known = ["PodMonitor", "PrometheusRule"].map((kind) => `--api-versions=monitoring.coreos.com/v1/${kind}`);
    const { stdout } = helm("template", CHART, "--kube-version=1.34.0", ...known, ...settings(auto));
    const made = parseAllDocuments(stdout).flatMap((document) => (document.toJSON() as Rendered | null) ?? []);
    expect(namesOf(made.filter(isOperators)).sort()).toEqual([
      "PodMonitor tulle-controller",
      "PodMonitor tulle-proxy",
      "PrometheusRule tulle",
    ]);
  });

  const TRAEFIK = ["proxy.engine=traefik", "limits.http=2", "limits.tcp=1", "limits.udp=1"];
  const argumentsOf = (objects: readonly Rendered[], kind: string) =>
    objects
      .filter((each) => each.kind === kind && ["tulle-proxy", "tulle-controller"].includes(each.metadata.name))
      .flatMap(({ spec }) => spec?.template?.spec.containers[0]?.args ?? []);

  test("refuses time-outs that are for Traefik alone where the proxy is Tulle's, and says where to write them", () => {
    const timeout = "proxy.forwardingTimeouts.responseHeaderTimeout=5s";
    const { status, stderr } = helm("template", CHART, "--kube-version=1.34.0", ...settings([timeout]));
    expect(status).not.toBe(0);
    expect(stderr).toContain("time-outs are annotations of Services, such as tulle.dev/connect-timeout");
    expect(render(...TRAEFIK, timeout).length).toBeGreaterThan(0);
  });

  test("with Traefik as the proxy is the same objects, with Traefik's image and as many entry points as the limits say", () => {
    const objects = render(...TRAEFIK, "proxy.traefik.image=example.com/traefik:v3", "proxy.pollInterval=300ms");
    expect(namesOf(objects).sort()).toEqual(namesOf(render()).sort());
    const [proxy] = objects.filter(({ kind }) => kind === "DaemonSet");
    expect(proxy?.spec?.template?.spec.containers[0]).toMatchObject({ image: "example.com/traefik:v3" });
    const flags = argumentsOf(objects, "DaemonSet");
    const addresses = flags.filter((flag) => flag.includes(".address="));
    expect(addresses).toEqual([
      "--entrypoints.http-5000.address=:5000",
      "--entrypoints.http-5001.address=:5001",
      "--entrypoints.tcp-10000.address=:10000",
      "--entrypoints.udp-15000.address=:15000/udp",
      "--entrypoints.readiness.address=:1081",
      "--entrypoints.liveness.address=:1082",
      "--entrypoints.traefik.address=:8080",
    ]);
    expect(flags).toContain(
      "--providers.http.endpoint=http://tulle-controller.mesh.svc:9000/api/configuration/current",
    );
    expect(flags).toContain("--providers.http.pollinterval=300ms");
    expect(argumentsOf(objects, "Deployment")).toEqual(
      expect.arrayContaining([
        "--proxy-engine=traefik",
        "--limit-http-port=2",
        "--limit-tcp-port=1",
        "--limit-udp-port=1",
        "--dns-mode=rewrite",
      ]),
    );
    expect(argumentsOf(render(), "Deployment")).toContain("--dns-mode=forward");
    expect(argumentsOf(render(...TRAEFIK, "dns.mode=forward"), "Deployment")).toContain("--dns-mode=forward");
  });

  test("with Traefik as the proxy opens its API to the mesh's namespace alone, and its entry points to all", () => {
    const [policy] = render(...TRAEFIK).filter(
      ({ kind, metadata }) => kind === "NetworkPolicy" && metadata.name === "tulle-proxy",
    );
    const rules = policy?.spec?.ingress ?? [];
    expect(rules.map(({ from, ports }) => [from, ports?.map(({ port }) => port)])).toEqual([
      [undefined, [5000, 5001, 10_000, 15_000, "readiness", "liveness"]],
      [[{ podSelector: {} }], ["metrics"]],
    ]);
  });

  test("with Traefik as the proxy trusts the authorities that were given, for every Service of https", () => {
    const given = ["proxy.upstreamCaConfigMap=ca", "proxy.env[0].name=A", "proxy.env[0].value=b"];
    const [proxy] = render(...TRAEFIK, ...given).filter(({ kind }) => kind === "DaemonSet");
    // See TraefikEngine of test/behaviours, which trusts a folder as a ConfigMap is mounted.
    expect(proxy?.spec?.template?.spec.containers[0]).toMatchObject({
      env: [
        { name: "SSL_CERT_DIR", value: "/etc/tulle/upstream-ca" },
        { name: "A", value: "b" },
      ],
      volumeMounts: [{ name: "upstream-ca", mountPath: "/etc/tulle/upstream-ca" }],
    });
  });

  test("with Traefik as the proxy writes a class of statuses as a range, since Traefik has no classes", () => {
    const log = ["proxy.accessLog.enabled=true", "proxy.accessLog.filters.status={404,5xx}"];
    const flags = argumentsOf(render(...TRAEFIK, ...log), "DaemonSet");
    expect(flags).toContain("--accesslog.filters.statuscodes=404,500-599");
    expect(argumentsOf(render(...log), "DaemonSet")).toContain("--access-log-filter-status=404,5xx");
  });

  test("with Traefik as the proxy has the controllers answer for the mesh domains, where names are forwarded", () => {
    const [service] = render(...TRAEFIK).filter(({ metadata }) => metadata.name === "tulle-dns");
    expect(JSON.stringify(service?.spec)).toContain('"app.kubernetes.io/component":"controller"');
  });

  test.each([
    [["tracing.endpoint=http://zipkin:9411"], "Traefik sends its spans by OTLP"],
    [["proxy.accessLog.enabled=true", "proxy.accessLog.fields={status}"], "are for Tulle's own proxy"],
  ])("refuses for Traefik what it cannot do: %j", (values, says) => {
    const { status, stderr } = helm("template", CHART, "--kube-version=1.34.0", ...settings([...TRAEFIK, ...values]));
    expect([status === 0, stderr]).toEqual([false, expect.stringContaining(says)]);
  });

  test("puts the place of the runbooks into each alert", () => {
    const [rule] = render(
      "metrics.prometheusRule.enabled=true",
      "metrics.prometheusRule.runbooks=https://wiki/",
    ).filter(({ kind }) => kind === "PrometheusRule");
    const urls = [...JSON.stringify(rule?.spec).matchAll(/"runbook_url":"([^"]*)"/g)].map(([, url]) => url);
    expect(urls.length).toBeGreaterThan(0);
    expect(urls.filter((url = "") => !/^https:\/\/wiki\/\w+\.md$/.test(url))).toEqual([]);
  });

  test("gives the dashboards to Grafana as they are in the files", () => {
    const [map] = render(...ALL).filter(({ metadata }) => metadata.name === "tulle-dashboards");
    const uids = Object.entries(map?.data ?? {}).map(([file, text]) => [
      file,
      (JSON.parse(text) as { uid: string }).uid,
    ]);
    expect(uids.map(([file]) => file)).toEqual(uids.map(([, uid]) => `${uid}.json`));
    expect(uids).toHaveLength(4);
  });

  test.runIf(isInstalled("promtool", "--version"))("gives Prometheus a configuration that it takes", () => {
    const [map] = render(...ALL, "metrics.prometheus.alertmanagers={alerts:9093}").filter(
      ({ kind, metadata }) => kind === "ConfigMap" && metadata.name === "tulle-prometheus",
    );
    const folder = mkdtempSync(join(tmpdir(), "tulle-prometheus-"));
    for (const [file, text] of Object.entries(map?.data ?? {})) {
      const { scrape_configs: jobs } = parse(text) as { scrape_configs?: { kubernetes_sd_configs: unknown }[] };
      expect(jobs?.every((job) => job.kubernetes_sd_configs !== undefined)).not.toBe(false);
      // Some builds of Prometheus (Debian's) do not know Kubernetes.
      writeFileSync(join(folder, file), text.replace(/kubernetes_sd_configs:\n(?: {6}.*\n)*/, "static_configs: []\n"));
    }
    const { status, stdout, stderr } = spawnSync("promtool", ["check", "config", join(folder, "prometheus.yml")], {
      encoding: "utf8",
    });
    rmSync(folder, { recursive: true });
    expect([status, stderr], stdout).toEqual([0, ""]);
    expect(stdout).toContain("1 rule files found");
  });
});
