/** Commands of the mesh's own Pods and Jobs on a cluster, and of whoever moves there from Traefik Mesh. */
import type { Command } from "commander";
import { addAccessLogOptions } from "./access-log-options.ts";
import {
  addLogOptions,
  addressOption,
  clusterDomainOption,
  commaListOption,
  dnsModeOption,
  hostPortOption,
  kubeconfigOption,
  type LogOptions,
  limitOption,
  logOf,
  meshDomainsOption,
  namespaceOption,
  podNameOption,
  portOption,
  proxyEngineOption,
  secondsOption,
  tokenFileOption,
  workersOption,
} from "./cluster-options.ts";
import { aclOption, defaultModeOption, fileOption } from "./common-options.ts";
import { durationOption } from "./look-options.ts";
import { newCommand, type OnResult } from "./new-command.ts";
import { type OnIdleFlags, setting } from "./settings.ts";
import { addTracingOptions } from "./tracing.ts";
import { upstreamCaOption } from "./upstream-ca.ts";
import { version } from "./version.ts";

export function addController(program: Command, onResult: OnResult): void {
  const controller = newCommand(program, "controller", "on a cluster: watch it, and serve the proxies")
    .addOption(namespaceOption())
    .addOption(podNameOption("replica"))
    .addOption(kubeconfigOption())
    .addOption(aclOption())
    .addOption(defaultModeOption())
    .addOption(commaListOption("--watch-namespaces <names>", "only these namespaces, separated by commas"))
    .addOption(commaListOption("--ignore-namespaces <names>", "not these namespaces, separated by commas"))
    .addOption(meshDomainsOption())
    .addOption(dnsModeOption())
    .addOption(clusterDomainOption())
    .addOption(proxyEngineOption())
    .addOption(limitOption("http"))
    .addOption(limitOption("tcp"))
    .addOption(limitOption("udp"))
    .addOption(
      setting("--tls-dir <folder>", "tls.crt, tls.key and ca.crt of the config stream").default("/etc/tulle/tls"),
    )
    .addOption(tokenFileOption("replica"))
    .addOption(addressOption("where it listens"))
    .addOption(portOption("api-port", "of the admin API", 9000))
    .addOption(portOption("config-port", "of the config stream", 9443))
    .addOption(portOption("health-port", "of /readyz and /healthz", 1081))
    .addOption(portOption("dns-port", "with traefik: of the DNS server for the mesh domains", 1053))
    .addOption(portOption("smi-metrics-port", "of SMI's TrafficMetrics, for the API server; 0: not served", 0));
  addLogOptions(controller).action(async (options) => {
    const { runController } = await import("./controller-command.ts");
    onResult(await runController(options, version()));
  });
}

/** The data plane of a node does not stay down for the sake of its logs. */
const warnOfIdle: OnIdleFlags = (command, sentence) => logOf(command.opts<LogOptions>()).warn(sentence);

export function addProxy(program: Command, onResult: OnResult): void {
  const proxy = newCommand(program, "proxy", "on a cluster's node: carry the calls, as the controller says")
    .addOption(podNameOption("proxy"))
    .addOption(setting("--node-name <name>", "its node, for Services that prefer near endpoints"))
    .addOption(hostPortOption("controller", "the controller's config stream", "tulle-controller:9443"))
    .addOption(setting("--ca-file <file>", "who signs the controller's certificate").default("/etc/tulle/ca/ca.crt"))
    .addOption(tokenFileOption("proxy"))
    .addOption(upstreamCaOption())
    .addOption(setting("--state-dir <folder>", "keeps the last configuration").default("/var/lib/tulle"))
    .addOption(addressOption("where DNS, health and metrics listen"))
    .addOption(portOption("dns-port", "of DNS, over UDP and TCP", 1053))
    .addOption(portOption("health-port", "of /readyz and /healthz", 1081))
    .addOption(portOption("metrics-port", "of /metrics and /api/status", 8080))
    .addOption(portOption("admin-port", "of the whole admin API, on 127.0.0.1", 9000))
    .addOption(workersOption())
    .addOption(
      setting(
        "--hand-over",
        "experimental: another proxy with this flag and state folder may be started on the same ports, and takes over (Node.js 22.12)",
      ).default(false),
    )
    .addOption(secondsOption("lame-duck", "told to stop: serve on for so long, until calls go elsewhere", 10))
    .addOption(secondsOption("drain", "after that: let calls under way finish for so long", 30));
  addAccessLogOptions(proxy, warnOfIdle);
  addTracingOptions(addLogOptions(proxy), warnOfIdle).action(async (options) => {
    const { runProxy } = await import("./proxy-command.ts");
    onResult(await runProxy(options, version()));
  });
}

export function addPrepare(program: Command, onResult: OnResult): void {
  const prepare = newCommand(program, "prepare", "on a cluster: look at SMI's versions, and patch cluster DNS once")
    .addOption(namespaceOption())
    .addOption(kubeconfigOption())
    .addOption(dnsModeOption())
    .addOption(meshDomainsOption())
    .addOption(clusterDomainOption())
    .addHelpText(
      "after",
      `
The controller that leads does the same all the time; this is for looking on. With --dns-mode manual it touches nothing,
and prints the block for you to add.`,
    );
  addLogOptions(prepare).action(async (options) => {
    const { runPrepare } = await import("./prepare-command.ts");
    onResult(await runPrepare(options, version()));
  });
}

export function addMigrate(program: Command, onResult: OnResult): void {
  newCommand(
    program,
    "migrate",
    "from Traefik Mesh: say what will be different, and move the mesh names without downtime",
  )
    .addOption(fileOption("manifests to look at; without it the cluster"))
    .addOption(setting("--values <file>", "the values of Traefik Mesh's chart, as `helm get values` prints them"))
    .addOption(setting("--out <file>", "write the values for Tulle's chart there"))
    .addOption(setting("--json", "the report as JSON, values included"))
    .addOption(
      setting(
        "--namespace <namespace>",
        "of Traefik Mesh; with --take-over of the mesh that takes over; found, if one",
      ),
    )
    .addOption(kubeconfigOption())
    .option("--take-over", "move the mesh names to the mesh of --namespace, as soon as no call can fail by that")
    .option("--hand-back", "move them from there back to Traefik Mesh")
    .option(
      "--force",
      "with --take-over: in spite of proxies that are not ready, and names that only the other mesh has",
    )
    .addOption(durationOption("--timeout <duration>", "with --take-over and --hand-back: how long to wait", "3m"))
    .addHelpText(
      "after",
      `
The report says object by object what Traefik Mesh 1.4 did and Tulle does not, or the other way round, and what to do.
Exit code 1 when calls would be served that are not, or the other way round. --take-over moves the mesh names to a mesh
that is installed beside the other and stands by, --hand-back to Traefik Mesh; docs/migrate.md has the whole way.

  helm get values traefik-mesh -n maesh > old-values.yaml
  tulle migrate --values old-values.yaml --out values.yaml
  tulle migrate --take-over --namespace tulle`,
    )
    .action(async (options) => {
      const { runMigrate } = await import("./migrate-command.ts");
      onResult(await runMigrate(options, version()));
    });
}

export function addCleanup(program: Command, onResult: OnResult): void {
  const cleanup = newCommand(program, "cleanup", "on a cluster: stop the controller, and take away what it made")
    .addOption(namespaceOption())
    .addOption(kubeconfigOption())
    .addOption(dnsModeOption())
    .addOption(meshDomainsOption())
    .addHelpText(
      "after",
      `
It restores cluster DNS, and deletes the shadow services and the Lease. Uninstalling with Helm runs it first.
It may be run again at any time; what is gone already is no error.`,
    );
  addLogOptions(cleanup).action(async (options) => {
    const { runCleanup } = await import("./cleanup-command.ts");
    onResult(await runCleanup(options, version()));
  });
}
