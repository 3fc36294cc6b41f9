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
    .addOption(foundNamespaceOption())
    .addOption(kubeconfigOption());
}

/** @returns milliseconds of `2s`, `500ms` */
export function durationOption(flags: string, description: string, fallback: string): Option {
  const parse = (text: string): number => {
    const ms = parseGoDuration(text);
    if (ms === undefined || ms < 0) throw new InvalidArgumentError(`"${text}" is not a duration such as 2s or 500ms.`);
    return ms;
  };
  return new Option(flags, description).default(parse(fallback), fallback).argParser(parse);
}

/** @throws UsageError for what is none of NAMESPACE, NAMESPACE/SERVICE and NAMESPACE/SERVICE:PORT */
export function checkScope(scope: string | undefined): void {
  if (scope === undefined || /^[^\s/:]+(\/[^\s/:]+(:\d{1,5})?)?$/.test(scope)) return;
  throw new UsageError(`"${scope}" is not NAMESPACE, NAMESPACE/SERVICE or with :PORT`);
}
