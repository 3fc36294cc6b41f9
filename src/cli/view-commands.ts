/** Commands that look on while a mesh runs, on a cluster or by `tulle local`. */
import { type Command, Option } from "commander";
import { foundNamespaceOption, kubeconfigOption } from "./cluster-options.ts";
import { listenOption } from "./common-options.ts";
import { GRAPH_FORMATS } from "./graph-formats.ts";
import { addViewOptions, durationOption } from "./look-options.ts";
import { newCommand, type OnResult } from "./new-command.ts";
import { setting } from "./settings.ts";
import { TAP_FLAGS } from "./tap-flags.ts";
import { SORT_KEYS } from "./top-rows.ts";
import { version } from "./version.ts";

export function addTap(program: Command, onResult: OnResult): void {
  const tap = newCommand(program, "tap", "show calls as they end, of a cluster's proxies or of `tulle local`")
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

export function addTop(program: Command, onResult: OnResult): void {
  const top = newCommand(program, "top", "rates, success, latencies and bytes by service, as a live table")
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

export function addGraph(program: Command, onResult: OnResult): void {
  const graph = newCommand(program, "graph", "who calls whom: rates, failures and latencies, splits and denials")
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

export function addStatus(program: Command, onResult: OnResult): void {
  const status = newCommand(program, "status", "what runs where, what it has in force, and what is wrong").addOption(
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
