/** The command line: which command, with which options; errors to standard error, exit codes 0, 1 and 2. */
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { Command, CommanderError, Option } from "commander";
import { nearest } from "../model/nearest.ts";
import { addAccessLogOptions } from "./access-log-options.ts";
import {
  addLogOptions,
  addressOption,
  clusterDomainOption,
  commaListOption,
  dnsModeOption,
  foundNamespaceOption,
  hostPortOption,
  kubeconfigOption,
  limitOption,
  meshDomainsOption,
  namespaceOption,
  portOption,
  proxyEngineOption,
  secondsOption,
  workersOption,
} from "./cluster-options.ts";
import { aclOption, defaultModeOption, fileOption, listenOption } from "./common-options.ts";
import { EXIT_FINE, EXIT_PROBLEMS, EXIT_USAGE } from "./exit-codes.ts";
import { GRAPH_FORMATS } from "./graph-formats.ts";
import { addViewOptions, durationOption } from "./look-options.ts";
import {
  applyConfigFile,
  applySwitches,
  applyTraefikMeshVariables,
  checkEnvironment,
  configOption,
  type Environment,
  setting,
} from "./settings.ts";
import { TAP_FLAGS } from "./tap-flags.ts";
import { SORT_KEYS } from "./top-rows.ts";
import { addTracingOptions } from "./tracing.ts";
import { inOurSpelling } from "./traefik-mesh-options.ts";
import { upstreamCaOption } from "./upstream-ca.ts";
import { UsageError } from "./usage-error.ts";

const versions = (): string => `tulle ${version()}\nnode ${process.versions.node}\n${process.platform}/${process.arch}`;

/** They run until they are told to stop. */
const SERVING: readonly string[] = ["local", "proxy", "controller"];

function version(): string {
  const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  return manifest.version;
}

/** Runs the command and sets the exit code. The process ends when nothing of it is left. */
export async function main(args: readonly string[], environment: Environment): Promise<void> {
  let code: number = EXIT_FINE;
  const program = buildProgram((result) => {
    code = result;
  });
  let serves = false;
  program.hook("preAction", (_, action) => {
    serves = SERVING.includes(action.name()) && action.opts()["once"] !== true;
  });
  for (const stream of [process.stdout, process.stderr])
    stream.on("error", (error: NodeJS.ErrnoException) => {
      // What carries calls goes on, though nobody can be told of it: a full disk, a reader that ended.
      if (serves) return;
      // Whoever reads our output has seen enough: `tulle … | head` is no error.
      if (error.code === "EPIPE") process.exit();
      if (stream === process.stdout) process.stderr.write(`tulle: standard output: ${error.message}\n`);
      process.exit(EXIT_PROBLEMS);
    });
  try {
    checkEnvironment(program, environment);
    await program.parseAsync(inOurSpelling(args, program), { from: "user" });
  } catch (error) {
    code = report(error as Error);
  }
  process.exitCode = code;
}

function report(error: Error): number {
  if (error instanceof CommanderError) {
    // Help and version come this way too, with code 0; commander has printed its message.
    return error.exitCode === 0 ? EXIT_FINE : EXIT_USAGE;
  }
  process.stderr.write(`tulle: ${error.message}\n`);
  return error instanceof UsageError ? EXIT_USAGE : EXIT_PROBLEMS;
}

/** Also for the test that compares the help texts with the docs. */
export function buildProgram(onResult: (code: number) => void): Command {
  const program = new Command("tulle")
    .description("A service mesh for Kubernetes; `local` runs a whole mesh on this machine from a folder of manifests.")
    .usage("COMMAND [options]")
    .version(versions(), "-V, --version", "print the version of Tulle and of its runtime")
    .showSuggestionAfterError()
    .exitOverride()
    .configureHelp({ sortSubcommands: false, showGlobalOptions: false })
    .addHelpText(
      "after",
      `
Start with:
  tulle local                      the whoami example, on this machine
  tulle local -f my-manifests/     your own manifests
  tulle help COMMAND               what a command takes

Every option but those that say what to show (\`explain\`, \`tap\`, \`top\`, \`graph\`) can also be given as a variable
(--default-mode is TULLE_DEFAULT_MODE, --json is TULLE_JSON=true) or in a YAML file (--config FILE, default-mode: tcp).
The command line outweighs variables, variables the file.
Exit codes: 0 fine, 1 problems found or failed, 2 wrong usage.`,
    );
  addLocal(program, onResult);
  addCheck(program, onResult);
  addExplain(program, onResult);
  addTap(program, onResult);
  addTop(program, onResult);
  addGraph(program, onResult);
  addStatus(program, onResult);
  addExport(program, onResult);
  addController(program, onResult);
  addProxy(program, onResult);
  addPrepare(program, onResult);
  addMigrate(program, onResult);
  addCleanup(program, onResult);
  program
    .command("version")
    .description("print the version of Tulle and of its runtime")
    .action(() => {
      process.stdout.write(`${versions()}\n`);
    });
  addHelp(program);
  return program;
}

/** Commander's own shows the whole program's help for a command that is not there. */
function addHelp(program: Command): void {
  program
    .helpCommand(false)
    .command("help [command]")
    .description("say what a command takes")
    .action((name: string | undefined) => {
      if (name === undefined) program.help();
      const found = program.commands.find((each) => each.name() === name);
      if (found !== undefined) found.help();
      const meant = nearest(
        name,
        program.commands.map((each) => each.name()),
      );
      throw new UsageError(`unknown command "${name}"${meant === undefined ? "" : `: did you mean ${meant}?`}`);
    });
}

/** A command whose action gets its options after the config file had its say. */
function command(program: Command, name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .allowExcessArguments(false)
    .addOption(configOption())
    .hook("preAction", (_this, action) => {
      applySwitches(action, process.env);
      applyTraefikMeshVariables(action, process.env);
      applyConfigFile(action);
    });
}

function addLocal(program: Command, onResult: (code: number) => void): void {
  const local = command(program, "local", "run a mesh on this machine from manifests (without -f: the whoami example)")
    .addOption(fileOption("manifests to run"))
    .addOption(setting("--once", "start, make the example's calls, and end: 0 if all came out as they should"))
    .addOption(setting("--keep-calling", "go on making the example's calls, again after each second"))
    .addOption(setting("--json", "when ready, one line of JSON on standard output, and nothing else there"))
    .addOption(aclOption("off, and audit for the example"))
    .addOption(defaultModeOption())
    .addOption(listenOption("dns", "where DNS answers, over UDP and TCP", "127.0.0.1:15353"))
    .addOption(listenOption("socks", "where the SOCKS5 entry listens", "127.0.0.1:15080"))
    .addOption(listenOption("admin", "where the admin API listens", "127.0.0.1:19000"))
    .addOption(upstreamCaOption());
  addAccessLogOptions(addTracingOptions(local))
    .addHelpText(
      "after",
      `
Each Pod gets an address 127.1.x.y, each Service 127.2.x.y, each mesh name 127.3.x.y. Pods of the images traefik/whoami,
traefik/whoamitcp and traefik/whoamiudp are served by Tulle itself; any other Pod is an address to call from. A program
of yours is meshed by a Service without selector and an EndpointSlice with its address (examples/your-own-service).
Files are watched, standard input is read once: a change is in force at once. A broken file is reported, and what it said before stays,
as does what was read from a path that cannot be read or is gone; what goes from within a folder is gone.`,
    )
    .action(async (options) => {
      const { runLocal } = await import("./local-command.ts");
      onResult(await runLocal(options, version()));
    });
}

function addCheck(program: Command, onResult: (code: number) => void): void {
  command(program, "check", "say what is wrong in manifests, or on a cluster: object, field, sentence, remedy")
    .addOption(fileOption("manifests to check; without it the cluster and its installation"))
    .addOption(setting("--json", "a JSON array on standard output instead of lines"))
    .addOption(setting("--installation", "of a cluster: leave out what is wrong with the objects that the mesh reads"))
    .addOption(aclOption("off, and on a cluster as installed"))
    .addOption(defaultModeOption())
    .addOption(foundNamespaceOption())
    .addOption(kubeconfigOption())
    .addHelpText(
      "after",
      `
Of a cluster it looks at what the mesh needs, whether the installation is whole and in force on every proxy, cluster DNS,
and every object's problems; before installing, at what the mesh will need.
Exit code 1 when an error was found. Warnings alone are 0.`,
    )
    .action(async (options) => {
      if (options.file === undefined) {
        const { runCheckCluster } = await import("./check-cluster-command.ts");
        onResult(await runCheckCluster(options, version()));
      } else {
        const { runCheck } = await import("./check-command.ts");
        onResult(await runCheck(options));
      }
    });
}

function addExplain(program: Command, onResult: (code: number) => void): void {
  command(program, "explain", "say what would happen to a call, and which object decides it")
    .requiredOption("--from <namespace/pod>", "who calls")
    .requiredOption("--to <host[:port]>", "what it calls, by name; without a port: 80, or the only one there is")
    .option("--method <method>", "HTTP method", "GET")
    .option("--path <path>", "path, with query", "/")
    .option("--header <name:value>", "a header field; may be repeated", (text: string, previous: string[] = []) => [
      ...previous,
      text,
    ])
    .addOption(fileOption("manifests to look at; without it the cluster"))
    .addOption(setting("--json", "the answer as JSON"))
    .addOption(aclOption("off, and on a cluster as installed"))
    .addOption(defaultModeOption())
    .addOption(foundNamespaceOption())
    .addOption(kubeconfigOption())
    .addHelpText(
      "after",
      `
Exit code 0 when the call would be served, 1 when not. With access control off, it also says what it would decide.

  tulle explain -f examples/whoami --from whoami/whoami-client --to whoami-api.whoami.traefik.mesh --path /metrics`,
    )
    .action(async (options) => {
      const { runExplain } = await import("./explain-command.ts");
      onResult(await runExplain(options, version()));
    });
}

function addTap(program: Command, onResult: (code: number) => void): void {
  const tap = command(program, "tap", "show calls as they end, of a cluster's proxies or of `tulle local`")
    .argument("[to]", "only calls to NAMESPACE, NAMESPACE/SERVICE or NAMESPACE/SERVICE:PORT")
    .addOption(setting("--local", "of a `tulle local` on this machine; without it the cluster"))
    .addOption(listenOption("admin", "the admin API of that", "127.0.0.1:19000"))
    .addOption(setting("--json", "lines of JSON, with the names of docs/access-log.md"))
    .addOption(foundNamespaceOption())
    .addOption(kubeconfigOption());
  for (const [flags, description] of TAP_FLAGS) tap.option(flags, description);
  tap
    .addHelpText(
      "after",
      `
All conditions must hold. On a cluster it needs the right to list Pods and to create pods/portforward in the mesh's
namespace. Ctrl-C ends.

  tulle tap whoami/whoami --status 5xx --slower 200ms
  tulle tap --local --denied`,
    )
    .action(async (to, options) => {
      const { runTap } = await import("./tap-command.ts");
      onResult(await runTap(to, options, version()));
    });
}

function addTop(program: Command, onResult: (code: number) => void): void {
  const top = command(program, "top", "rates, success, latencies and bytes by service, as a live table")
    .argument("[to]", "only calls to NAMESPACE, NAMESPACE/SERVICE or NAMESPACE/SERVICE:PORT")
    .option("--callers", "a row for each caller of a service")
    .addOption(new Option("--sort <column>", "what comes first").choices(SORT_KEYS).default("requests"))
    .addOption(durationOption("--interval <duration>", "between two looks", "2s"))
    .option("--once", "one table, of one interval")
    .addOption(setting("--json", "a line of JSON for each look"));
  addViewOptions(top)
    .addHelpText(
      "after",
      `
Success is what was answered below 500, and flows that got an endpoint. Denied in parentheses is what access control
would deny (audit mode). On a cluster it goes through one controller, and needs the right to list Pods and to create
pods/portforward in the mesh's namespace. Keys: q ends, ← and → choose the column to sort by.

  tulle top --sort p99
  tulle top whoami/whoami --callers --local`,
    )
    .action(async (to, options) => {
      const { runTop } = await import("./top-command.ts");
      onResult(await runTop(to, options, version()));
    });
}

function addGraph(program: Command, onResult: (code: number) => void): void {
  const graph = command(program, "graph", "who calls whom: rates, failures and latencies, splits and denials")
    .argument("[namespace]", "only what is called in it, or from it")
    .addOption(new Option("--format <format>", "how it is written").choices(GRAPH_FORMATS).default("text"))
    .addOption(
      durationOption("--window <duration>", "of what passes in so long; 0: since the proxies' start", "10s", "zero"),
    );
  addViewOptions(graph)
    .addHelpText(
      "after",
      `
On a cluster it goes through one controller, and needs the right to list Pods and to create pods/portforward in the
mesh's namespace.

  tulle graph whoami
  tulle graph --window 0 --format dot | dot -Tsvg > mesh.svg`,
    )
    .action(async (namespace, options) => {
      const { runGraph } = await import("./graph-command.ts");
      onResult(await runGraph(namespace, options, version()));
    });
}

function addStatus(program: Command, onResult: (code: number) => void): void {
  const status = command(program, "status", "what runs where, what it has in force, and what is wrong").addOption(
    setting("--json", "the same as JSON"),
  );
  addViewOptions(status)
    .addHelpText(
      "after",
      `
Exit code 1 where something is not as it must be: it says which object, and the remedy. \`tulle check\` looks deeper, and
needs more rights; this one needs to list Pods and to create pods/portforward in the mesh's namespace.`,
    )
    .action(async (options) => {
      const { runStatus } = await import("./status-command.ts");
      onResult(await runStatus(options, version()));
    });
}

function addExport(program: Command, onResult: (code: number) => void): void {
  command(program, "export", "print the compiled configuration")
    .addOption(fileOption("manifests to compile; without it the whoami example"))
    .addOption(
      setting(
        "--format <format>",
        "tulle: MeshConfig as JSON, with its version; traefik: dynamic configuration for Traefik 3",
      ).default("tulle"),
    )
    .addOption(aclOption("off, and audit for the example"))
    .addOption(defaultModeOption())
    .action(async (options) => {
      const { runExport } = await import("./export-command.ts");
      onResult(await runExport(options));
    });
}

function addController(program: Command, onResult: (code: number) => void): void {
  const controller = command(program, "controller", "on a cluster: watch it, and serve the proxies")
    .addOption(namespaceOption())
    .addOption(setting("--pod-name <name>", "this replica's Pod").default(hostname(), "the host's name"))
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
    .addOption(
      setting("--token-file <file>", "token of this replica, for the audience tulle-config").default(
        "/var/run/secrets/tulle/token",
      ),
    )
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

function addProxy(program: Command, onResult: (code: number) => void): void {
  const proxy = command(program, "proxy", "on a cluster's node: carry the calls, as the controller says")
    .addOption(setting("--pod-name <name>", "this proxy's Pod").default(hostname(), "the host's name"))
    .addOption(setting("--node-name <name>", "its node, for Services that prefer near endpoints"))
    .addOption(hostPortOption("controller", "the controller's config stream", "tulle-controller:9443"))
    .addOption(setting("--ca-file <file>", "who signs the controller's certificate").default("/etc/tulle/ca/ca.crt"))
    .addOption(
      setting("--token-file <file>", "token of this proxy, for the audience tulle-config").default(
        "/var/run/secrets/tulle/token",
      ),
    )
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
  addAccessLogOptions(proxy);
  addTracingOptions(addLogOptions(proxy)).action(async (options) => {
    const { runProxy } = await import("./proxy-command.ts");
    onResult(await runProxy(options, version()));
  });
}

function addCleanup(program: Command, onResult: (code: number) => void): void {
  const cleanup = command(program, "cleanup", "on a cluster: stop the controller, and take away what it made")
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

function addMigrate(program: Command, onResult: (code: number) => void): void {
  command(program, "migrate", "from Traefik Mesh: say what will be different, and move the mesh names without downtime")
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

function addPrepare(program: Command, onResult: (code: number) => void): void {
  const prepare = command(program, "prepare", "on a cluster: look at SMI's versions, and patch cluster DNS once")
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
