/** Commands that say or do what manifests mean, on this machine; `check` and `explain` ask a cluster too. */
import type { Command } from "commander";
import { addAccessLogOptions } from "./access-log-options.ts";
import { foundNamespaceOption, kubeconfigOption } from "./cluster-options.ts";
import { aclOption, defaultModeOption, fileOption, listenOption } from "./common-options.ts";
import { addViewOptions } from "./look-options.ts";
import { newCommand, type OnResult } from "./new-command.ts";
import { setting } from "./settings.ts";
import { addTracingOptions } from "./tracing.ts";
import { upstreamCaOption } from "./upstream-ca.ts";
import { UsageError } from "./usage-error.ts";
import { version } from "./version.ts";

export function addLocal(program: Command, onResult: OnResult): void {
  const local = newCommand(
    program,
    "local",
    "run a mesh on this machine from manifests (without -f: the whoami example)",
  )
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
as does what was read from a path that cannot be read or is gone. A file that loses objects, or goes from within a folder, stays
as it was for 0.4 s more, as it may just be being saved; one that is empty keeps what it said until it is deleted or says
something again. What comes back has the address that it had.
Ctrl-C, SIGTERM and SIGHUP (of a terminal that is closed) end it: calls under way finish, and logs are written.`,
    )
    .action(async (options) => {
      const { runLocal } = await import("./local-command.ts");
      onResult(await runLocal(options, version()));
    });
}

export function addCheck(program: Command, onResult: OnResult): void {
  newCommand(program, "check", "say what is wrong in manifests, or on a cluster: object, field, sentence, remedy")
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

export function addExplain(program: Command, onResult: OnResult): void {
  const command = newCommand(program, "explain", "say what would happen to a call, and which object decides it")
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
    .addOption(defaultModeOption());
  addViewOptions(command)
    .hook("preAction", (_, action) => {
      const ofManifests = ["file", "acl", "defaultMode"].find((name) => action.getOptionValueSource(name) === "cli");
      if (action.opts()["local"] !== true || ofManifests === undefined) return;
      throw new UsageError(
        "--local asks the mesh that runs, as it is in force there: leave out -f, --acl, --default-mode",
      );
    })
    .addHelpText(
      "after",
      `
Exit code 0 when the call would be served, 1 when not. With access control off, it also says what it would decide.
Manifests are read with access control off unless --acl says otherwise, as \`tulle local -f\` runs them.

  tulle explain --local --from whoami/whoami-client --to whoami-api.whoami.traefik.mesh --path /metrics
  tulle explain -f examples/whoami --acl on --from whoami/whoami-stranger --to whoami.whoami.traefik.mesh`,
    )
    .action(async (options) => {
      const { runExplain } = await import("./explain-command.ts");
      onResult(await runExplain(options, version()));
    });
}

export function addExport(program: Command, onResult: OnResult): void {
  newCommand(program, "export", "print the compiled configuration")
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
