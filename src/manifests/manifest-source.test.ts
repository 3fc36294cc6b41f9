import { execFileSync } from "node:child_process";
import { mkdir, rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Clock } from "../model/clock.ts";
import { problem } from "../model/problems.ts";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import type { ManifestSource, ManifestUpdate } from "./manifest-source.ts";
import { ManifestFolder, service, services } from "./testkit/manifest-folder.ts";

let folder: string;
let at: ManifestFolder;
let abort: AbortController;
beforeEach(async () => {
  at = await ManifestFolder.make();
  folder = at.path;
  abort = new AbortController();
});
afterEach(() => abort.abort());

const put = (name: string, text: string) => at.put(name, text);
const open = (paths?: readonly string[], clock?: Clock) => at.open(paths, clock);
const told = (update: ManifestUpdate) => at.told(update);

/** The next update of a watched source. */
function next(source: ManifestSource): () => Promise<ManifestUpdate> {
  const updates: ManifestUpdate[] = [];
  let wake: (() => void) | undefined;
  source.watch(async (update) => {
    updates.push(update);
    wake?.();
  }, abort.signal);
  return async () => {
    while (updates.length === 0)
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    return updates.shift() as ManifestUpdate;
  };
}

describe("a load", () => {
  test("reads files, folders in folders, several documents, Lists and JSON, and passes over the rest", async () => {
    await mkdir(join(folder, "more"));
    await put("a.yaml", service("a") + service("b"));
    await put("more/c.json", JSON.stringify({ apiVersion: "v1", kind: "Service", metadata: { name: "c" }, spec: {} }));
    await put(
      "list.yml",
      `apiVersion: v1\nkind: List\nitems:\n${service("d").replace("---\n", "").replace(/^/gm, "    ").replace("    ", "  - ").trimEnd()}\n`,
    );
    await put("notes.txt", "not: [a manifest");
    await put(".hidden.yaml", service("hidden"));
    const source = open();
    expect((await source.load()).problems).toEqual([]);
    expect(services(source)).toEqual(["a", "b", "c", "d"]);
  });

  test("gives each problem the line of its field, in a List too", async () => {
    await put("a.yaml", `${service("good")}${service("bad", 99999)}`);
    await put(
      "b.yaml",
      "kind: List\nitems:\n  - apiVersion: v1\n    kind: Service\n    metadata:\n      name: listed\n    spec:\n      type: Nope\n",
    );
    expect(told(await open().load())).toEqual(["ManifestInvalid bad a.yaml:16", "ManifestInvalid listed b.yaml:8"]);
  });

  test.each([
    ["[\n", 1],
    ["a: [\nb: c\n", 2],
    ["a:\n  - 'b\n\n", 3],
  ])("gives a text that ends too early no line beyond its last: %j", async (text, last) => {
    await put("a.yaml", text);
    const [found] = (await open().load()).problems;
    expect([found?.problem.code, found?.line]).toEqual(["ManifestSyntax", expect.any(Number)]);
    expect(found?.line).toBeGreaterThanOrEqual(1);
    expect(found?.line).toBeLessThanOrEqual(last);
  });

  test("keeps the first of two objects with one name, and says where it is", async () => {
    await put("a.yaml", service("same", 80));
    await put("b.yaml", service("same", 81));
    const source = open();
    const update = await source.load();
    expect(told(update)).toEqual(["DuplicateObject same b.yaml:2"]);
    expect(update.problems[0]?.problem.message).toContain(`it is in ${join(folder, "a.yaml")} already`);
    expect(source.state.get("Service", "default/same")?.ports[0]?.port).toBe(80);
  });

  test("names a file that is broken, duplicates keys, or multiplies itself, and reads the others", async () => {
    await put("broken.yaml", "kind: [\n");
    await put("keys.yaml", "kind: A\nkind: B\n");
    await put(
      "bomb.yaml",
      `a: &a [x, x, x, x, x, x, x, x, x]\n${"bcdefghi"
        .split("")
        .map((name, index) => `${name}: &${name} [${Array(9).fill(`*${"abcdefgh"[index]}`).join(", ")}]`)
        .join("\n")}\n`,
    );
    await put("good.yaml", service("good"));
    const source = open([folder, join(folder, "missing")]);
    const codes = told(await source.load()).map((line) => line.split(" ")[0]);
    expect(codes.sort()).toEqual(["FileUnreadable", "ManifestSyntax", "ManifestSyntax", "ManifestSyntax"]);
    expect(services(source)).toEqual(["good"]);
  });

  test("reads once what links lead to twice, or in a circle", async () => {
    await put("a.yaml", service("a"));
    await symlink("a.yaml", join(folder, "again.yaml"));
    await symlink(".", join(folder, "loop"));
    await put("values.yaml", "replicas: 2\n---\nimage: x\n");
    const source = open();
    const update = await source.load();
    expect([update.files, services(source)]).toEqual([2, ["a"]]);
    expect(told(update)).toEqual([
      expect.stringMatching(/^NoManifest .*values.yaml values.yaml:1$/),
      expect.stringMatching(/^NoManifest .*values.yaml values.yaml:3$/),
    ]);
  });

  test("tells a second time only what has changed", async () => {
    await put("a.yaml", service("a") + service("b"));
    const source = open();
    expect((await source.load()).delta.put).toHaveLength(2);
    expect((await source.load()).delta).toEqual({ put: [], remove: [] });
  });
});

test("an object whose group or version is broken by an edit stays as it was", async () => {
  const split = (group: string) =>
    `{apiVersion: ${group}, kind: TrafficSplit, metadata: {name: t}, spec: {service: s, backends: []}}\n`;
  await put("a.yaml", split("split.smi-spec.io/v1alpha3"));
  const source = open();
  await source.load();
  for (const group of ["split.smi-spec.io/v9", "smi-spec.io/v1alpha3"]) {
    await put("a.yaml", split(group));
    const { delta, problems } = await source.load();
    expect(delta).toEqual({ put: [], remove: [] });
    expect(problems[0]?.problem.message).toContain("stays as it was before");
  }
});

test("an object that was wrong from the beginning is said to be left out, also when another edit leaves it wrong", async () => {
  await put("a.yaml", service("a", 99999));
  const source = open();
  for (const port of [99999, 88888]) {
    await put("a.yaml", service("a", port));
    expect((await source.load()).problems[0]?.problem.message).toContain(
      ": the object is left out; correct the field.",
    );
  }
  await put("a.yaml", service("a", 80));
  expect((await source.load()).problems).toEqual([]);
  for (const text of [service("a", 99999), `${service("a", 77777)}${service("b", 99999)}`]) {
    await put("a.yaml", text);
    const [kept, left] = (await source.load()).problems.map(({ problem: { message } }) => message);
    expect(kept).toContain(": the object stays as it was before; correct the field.");
    if (left !== undefined) expect(left).toContain("the object is left out");
  }
  expect(source.state.size("Service")).toBe(1);
});

describe("what cannot be read for a moment", () => {
  const two = () => put("a.yaml", `${service("a")}${service("b", 99999)}`);
  const addresses = (source: ManifestSource) => [...source.state.list("Service")].map(({ clusterIPs }) => clusterIPs);

  test.each([
    ["is moved away", async () => {}],
    // Even root may not read a link to itself.
    ["may not be read", () => symlink(folder, folder)],
  ])("keeps objects, addresses and problems of a given folder that %s", async (_, instead) => {
    await two();
    const source = open();
    const before = await source.load();
    const given = addresses(source);
    await rename(folder, `${folder}-away`);
    await instead();
    const during = await source.load();
    expect([during.delta, during.files]).toEqual([{ put: [], remove: [] }, 1]);
    expect(told(during)).toEqual([expect.stringMatching(/^FileUnreadable/), ...told(before)]);
    await rm(folder, { force: true });
    await rename(`${folder}-away`, folder);
    const after = await source.load();
    expect([after.delta, told(after)]).toEqual([{ put: [], remove: [] }, told(before)]);
    expect(addresses(source)).toEqual(given);
  });

  test("keeps a folder within, and with it which of two objects of one name is in force", async () => {
    await mkdir(join(folder, "one"));
    await put("one/a.yaml", service("same", 80));
    await put("two.yaml", service("same", 81));
    const source = open();
    await source.load();
    await rename(join(folder, "one"), join(folder, ".away"));
    await symlink("one", join(folder, "one"));
    const update = await source.load();
    expect(update.delta).toEqual({ put: [], remove: [] });
    expect(update.problems.map(({ problem }) => problem.code)).toEqual(["FileUnreadable", "DuplicateObject"]);
    await rm(join(folder, "one"));
    expect((await source.load()).delta.put).toMatchObject([{ ports: [{ port: 81 }] }]);
  });

  test("is not what was deleted from a folder that can be read", async () => {
    await mkdir(join(folder, "one"));
    await put("one/a.yaml", service("a"));
    await put("b.yaml", service("b"));
    const clock = new ManualClock();
    const source = open([folder], clock);
    await source.load();
    await rm(join(folder, "one"), { recursive: true });
    await source.load();
    clock.advance(400);
    expect((await source.load()).delta.remove).toMatchObject([{ name: "a" }]);
  });

  test("is read again as soon as it can be, without a change of its own", async () => {
    await put("a.yaml", service("a"));
    const source = open();
    await source.load();
    expect(await source.hasChanged()).toBe(false);
    await rename(folder, `${folder}-away`);
    expect(await source.hasChanged()).toBe(true);
    await source.load();
    expect(await source.hasChanged()).toBe(false);
    await rename(`${folder}-away`, folder);
    expect(await source.hasChanged()).toBe(true);
  });

  test("may be no file at all: a pipe is a problem, and the rest is read", async () => {
    await put("b.yaml", service("b"));
    const source = open();
    await source.load();
    execFileSync("mkfifo", [join(folder, "a.yaml")]);
    await put("b.yaml", service("b") + service("c"));
    const update = await source.load();
    expect(told(update)).toEqual([expect.stringMatching(/^FileUnreadable .* a.yaml:1$/)]);
    expect(services(source)).toEqual(["b", "c"]);
    expect(told(await open([join(folder, "a.yaml")]).load())).toEqual([expect.stringMatching(/^FileUnreadable/)]);
  });
});

test("a given folder without a manifest is a warning", async () => {
  await put("notes.txt", "nothing");
  expect(told(await open().load())).toEqual([expect.stringMatching(/^FolderWithoutManifests/)]);
  await put("a.yaml", service("a"));
  expect((await open([folder, folder, join(folder, "a.yaml")]).load()).problems).toEqual([]);
});

describe("a watch", () => {
  test("sees edits, new files, files moved into place and files that go", async () => {
    await put("a.yaml", service("a"));
    const source = open();
    await source.load();
    const update = next(source);
    await put("b.yaml", service("b"));
    expect((await update()).delta.put).toMatchObject([{ meta: { name: "b" } }]);
    await put("new.tmp", service("c"));
    await rename(join(folder, "new.tmp"), join(folder, "a.yaml"));
    expect((await update()).delta).toMatchObject({ put: [{ meta: { name: "c" } }], remove: [{ name: "a" }] });
    await rm(join(folder, "b.yaml"));
    expect((await update()).delta.remove).toMatchObject([{ name: "b" }]);
    expect(services(source)).toEqual(["c"]);
  });

  test("looks at what is held back when it is due, and does not wait for a poll", async () => {
    await put("a.yaml", service("a"));
    const clock = new ManualClock();
    const source = open([folder], clock);
    await source.load();
    const update = next(source);
    const [POLL, DEBOUNCE_MS, HOLD_MS] = [1, 25, 400];
    await rm(join(folder, "a.yaml"));
    while (clock.pending === POLL) await setImmediate();
    clock.advance(DEBOUNCE_MS);
    while (source.dueInMs === undefined) await setImmediate();
    await setImmediate();
    expect(clock.pending).toBeGreaterThan(POLL);
    clock.advance(HOLD_MS);
    clock.advance(DEBOUNCE_MS);
    expect((await update()).delta.remove).toMatchObject([{ name: "a" }]);
  });

  test("sees a folder that a link leads to being exchanged, as mounted ConfigMaps are", async () => {
    for (const version of ["v1", "v2"]) {
      await mkdir(join(folder, `..${version}`));
      await put(`..${version}/s.yaml`, service(version));
    }
    await symlink("..v1", join(folder, "data"));
    const source = open();
    await source.load();
    const update = next(source);
    await symlink("..v2", join(folder, "data.new"));
    await rename(join(folder, "data.new"), join(folder, "data"));
    await update();
    expect(services(source)).toEqual(["v2"]);
  });

  test("keeps in force what a broken file said, object by object, until it is mended", async () => {
    await put("a.yaml", service("a") + service("b"));
    const source = open();
    await source.load();
    const update = next(source);
    await put("a.yaml", `${service("a")}kind: [\n`);
    expect(told(await update())).toEqual([expect.stringMatching(/^ManifestSyntax/)]);
    expect(services(source)).toEqual(["a", "b"]);
    // What is in force of a file that cannot be read now stands where it stood.
    const kept = { kind: "Service", namespace: "default", name: "b" };
    const [located] = source.locate([problem("AnnotationInvalid", kept, "metadata.name", "")]);
    expect(located?.line).toBeGreaterThan(1);
    await put("a.yaml", service("a", 81) + service("b", 99999));
    expect(told(await update())).toEqual([expect.stringMatching(/^ManifestInvalid b/)]);
    expect(services(source)).toEqual(["a", "b"]);
    expect(source.state.get("Service", "default/a")?.ports[0]?.port).toBe(81);
    await put("a.yaml", service("a", 81));
    expect((await update()).problems).toEqual([]);
    expect(services(source)).toEqual(["a"]);
  });
});
