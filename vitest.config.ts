import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Those of test/ start processes and browsers, some of them for long: none of them is left over when the others are done. */
class ProcessesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const startsProcesses = ({ moduleId }: TestSpecification) => moduleId.startsWith(`${import.meta.dirname}/test/`);
    return [...sorted.filter(startsProcesses), ...sorted.filter((file) => !startsProcesses(file))];
  }
}

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    sequence: { sequencer: ProcessesFirst },
    // A process for each file would spend more time on its start and on loading the same modules than on most tests. Our
    // modules keep no state, and what a test opens it closes, so that none has to have a process of its own.
    isolate: false,
    // Most of the time of most tests is waiting for sockets and processes: on two cores, three take a seventh less than two.
    maxWorkers: availableParallelism() + 1,
    // For what hangs, and no measure of speed: machines that run tests are busy with others.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
