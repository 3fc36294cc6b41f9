// @ts-check
/** The images that the whoami example names, for clusters that reach no registry: Tulle's own samples, and a shell. */
import { fileEntry } from "./entries.mjs";
import { findProgram } from "./find-program.mjs";
import { PATH, systemFiles } from "./runtime-layer.mjs";
import { sharedLibraries } from "./shared-libraries.mjs";

/** By the program that the image runs. */
export const SAMPLES = [
  { program: "whoami", name: "traefik/whoami:v1.6.0", port: "80/tcp" },
  { program: "whoamitcp", name: "traefik/whoamitcp:v0.1.0", port: "8080/tcp" },
  { program: "whoamiudp", name: "traefik/whoamiudp:v0.1.0", port: "8080/udp" },
];

/** `/whoami` and so on, for manifests that name the program as their command. */
export function programLinks() {
  return SAMPLES.map(({ program }) => ({ path: program, link: "/app/bin/tulle-sample" }));
}

/** @param {(typeof SAMPLES)[number]} sample */
export function sampleConfig({ program, port }) {
  return {
    User: "0",
    Env: [PATH],
    Entrypoint: ["/usr/bin/node", "/app/bin/tulle-sample", program],
    ExposedPorts: { [port]: {} },
    WorkingDir: "/",
  };
}

export const TOOLS_IMAGE = "giantswarm/tiny-tools:3.9";
export const toolsConfig = { User: "0", Env: [PATH], Cmd: ["/bin/sh"], WorkingDir: "/" };

/** What the example and its tests call, with the Debian package that has it. */
const TOOLS = {
  curl: "curl",
  dig: "bind9-dnsutils",
  nc: "netcat-openbsd",
  sh: "dash",
  sleep: "coreutils",
  wget: "wget",
};
/** For loops in a shell; left out silently. */
const MORE_TOOLS = [
  "cat",
  "date",
  "env",
  "grep",
  "head",
  "hostname",

  "ls",
  "seq",
  "sort",
  "tail",
  "timeout",
  "uniq",
  "wc",
];

/**
 * @param {(message: string) => void} warn
 * @returns {Promise<import("./tar.mjs").Entry[]>}
 */
export async function toolEntries(warn) {
  const programs = new Map(
    [...Object.keys(TOOLS), ...MORE_TOOLS].flatMap((name) => {
      const file = findProgram(name);
      return file === undefined ? [] : [[name, file]];
    }),
  );
  for (const [name, debian] of Object.entries(TOOLS))
    if (!programs.has(name)) warn(`${TOOLS_IMAGE} is without ${name}: not on this machine (Debian: ${debian})`);
  return [
    ...systemFiles(),
    // As where merged: /bin/sh is /usr/bin/sh.
    { path: "bin", link: "usr/bin" },
    ...(await sharedLibraries([...programs.values()])),
    ...(await Promise.all([...programs].map(([name, file]) => fileEntry(file, `usr/bin/${name}`)))),
  ];
}
