/** Options of the commands that look at a running mesh. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { parseGoDuration } from "../model/go-duration.ts";
import { foundNamespaceOption, kubeconfigOption } from "./cluster-options.ts";
import { listenOption } from "./common-options.ts";
import { setting } from "./settings.ts";
import { UsageError } from "./usage-error.ts";

/** Which mesh. */
export function addViewOptions(command: Command): Command {
  return command
    .addOption(setting("--local", "of a `tulle local` on this machine; without it the cluster"))
    .addOption(listenOption("admin", "the admin API of that", "127.0.0.1:19000"))
    .hook("preAction", (_, action) => {
      // Who names an address of this machine does not mean the cluster of the kubeconfig.
      if (action.getOptionValueSource("admin") !== "cli" || action.opts()["local"] === true) return;
      throw new UsageError("--admin is of a tulle local: give --local too");
    })
    .addOption(foundNamespaceOption())
    .addOption(kubeconfigOption());
}

const DAY_MS = 24 * 60 * 60_000;

/** @returns milliseconds of `2s`, `500ms`, from 10ms to 24h; or 0 where that has a meaning */
export function durationOption(
  flags: string,
  description: string,
  fallback: string,
  zero: "zero" | "no zero" = "no zero",
): Option {
  const parse = (text: string): number => {
    const ms = parseGoDuration(text);
    if (ms === 0 && zero === "zero") return 0;
    if (ms === undefined) throw new InvalidArgumentError(`"${text}" is not a duration such as 2s or 500ms.`);
    if (ms < 10 || ms > DAY_MS) throw new InvalidArgumentError(`"${text}" is not between 10ms and 24h.`);
    return ms;
  };
  return new Option(flags, description).default(parse(fallback), fallback).argParser(parse);
}

/** @throws UsageError for what is none of NAMESPACE, NAMESPACE/SERVICE and NAMESPACE/SERVICE:PORT */
export function checkScope(scope: string | undefined): void {
  if (scope === undefined || /^[^\s/:]+(\/[^\s/:]+(:\d{1,5})?)?$/.test(scope)) return;
  throw new UsageError(`"${scope}" is not NAMESPACE, NAMESPACE/SERVICE or with :PORT`);
}
