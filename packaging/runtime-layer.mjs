// @ts-check
/** What is below Tulle in an image: Node.js, its libraries, and the few files that a C library looks for. */
import { fileEntry, textEntry } from "./entries.mjs";
import { findProgram } from "./find-program.mjs";
import { sharedLibraries } from "./shared-libraries.mjs";

export const NONROOT = 65532;
export const PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export async function runtimeEntries() {
  const env = findProgram("env");
  if (env === undefined) throw new Error("env is not installed (Debian: coreutils); bin/tulle is started by it");
  return [
    ...systemFiles(),
    ...(await sharedLibraries([process.execPath, env])),
    await fileEntry(process.execPath, "usr/bin/node"),
    await fileEntry(env, "usr/bin/env"),
  ];
}

/** @returns {import("./tar.mjs").Entry[]} */
export function systemFiles() {
  return [
    textEntry(
      "etc/passwd",
      `root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:${NONROOT}:${NONROOT}:nonroot:/:/sbin/nologin\n`,
    ),
    textEntry("etc/group", `root:x:0:\nnonroot:x:${NONROOT}:\n`),
    textEntry("etc/nsswitch.conf", "hosts: files dns\n"),
    { path: "tmp", folder: true, mode: 0o1777 },
  ];
}
