/**
 * A sample image's program as a process of its own, which is what a container of that image runs: it takes the image's
 * flags and variables, listens on every address, and ends at SIGTERM when the requests under way are answered.
 */
import { hostname, networkInterfaces } from "node:os";
import { basename } from "node:path";
import { SAMPLE_PROGRAMS, type SampleSpec, sampleOfProgram } from "../local/samples/sample-images.ts";
import { type RunningSample, startSample } from "../local/samples/samples.ts";
import { systemClock } from "../model/clock.ts";
import { EXIT_FINE, EXIT_PROBLEMS, EXIT_USAGE } from "./exit-codes.ts";
import { leaveGoneTerminals } from "./gone-terminals.ts";
import type { Environment } from "./settings.ts";
import { stderrLog } from "./stderr-log.ts";
import { stopSignals } from "./stop-signals.ts";

/** Less than the 30 s that Kubernetes gives a container. */
const REQUEST_DRAIN_MS = 25_000;
const EVERY_ADDRESS = "::";
const EVERY_IPV4_ADDRESS = "0.0.0.0";

const USAGE = `tulle-sample PROGRAM [the image's flags]

PROGRAM is one of ${SAMPLE_PROGRAMS.join(", ")}; a link of that name to this file needs no PROGRAM.
  --port N    where to listen, 0: any (whoami: 80, or WHOAMI_PORT_NUMBER; the others: 8080)
  --name S    printed as "Name:" (whoami: or WHOAMI_NAME)
  --verbose   each call is logged
  --banner    (whoamitcp) a connection is greeted
`;

/**
 * Serves until SIGTERM, SIGINT or SIGHUP.
 * @param link by what path the file was started
 * @returns the exit code
 */
export async function runSample(link: string, args: readonly string[], environment: Environment): Promise<number> {
  const linked = basename(link);
  const [program = "", ...flags] = SAMPLE_PROGRAMS.includes(linked) ? [linked, ...args] : args;
  if (program === "--help") {
    process.stdout.write(USAGE);
    return EXIT_FINE;
  }
  const spec = sampleOfProgram(program, flags, environment);
  if (spec === undefined || spec.unusable !== undefined) {
    process.stderr.write(spec === undefined ? USAGE : `${spec.unusable}\n`);
    return EXIT_USAGE;
  }
  leaveGoneTerminals();
  const stop = stopSignals();
  try {
    const sample = await startEverywhere(spec);
    process.stderr.write(`Starting up on port ${sample.port}\n`);
    await stop.asked;
    await sample.close();
    return EXIT_FINE;
  } catch (error) {
    process.stderr.write(`${program}: ${(error as Error).message}\n`);
    return EXIT_PROBLEMS;
  } finally {
    stop.release();
  }
}

/** On IPv4 alone where the machine has no IPv6. */
async function startEverywhere(spec: SampleSpec): Promise<RunningSample> {
  const start = (address: string) =>
    startSample(spec, {
      podName: hostname(),
      address,
      ownAddresses: interfaceAddresses(),
      requestDrainMs: REQUEST_DRAIN_MS,
      log: stderrLog(),
      clock: systemClock,
    });
  try {
    return await start(EVERY_ADDRESS);
  } catch (error) {
    const { code } = (error as Error).cause as NodeJS.ErrnoException;
    if (code !== "EAFNOSUPPORT" && code !== "EADDRNOTAVAIL") throw error;
    return start(EVERY_IPV4_ADDRESS);
  }
}

function interfaceAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((addresses = []) => addresses.map(({ address }) => address));
}
