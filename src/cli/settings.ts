/**
 * Options from the command line, `TULLE_…` variables and a config file, in this order of weight. All three have the same
 * names: `--default-mode`, `TULLE_DEFAULT_MODE`, `default-mode:`.
 */
import { readFileSync } from "node:fs";
import { type Command, Option } from "commander";
import { parse } from "yaml";
import { nearest } from "../model/nearest.ts";
import { ownNameOf, refuseOldVariables, traefikMeshVariable } from "./traefik-mesh-options.ts";
import { UsageError } from "./usage-error.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

const PREFIX = "TULLE_";
/** A variable that is set to nothing is as good as not set. */
const SWITCHES = new Map([
  ["1", true],
  ["true", true],
  ["0", false],
  ["false", false],
  ["", false],
]);

function variableOf(flag: string): string {
  return PREFIX + flag.toUpperCase().replaceAll("-", "_");
}

/** An option that can also come from a variable or the config file. */
export function setting(flags: string, description: string): Option {
  const option = new Option(flags, description);
  return option.env(variableOf(option.name()));
}

export function configOption(): Option {
  return setting("--config <file>", "YAML file with options by their names, for what no flag and no variable says");
}

/** What commander takes for set whatever it says. @throws UsageError for one that is neither on nor off */
export function applySwitches(command: Command, environment: Environment): void {
  for (const option of command.options) {
    const key = option.attributeName();
    if (!option.isBoolean() || command.getOptionValueSource(key) !== "env") continue;
    const text = environment[option.envVar ?? ""] ?? "";
    const value = SWITCHES.get(text.toLowerCase());
    if (value === undefined) throw new UsageError(`${option.envVar}="${text}": it takes true or false`);
    command.setOptionValueWithSource(key, value, "env");
  }
}

/** Gives the command what Traefik Mesh's variables say and neither flags nor our own variables do. */
export function applyTraefikMeshVariables(command: Command, environment: Environment): void {
  for (const option of command.options) {
    const key = option.attributeName();
    const source = command.getOptionValueSource(key);
    const variable = traefikMeshVariable(option, environment);
    if (source === "cli" || source === "env" || variable === undefined || variable.text === "") continue;
    command.setOptionValueWithSource(key, parsed(`variable ${variable.name}`, option, [variable.text]), "env");
  }
}

/** Gives the command what the config file says and neither flags nor variables do. */
export function applyConfigFile(command: Command): void {
  const path = command.opts<{ config?: string }>().config;
  if (path === undefined) return;
  for (const [written, value] of Object.entries(readConfigFile(path))) {
    const name = command.options.some((each) => each.name() === written) ? written : ownNameOf(written, path);
    const option = command.options.find((candidate) => candidate.name() === name);
    if (option === undefined)
      throw new UsageError(`${path}: unknown option "${written}"${suggestion(name, namesOf(command))}`);
    const key = option.attributeName();
    const source = command.getOptionValueSource(key);
    if (source === "cli" || source === "env") continue;
    command.setOptionValueWithSource(key, fromFile(path, option, value), "config");
  }
}

/** What a command does about flags of which nothing comes. @param sentence names them, and what to do */
export type OnIdleFlags = (command: Command, sentence: string) => void;

/** For who sits before it. What carries the calls of others is not to stay down for that. */
export const refuseIdle: OnIdleFlags = (_, sentence) => {
  throw new UsageError(sentence);
};

/**
 * Flags of this prefix, where nothing comes of them. Variables and the config file may say such things for another
 * command, or for later.
 * @param remedy what there is not, and what to do
 * @returns one sentence, or none
 */
export function idleFlags(command: Command, prefix: string, remedy: string): string[] {
  const idle = command.options.filter(
    (option) => option.name().startsWith(prefix) && command.getOptionValueSource(option.attributeName()) === "cli",
  );
  return idle.length === 0 ? [] : [`${idle.map((option) => option.long).join(", ")}: ${remedy}`];
}

/** Takes variables of ours that are set to nothing out of the environment: they are as good as not set. */
export function dropEmptyVariables(command: Command, environment: Record<string, string | undefined>): void {
  for (const name of variablesOf(command)) if (environment[name] === "") delete environment[name];
}

/** Refuses a variable that is one of ours but for its spelling. Others of the prefix are not ours to judge. */
export function checkEnvironment(command: Command, environment: Environment): void {
  const known = variablesOf(command);
  refuseOldVariables(environment);
  for (const name of Object.keys(environment)) {
    if (!name.startsWith(PREFIX) || known.has(name)) continue;
    const meant = nearest(
      name.slice(PREFIX.length),
      [...known].map((each) => each.slice(PREFIX.length)),
    );
    if (meant !== undefined) throw new UsageError(`unknown variable ${name}: did you mean ${PREFIX}${meant}?`);
  }
}

/** Of the command, and of all below it. */
function variablesOf(command: Command): Set<string> {
  const found = new Set<string>();
  const visit = (each: Command) => {
    for (const option of each.options) if (option.envVar !== undefined) found.add(option.envVar);
    each.commands.forEach(visit);
  };
  visit(command);
  return found;
}

function namesOf(command: Command): string[] {
  return command.options.map((option) => option.name());
}

function suggestion(name: string, known: readonly string[]): string {
  const meant = nearest(name, known);
  return meant === undefined ? `; it takes ${known.join(", ")}` : `: did you mean "${meant}"?`;
}

function readConfigFile(path: string): Record<string, unknown> {
  if (path.endsWith(".toml")) throw new UsageError(`config file ${path}: write it as YAML, TOML is not read`);
  let value: unknown;
  try {
    value = parse(readFileSync(path, "utf8")) ?? {};
  } catch (error) {
    throw new UsageError(`config file ${path}: ${(error as Error).message}`);
  }
  if (typeof value !== "object" || Array.isArray(value))
    throw new UsageError(`config file ${path}: expected options by name, such as "acl: on"`);
  return value as Record<string, unknown>;
}

function fromFile(path: string, option: Option, value: unknown): unknown {
  // YAML 1.2 reads `on` and `off` as text and `true` as a boolean; `acl: true` is the same as `--acl true`.
  if (option.isBoolean()) {
    if (typeof value === "boolean") return value;
    throw new UsageError(`config file ${path}: ${option.name()} takes true or false`);
  }
  return parsed(`config file ${path}`, option, (Array.isArray(value) ? value : [value]).map(String));
}

/** @throws UsageError that begins with `where` */
function parsed(where: string, option: Option, texts: readonly string[]): unknown {
  if (option.parseArg === undefined) return option.variadic ? texts : texts[0];
  try {
    return texts.reduce<unknown>((previous, text) => option.parseArg?.(text, previous as never), undefined);
  } catch (error) {
    throw new UsageError(`${where}: ${option.name()}: ${(error as Error).message}`);
  }
}
