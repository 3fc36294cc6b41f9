/**
 * What users of Traefik Mesh rely on, by real calls: on Tulle's own proxy, and on a stock Traefik with the configuration
 * that Tulle gives it. docs/traefik.md has the outcomes side by side; `-u` writes them there.
 */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CERTIFICATE } from "../../src/model/testkit/certificate.ts";
import { RunningMesh } from "../running-mesh.ts";
import { ACCESS } from "./access-chapter.ts";
import { type Chapter, outcomeOn } from "./behaviour.ts";
import { Calls, ENGINES, type Engine, type EngineName } from "./engine.ts";
import { FarEnds } from "./far-ends.ts";
import { OPEN } from "./open-chapter.ts";
import { findTraefik, TraefikEngine } from "./traefik-engine.ts";
import { tulleEngine } from "./tulle-engine.ts";

const CHAPTERS: readonly Chapter[] = [OPEN, ACCESS];
const traefik = findTraefik();
if (traefik === undefined)
  process.stderr.write("behaviours: no Traefik on the PATH, in TULLE_TRAEFIK or in ~/.cache/tulle-cluster: left out\n");

const startEngine: Readonly<Record<EngineName, (mesh: RunningMesh) => Promise<Engine>>> = {
  Tulle: async (mesh) => tulleEngine(mesh),
  Traefik: (mesh) => TraefikEngine.start(mesh, traefik as string),
};

/** Each behaviour of a chapter, on an engine of its own. */
function behaviourSuite(name: EngineName, chapter: Chapter): void {
  let far: FarEnds;
  let mesh: RunningMesh;
  let engine: Engine;
  beforeAll(async () => {
    far = await FarEnds.start();
    const options = { trustedCa: CERTIFICATE };
    mesh = await RunningMesh.start({ "a.yaml": chapter.manifests(far) }, chapter.accessControl, options);
    engine = await startEngine[name](mesh);
  });
  afterAll(async () => {
    await engine?.close();
    await mesh?.close();
    await far?.close();
  });

  for (const behaviour of chapter.behaviours)
    test(`${behaviour.title}: ${outcomeOn(name, behaviour)}`, async () => {
      expect(await behaviour.run(new Calls(engine))).toBe(outcomeOn(name, behaviour));
    });
}

for (const name of ENGINES)
  for (const chapter of CHAPTERS)
    describe.skipIf(name === "Traefik" && traefik === undefined)(`${name}. ${chapter.title}`, () =>
      behaviourSuite(name, chapter),
    );

/** What is below it in docs/traefik.md is written here. */
const MARK = "## Side by side";

/** The tables of docs/traefik.md. */
function tables(): string {
  return CHAPTERS.map(({ title, behaviours }) => {
    const rows = behaviours.map((behaviour) => {
      const [tulle, stock] = ENGINES.map((name) => outcomeOn(name, behaviour));
      return `| ${behaviour.title} | ${tulle} | ${tulle === stock ? "the same" : stock} |`;
    });
    return `### ${title}\n\n| behaviour | Tulle | Traefik |\n|---|---|---|\n${rows.join("\n")}\n`;
  }).join("\n");
}

test("docs/traefik.md has each behaviour, and what comes of it on both", async () => {
  const page = new URL("../../docs/traefik.md", import.meta.url);
  const [before = ""] = readFileSync(page, "utf8").split(MARK);
  await expect(`${before}${MARK}\n\n${tables()}`).toMatchFileSnapshot(page.pathname);
});
