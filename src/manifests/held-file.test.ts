import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { problem } from "../model/problems.ts";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import type { ManifestSource, ManifestUpdate } from "./manifest-source.ts";
import { ManifestFolder, service, services } from "./testkit/manifest-folder.ts";

let folder: string;
let at: ManifestFolder;
beforeEach(async () => {
  at = await ManifestFolder.make();
  folder = at.path;
});

const put = (name: string, text: string) => at.put(name, text);
const told = (update: ManifestUpdate) => at.told(update);

describe("a file that has lost objects", () => {
  const NOTHING = { put: [], remove: [] };
  const whole = service("a") + service("b");
  let clock: ManualClock;
  let source: ManifestSource;
  beforeEach(async () => {
    await put("a.yaml", whole);
    clock = new ManualClock();
    source = at.open([folder], clock);
    await source.load();
  });
  const load = async () => {
    const { delta, problems } = await source.load();
    return { delta, problems };
  };
  const gone = () => rm(join(folder, "a.yaml"));
  // Another size too, as two writes may have the same time.
  const half = (port: number) => put("a.yaml", `${service("a", port)}${"#".repeat(port)}\n`);

  test.each([
    ["has nothing but comments", () => put("a.yaml", "# none\n"), ["a", "b"]],
    ["ends early", () => put("a.yaml", service("a", 81)), ["b"]],
    ["is gone", gone, ["a", "b"]],
  ])("and %s stays as it was for 400 ms, and has lost nothing where it is whole by then", async (_, lose, lost) => {
    await lose();
    expect(await load()).toEqual({ delta: NOTHING, problems: [] });
    clock.advance(399);
    expect(await source.hasChanged()).toBe(false);
    expect(await load()).toEqual({ delta: NOTHING, problems: [] });
    await put("a.yaml", whole);
    expect(await load()).toEqual({ delta: NOTHING, problems: [] });
    expect(source.dueInMs).toBeUndefined();

    await lose();
    await load();
    expect(source.dueInMs).toBe(400);
    clock.advance(400);
    expect(await source.hasChanged()).toBe(true);
    expect((await load()).delta.remove.map(({ name }) => name)).toEqual(lost);
    expect([source.dueInMs, services(source)]).toEqual([undefined, lost.includes("a") ? [] : ["a"]]);
  });

  test("stays as it was while it goes on changing, 2 s at most", async () => {
    for (let port = 81; port < 87; port++) {
      await half(port);
      expect((await load()).delta).toEqual(NOTHING);
      clock.advance(333);
    }
    await half(87);
    expect((await load()).delta).toEqual(NOTHING);
    expect(source.dueInMs).toBe(2);
    clock.advance(2);
    expect((await load()).delta).toMatchObject({ put: [{ ports: [{ port: 87 }] }], remove: [{ name: "b" }] });
  });

  describe("and is empty for 400 ms", () => {
    const EMPTIED = [expect.stringMatching(/^ManifestEmptied .*a\.yaml:1$/)];
    const emptied = async (text = "\n") => {
      await put("a.yaml", text);
      expect(await load()).toEqual({ delta: NOTHING, problems: [] });
      clock.advance(400);
      expect(await source.hasChanged()).toBe(true);
      const update = await source.load();
      expect([update.delta, told(update)]).toEqual([NOTHING, EMPTIED]);
    };

    test("keeps its objects until it says something, and has a problem meanwhile", async () => {
      await emptied();
      expect([source.dueInMs, await source.hasChanged()]).toEqual([undefined, false]);
      // Emptied again, or looked at, it is no less empty.
      await put("a.yaml", "");
      clock.advance(60_000);
      const again = await source.load();
      expect([again.delta, told(again), source.dueInMs]).toEqual([NOTHING, EMPTIED, undefined]);
      // Where the line of an object is asked for, it is that where it stood.
      const kept = { kind: "Service", namespace: "default", name: "b" };
      expect(source.locate([problem("AnnotationInvalid", kept, "metadata.name", "")])[0]?.line).toBeGreaterThan(1);
      await put("a.yaml", whole);
      expect(await load()).toEqual({ delta: NOTHING, problems: [] });
    });

    test("has lost nothing where half of it comes then, and all of it soon after", async () => {
      await emptied();
      clock.advance(60_000);
      await half(80);
      expect((await load()).delta).toEqual(NOTHING);
      expect(source.dueInMs).toBe(400);
      await put("a.yaml", whole);
      expect([await load(), source.dueInMs]).toEqual([{ delta: NOTHING, problems: [] }, undefined]);
    });

    test("loses what it said when it is deleted, and what it does not say when it says something again", async () => {
      await emptied();
      await half(81);
      await load();
      clock.advance(400);
      expect((await load()).delta).toMatchObject({ put: [{ ports: [{ port: 81 }] }], remove: [{ name: "b" }] });
      await emptied("");
      await gone();
      expect((await load()).delta).toEqual(NOTHING);
      clock.advance(400);
      expect((await load()).delta.remove).toMatchObject([{ name: "a" }]);
    });

    test("has nothing to keep where other files hold its objects", async () => {
      await emptied();
      await put("c.yaml", service("b", 82));
      const update = await source.load();
      expect([told(update), services(source)]).toEqual([EMPTIED, ["a", "b"]]);
      expect(source.state.get("Service", "default/b")?.ports[0]?.port).toBe(82);
      await put("d.yaml", service("a"));
      expect((await load()).problems).toEqual([]);
      expect(source.dueInMs).toBeUndefined();
      await rm(join(folder, "d.yaml"));
      await load();
      clock.advance(400);
      expect((await load()).delta.remove).toMatchObject([{ name: "a" }]);
    });
  });

  test("to another one has lost nothing: what moves is in force from there at once", async () => {
    await rename(join(folder, "a.yaml"), join(folder, "b.yaml"));
    expect(await load()).toEqual({ delta: NOTHING, problems: [] });
    expect(source.dueInMs).toBeUndefined();
    await put("b.yaml", "");
    await put("c.yaml", service("a", 81));
    for (let look = 0; look < 2; look++) expect((await load()).problems).toEqual([]);
    expect(source.state.get("Service", "default/a")?.ports[0]?.port).toBe(81);
    expect(services(source)).toEqual(["a", "b"]);
  });

  test("in part has its other objects set with the loss, so that half a file is never in force", async () => {
    await put("a.yaml", service("b", 8081) + service("c"));
    expect(await load()).toEqual({ delta: NOTHING, problems: [] });
    clock.advance(400);
    const { put: set, remove } = (await load()).delta;
    expect([set, remove]).toMatchObject([[{ ports: [{ port: 8081 }] }, { meta: { name: "c" } }], [{ name: "a" }]]);
  });

  test("and cannot be read then stays as it was until it can be", async () => {
    await put("a.yaml", "# none\n");
    await load();
    await rename(folder, `${folder}-away`);
    clock.advance(5000);
    expect((await load()).delta).toEqual(NOTHING);
    expect(source.dueInMs).toBeUndefined();
    await rename(`${folder}-away`, folder);
    expect((await load()).delta).toEqual(NOTHING);
    clock.advance(400);
    expect((await load()).delta.remove).toHaveLength(2);
  });
});

test("what the files say is in force when they have been at rest, whatever they said between", async () => {
  const NAMES = ["a", "b", "c"];
  const anyText = fc
    .subarray(NAMES)
    .chain((names) => fc.tuple(...names.map((name) => fc.tuple(fc.constant(name), fc.integer({ min: 1, max: 3 })))))
    .map((objects) => objects.map(([name, port]) => service(name, port)).join(""));
  const anyStep = fc.record({
    file: fc.constantFrom("x.yaml", "y.yaml"),
    text: fc.oneof({ weight: 3, arbitrary: anyText }, fc.constantFrom("", "kind: [\n", undefined)),
    passMs: fc.constantFrom(0, 100, 400, 2_500),
  });
  const lastly = fc.record({ "x.yaml": fc.option(anyText), "y.yaml": fc.option(anyText) });
  let size = 0;
  // Of another size each time, as two writes may have the same time.
  const write = (file: string, text: string | null | undefined) =>
    typeof text !== "string"
      ? rm(join(folder, file), { force: true })
      : put(file, text === "" ? text : `${text}#${"#".repeat(size++)}\n`);
  const inForce = (source: ManifestSource) =>
    [...source.state.list("Service")].map(({ meta, ports }) => `${meta.name}:${ports[0]?.port}`).sort();
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { maxLength: 12 }), lastly, async (steps, last) => {
      for (const file of Object.keys(last)) await write(file, null);
      const clock = new ManualClock();
      const source = at.open([folder], clock);
      await source.load();
      for (const { file, text, passMs } of steps) {
        await write(file, text);
        await source.load();
        clock.advance(passMs);
      }
      for (const [file, text] of Object.entries(last)) await write(file, text === "" ? "# none\n" : text);
      await source.load();
      for (let dueInMs = source.dueInMs; dueInMs !== undefined; dueInMs = source.dueInMs) {
        clock.advance(dueInMs);
        await source.load();
      }
      const fresh = at.open([folder], clock);
      await fresh.load();
      expect(inForce(source)).toEqual(inForce(fresh));
    }),
    { numRuns: 150 },
  );
});
