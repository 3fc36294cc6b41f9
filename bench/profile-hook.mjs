/**
 * Preloaded into the process that is profiled (`node --import`): SIGUSR2 starts a CPU profile, a second one ends it and
 * writes it to the file that TULLE_PROFILE names, whole or not at all.
 */
import { renameSync, writeFileSync } from "node:fs";
import { Session } from "node:inspector";

const SAMPLE_EVERY_MICROS = 200;
const session = new Session();
session.connect();
session.post("Profiler.enable");
session.post("Profiler.setSamplingInterval", { interval: SAMPLE_EVERY_MICROS });
let running = false;

process.on("SIGUSR2", () => {
  if (!running) {
    running = true;
    session.post("Profiler.start");
    return;
  }
  running = false;
  session.post("Profiler.stop", (error, result) => {
    if (error !== null) return console.error(`profile: ${error.message}`);
    const file = process.env.TULLE_PROFILE;
    writeFileSync(`${file}.part`, JSON.stringify(result.profile));
    renameSync(`${file}.part`, file);
  });
});
