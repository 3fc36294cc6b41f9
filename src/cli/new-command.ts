import type { Command } from "commander";
import { applyConfigFile, applySwitches, applyTraefikMeshVariables, configOption } from "./settings.ts";

/** Gets the exit code of a command that has ended. */
export type OnResult = (code: number) => void;

/** A command whose action gets its options after the config file had its say. */
export function newCommand(program: Command, name: string, description: string): Command {
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
