import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    // Most of the time of most tests is waiting for sockets and processes.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    // For what hangs, and no measure of speed: machines that run tests are busy with others.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
