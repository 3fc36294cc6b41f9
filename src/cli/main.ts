/** The command line: which command, with which options; errors to standard error, exit codes 0, 1 and 2. */
import { Command, CommanderError } from "commander";
import { nearest } from "../model/nearest.ts";
import { addCleanup, addController, addMigrate, addPrepare, addProxy } from "./cluster-commands.ts";
import { EXIT_FINE, EXIT_PROBLEMS, EXIT_USAGE } from "./exit-codes.ts";
import { leaveGoneTerminals } from "./gone-terminals.ts";
import { addCheck, addExplain, addExport, addLocal } from "./manifest-commands.ts";
import type { OnResult } from "./new-command.ts";
import { checkEnvironment, dropEmptyVariables } from "./settings.ts";
import { inOurSpelling } from "./traefik-mesh-options.ts";
import { UsageError } from "./usage-error.ts";
import { version } from "./version.ts";
import { addGraph, addStatus, addTap, addTop } from "./view-commands.ts";

const versions = (): string => `tulle ${version()}\nnode ${process.versions.node}\n${process.platform}/${process.arch}`;

/** They run until they are told to stop. */
const SERVING: readonly string[] = ["local", "proxy", "controller"];

/** Runs the command and sets the exit code. The process ends when nothing of it is left. */
export async function main(args: readonly string[], environment: NodeJS.ProcessEnv): Promise<void> {
  let code: number = EXIT_FINE;
  leaveGoneTerminals();
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
    dropEmptyVariables(program, environment);
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
export function buildProgram(onResult: OnResult): Command {
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
