/**
 * Options as Traefik Mesh spells them, for command lines, variables and config files that were written for it. Where one
 * means the same here it is read as ours (`--logLevel`, `TRAEFIK_MESH_LOGLEVEL`, `logLevel:` are `--log-level`); where there
 * is nothing of the kind it is refused with what to do instead, so that nobody believes it to be in force.
 */
import type { Command, Option } from "commander";
import { UsageError } from "./usage-error.ts";

/** Its name in small letters, as Traefik Mesh takes any, to ours. */
export const RENAMED: ReadonlyMap<string, string> = new Map([
  ["configfile", "config"],
  ["kubeconfig", "kubeconfig"],
  ["loglevel", "log-level"],
  ["logformat", "log-format"],
  ["acl", "acl"],
  ["namespace", "namespace"],
  ["clusterdomain", "cluster-domain"],
  ["defaultmode", "default-mode"],
  ["watchnamespaces", "watch-namespaces"],
  ["ignorenamespaces", "ignore-namespaces"],
  ["apiport", "api-port"],
  ["limithttpport", "limit-http-port"],
  ["limittcpport", "limit-tcp-port"],
  ["limitudpport", "limit-udp-port"],
]);

/** Its name in small letters, to what to do instead. */
export const GONE: ReadonlyMap<string, string> = new Map([
  ["masterurl", "the server's address comes from a kubeconfig (--kubeconfig)"],
  ["debug", "write --log-level debug"],
  ["smi", "write --acl on"],
  ["apihost", "--address says where the controller listens"],
]);

export const VARIABLES = "TRAEFIK_MESH_";
/** The prefix that Traefik Mesh itself had given up. */
export const OLD_VARIABLES = "MAESH_";

/** @returns the arguments with our names in the place of Traefik Mesh's. @throws UsageError for one that is gone */
export function inOurSpelling(args: readonly string[], program: Command): string[] {
  const command = program.commands.find((each) => each.name() === args[0]);
  if (command === undefined) return [...args];
  const end = args.indexOf("--");
  return args.map((argument, index) => {
    const [, name = "", rest = ""] = /^--([A-Za-z]+)(=[\s\S]*)?$/.exec(argument) ?? [];
    if (name === "" || (end >= 0 && index > end) || hasOption(command, name)) return argument;
    refuseGone(name, `--${name}`);
    const ours = RENAMED.get(name.toLowerCase());
    return ours === undefined || !hasOption(command, ours) ? argument : `--${ours}${rest}`;
  });
}

/** @throws UsageError for a variable of Traefik Mesh's that nothing here comes of */
export function refuseOldVariables(environment: Readonly<Record<string, string | undefined>>): void {
  for (const name of Object.keys(environment)) {
    const old = name.startsWith(OLD_VARIABLES) ? name.slice(OLD_VARIABLES.length).toLowerCase() : "";
    const ours = RENAMED.get(old);
    if (ours !== undefined) throw new UsageError(`variable ${name}: this prefix is not read; ${variableOf(ours)} is`);
    if (old !== "") refuseGone(old, `variable ${name}`);
    if (name.startsWith(VARIABLES)) refuseGone(name.slice(VARIABLES.length), `variable ${name}`);
  }
}

/** What Traefik Mesh's variables say of an option. */
export function traefikMeshVariable(
  option: Option,
  environment: Readonly<Record<string, string | undefined>>,
): { readonly name: string; readonly text: string } | undefined {
  for (const [theirs, ours] of RENAMED) {
    const name = VARIABLES + theirs.toUpperCase();
    const text = environment[name];
    if (ours === option.name() && text !== undefined) return { name, text };
  }
  return undefined;
}

/** Our name for a key of a config file. @throws UsageError for one that is gone */
export function ownNameOf(key: string, file: string): string {
  refuseGone(key, `${file}: "${key}"`);
  return RENAMED.get(key.toLowerCase()) ?? key;
}

function refuseGone(name: string, written: string): void {
  const instead = GONE.get(name.toLowerCase());
  if (instead !== undefined)
    throw new UsageError(`${written} is an option of Traefik Mesh that is not here: ${instead}`);
}

function hasOption(command: Command, name: string): boolean {
  return command.options.some((option) => option.name() === name);
}

function variableOf(name: string): string {
  return `TULLE_${name.toUpperCase().replaceAll("-", "_")}`;
}
