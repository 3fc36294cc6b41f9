import { Command } from "commander";
import { expect, test } from "vitest";
import { applySwitches, dropEmptyVariables, type Environment, setting } from "./settings.ts";

/** What a switch is, with this in its variable. */
function switchOf(text: string): unknown {
  const environment: Environment = { TULLE_JSON: text };
  const command = new Command().addOption(setting("--json", "")).action(() => undefined);
  // Commander reads what the process has; this is what it makes of a variable that is set.
  command.setOptionValueWithSource("json", true, "env");
  applySwitches(command, environment);
  return command.opts()["json"];
}

test.each([
  ["0", false],
  ["false", false],
  ["", false],
  ["1", true],
  ["TRUE", true],
])("a switch whose variable is %j is %j", (text, on) => {
  expect(switchOf(text)).toBe(on);
});

test("a switch that is neither on nor off is refused", () => {
  expect(() => switchOf("maybe")).toThrow('TULLE_JSON="maybe": it takes true or false');
});

test("a variable of ours that is set to nothing is as good as not set, of whichever command", () => {
  const program = new Command();
  program.command("run").addOption(setting("--file <file>", ""));
  const environment = { TULLE_FILE: "", TULLE_OTHER: "", HOME: "" };
  dropEmptyVariables(program, environment);
  expect(environment).toEqual({ TULLE_OTHER: "", HOME: "" });
});
