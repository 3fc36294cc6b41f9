/** Each `testdata/<case>.in.yaml` against its `.out.yaml`; `npx vitest run src/migrate -u` rewrites these. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parseAllDocuments, stringify } from "yaml";
import { LoopbackAddresses } from "../manifests/loopback-addresses.ts";
import { parseManifest } from "../manifests/manifest-file.ts";
import { materialize } from "../manifests/materialize.ts";
import { ClusterState } from "../model/cluster-state.ts";
import { formatRef } from "../model/objects.ts";
import { DIFFERENCES } from "./difference.ts";
import { rawObjects } from "./installation.ts";
import { type Migration, planMigration } from "./migration.ts";
import { isTree, type Values } from "./value-tree.ts";

const FOLDER = new URL("./testdata/", import.meta.url);
const CASES = readdirSync(FOLDER)
  .filter((path) => path.endsWith(".in.yaml"))
  .map((path) => path.slice(0, -".in.yaml".length))
  .sort();

function migrationOf(name: string): Migration {
  const text = readFileSync(new URL(`${name}.in.yaml`, FOLDER), "utf8");
  const documents = parseAllDocuments(text).map((document) => document.toJS() as Values);
  const [first = {}] = documents;
  const { values, namespace } = first["kind"] === "MigrationInput" ? first : {};
  const entries = parseManifest(name, text).entries.filter(({ ref }) => ref.kind !== "MigrationInput");
  const { objects } = materialize(
    entries.flatMap((entry) => entry.objects),
    new LoopbackAddresses(),
  );
  return planMigration({
    state: ClusterState.of(objects),
    workloads: documents.flatMap(rawObjects),
    ...(isTree(values) ? { values } : {}),
    ...(typeof namespace === "string" ? { namespace } : {}),
  });
}

describe.each(CASES)("%s", (name) => {
  test("is reported as its pair says", async () => {
    const { differences, ...rest } = migrationOf(name);
    const lines = differences.map(
      ({ effect, code, object, field, detail }) => `${effect} ${code} ${formatRef(object)} ${field}: ${detail}`,
    );
    const out = stringify({ ...rest, differences: lines }, { aliasDuplicateObjects: false, lineWidth: 0 });
    await expect(out).toMatchFileSnapshot(new URL(`${name}.out.yaml`, FOLDER).pathname);
  });
});

test("every difference is in a case", () => {
  const found = new Set(CASES.flatMap((name) => migrationOf(name).differences.map(({ code }) => code)));
  expect([...found].sort()).toEqual(Object.keys(DIFFERENCES).sort());
});
