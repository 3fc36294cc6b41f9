/** `npm run fuzz [-- --minutes N] [--seed N]`: the fuzz of test/fuzz for so long; by default ten minutes. */
import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: { minutes: { type: "string", default: "10" }, seed: { type: "string" } },
});
const env = { ...process.env, TULLE_FUZZ_MINUTES: values.minutes };
if (values.seed !== undefined) env.TULLE_FUZZ_SEED = values.seed;
const { status } = spawnSync("npx", ["vitest", "run", "--reporter=verbose", "test/fuzz"], { env, stdio: "inherit" });
process.exitCode = status ?? 1;
