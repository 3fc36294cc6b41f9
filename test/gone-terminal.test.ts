/** How processes end whose terminal is closed, and gone by then. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { freePorts } from "../src/model/testkit/free-ports.ts";
import { ANY_PORTS, folderOf, ROOT } from "./tulle-process.ts";
import { until } from "./until.ts";

/** Of util-linux: it runs a command at a terminal of its own. */
const HAS_SCRIPT = spawnSync("script", ["--version"]).status === 0;

const read = (file: string) => (existsSync(file) ? readFileSync(file, "utf8") : "");

/**
 * Runs it at a terminal that is closed once the command has said something there, or on standard error.
 * @returns its exit code, and what it said on standard error
 */
async function atTerminal(args: readonly string[], said: string): Promise<{ code: string; err: string }> {
  const folder = await folderOf("none", "");
  const [code, err] = [join(folder, "code"), join(folder, "err")];
  const command = [process.execPath, join(ROOT, "bin/tulle"), ...args, "2>", err].join(" ");
  // As a shell at a terminal does: it tells its jobs that that is closed.
  const shell = `${command} & trap "kill -HUP $!" HUP; wait $!; wait $!; echo $? > ${code}.new; mv ${code}.new ${code}`;
  const env = { PATH: process.env["PATH"] ?? "", HOME: "/nonexistent", SHELL: "/bin/sh" };
  const terminal = spawn("script", ["--quiet", "--command", shell, "/dev/null"], { env });
  onTestFinished(() => void terminal.kill("SIGKILL"));
  let out = "";
  terminal.stdout.on("data", (bytes) => {
    out += bytes;
  });
  await until(() => out.includes(said) || read(err).includes(said));
  terminal.kill("SIGKILL");
  await until(() => existsSync(code));
  return { code: read(code), err: read(err) };
}

const NO_ABORT = expect.not.stringContaining("Assertion failed");

test.skipIf(!HAS_SCRIPT)("tulle local ends with 0", async () => {
  expect(await atTerminal(["local", ...ANY_PORTS], "Ctrl-C ends.")).toEqual({ code: "0\n", err: NO_ABORT });
});

test.skipIf(!HAS_SCRIPT)("tulle proxy ends with 0, and its workers do", async () => {
  const [dns, health, metrics, admin] = await freePorts(4);
  const file = join(await folderOf("none", "none"), "none");
  const args = ["proxy", "--workers=2", "--lame-duck=0", "--drain=1", `--state-dir=${join(file, "..")}`];
  const ports = [`--dns-port=${dns}`, `--health-port=${health}`, `--metrics-port=${metrics}`, `--admin-port=${admin}`];
  const none = ["--controller=127.0.0.1:1", `--ca-file=${file}`, `--token-file=${file}`, "--address=127.0.0.1"];
  const ended = await atTerminal([...args, ...ports, ...none], "nothing is in force yet");
  expect(ended).toEqual({ code: "0\n", err: NO_ABORT });
});
