/** Images as archives: small ones of a folder, read back by the machine's own `tar`. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { type Image, layer, writeArchive } from "../packaging/archive.mjs";
import { folderEntries, textEntry, writeTree } from "../packaging/entries.mjs";
import { productionFolders, productionPackages } from "../packaging/production-packages.mjs";
import { SAMPLES, TOOLS_IMAGE } from "../packaging/sample-images.mjs";
import { parseLdd } from "../packaging/shared-libraries.mjs";
import { type Entry, ordered, tar, tarBytes } from "../packaging/tar.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

/** A new folder with these files; what ends in `!` may be run. */
async function folderOf(files: Readonly<Record<string, string>> = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tulle-image-test-"));
  folders.push(folder);
  for (const [name, text] of Object.entries(files)) {
    const file = join(folder, name.replace(/!$/, ""));
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
    await chmod(file, name.endsWith("!") ? 0o700 : 0o600);
  }
  return folder;
}

async function bytesOf(entries: readonly Entry[]): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of tar(ordered(entries))) parts.push(part);
  return Buffer.concat(parts);
}

/** What the machine's tar says is in it: mode, owner, size, time, name. */
function listing(archive: Buffer): string[] {
  const text = execFileSync("tar", ["--numeric-owner", "--utc", "--full-time", "-tvf", "-"], { input: archive });
  return text
    .toString()
    .trim()
    .split("\n")
    .map((line) => line.replace(/ +/g, " "));
}

async function unpack(archive: Buffer): Promise<string> {
  const folder = await folderOf();
  execFileSync("tar", ["-xf", "-", "-C", folder], { input: archive });
  return folder;
}

const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

describe("a layer", () => {
  test("has its files in order, with the folders that lead to them, nobody's owner, and no time", async () => {
    const source = await folderOf({ "z/run!": "#!", "a.txt": "hello" });
    const entries = [...(await folderEntries(source, "opt/x")), { path: "tmp", folder: true, mode: 0o1777 } as const];
    expect(listing(await bytesOf([...entries, { path: "bin", link: "opt/x/z" }]))).toEqual([
      "lrwxrwxrwx 0/0 0 1970-01-01 00:00:00 bin -> opt/x/z",
      "drwxr-xr-x 0/0 0 1970-01-01 00:00:00 opt/",
      "drwxr-xr-x 0/0 0 1970-01-01 00:00:00 opt/x/",
      "-rw-r--r-- 0/0 5 1970-01-01 00:00:00 opt/x/a.txt",
      "drwxr-xr-x 0/0 0 1970-01-01 00:00:00 opt/x/z/",
      "-rwxr-xr-x 0/0 2 1970-01-01 00:00:00 opt/x/z/run",
      "drwxrwxrwt 0/0 0 1970-01-01 00:00:00 tmp/",
    ]);
  });

  test("reads back byte for byte, whatever the sizes and the lengths of names", async () => {
    const files: Record<string, string> = {};
    for (const size of [0, 1, 511, 512, 513, 1 << 20]) files[`${size}`] = "x".repeat(size);
    for (const length of [98, 99, 100]) files["n".repeat(length)] = `${length}`;
    files[`${"d".repeat(60)}/${"e".repeat(60)}/${"f".repeat(90)}`] = "deep";
    files["ünïcode"] = "é";
    const archive = await bytesOf(await folderEntries(await folderOf(files), "top"));
    expect(archive.length).toBe(tarBytes(ordered(await folderEntries(await folderOf(files), "top"))));
    const unpacked = await unpack(archive);
    for (const [name, text] of Object.entries(files))
      expect(await readFile(join(unpacked, "top", name), "utf8"), name.slice(0, 20)).toBe(text);
  });

  test("refuses what tar cannot hold, and a path that is there twice", async () => {
    await expect(bytesOf([textEntry("n".repeat(101), "")])).rejects.toThrow("is too long for a tar archive");
    await expect(bytesOf([{ path: "a", link: "n".repeat(101) }])).rejects.toThrow("the link a leads too far");
    await expect(bytesOf([textEntry("a", "1"), textEntry("a", "2")])).rejects.toThrow("a is there twice");
  });

  test("holds what a link leads to", async () => {
    const source = await folderOf({ real: "bytes" });
    await symlink("real", join(source, "link"));
    const unpacked = await unpack(await bytesOf(await folderEntries(source, "x")));
    expect(await readFile(join(unpacked, "x/link"), "utf8")).toBe("bytes");
    expect((await stat(join(unpacked, "x/link"))).size).toBe(5);
  });
});

describe("an archive", () => {
  async function images(folder: string): Promise<Image[]> {
    const base = await layer("base", await folderEntries(folder, "app"));
    const own = await layer("own", [textEntry("etc/hello", "hello")]);
    const config = { User: "65532:65532", Entrypoint: ["/app/run"], WorkingDir: "/" };
    return [
      { name: "test/one:1", architecture: "arm64", config, layers: [base, own] },
      { name: "test/two:2", architecture: "arm64", config: { User: "0" }, layers: [base] },
    ];
  }

  test("has manifest, configs and layers, each layer once, all under their digests", async () => {
    const source = await folderOf({ "run!": "#!/bin/sh", "lib/a": "a" });
    const file = join(await folderOf(), "new/images.tar");
    const { size, written } = await writeArchive(file, await images(source));
    const archive = await readFile(file);
    expect(archive.length).toBe(size);
    const unpacked = await unpack(archive);
    const manifest = JSON.parse(await readFile(join(unpacked, "manifest.json"), "utf8"));
    expect(manifest.map((each: { RepoTags: string[] }) => each.RepoTags)).toEqual([["test/one:1"], ["test/two:2"]]);
    expect(manifest[1].Layers).toEqual([manifest[0].Layers[0]]);
    expect((await readdir(unpacked)).length).toBe(1 + 2 + 2);
    for (const [index, { Config, Layers }] of manifest.entries()) {
      const bytes = await readFile(join(unpacked, Config));
      expect(`sha256:${sha256(bytes)}`).toBe(written[index]?.digest);
      expect(Config).toBe(`${sha256(bytes)}.json`);
      const config = JSON.parse(bytes.toString());
      expect(config).toMatchObject({ architecture: "arm64", os: "linux", created: "1970-01-01T00:00:00.000Z" });
      const digests = await Promise.all(
        Layers.map(async (name: string) => `sha256:${sha256(await readFile(join(unpacked, name)))}`),
      );
      expect(config.rootfs).toEqual({ type: "layers", diff_ids: digests });
      expect(config.history.length).toBe(Layers.length);
    }
    const first = JSON.parse(await readFile(join(unpacked, manifest[0].Config), "utf8"));
    expect(first.config).toEqual({ User: "65532:65532", Entrypoint: ["/app/run"], WorkingDir: "/" });
    const base = await readFile(join(unpacked, manifest[0].Layers[0]));
    expect(listing(base).map((line) => line.split(" ").at(-1))).toEqual(["app/", "app/lib/", "app/lib/a", "app/run"]);
  });

  test("is the same to the byte for the same files, whenever and wherever they were made", async () => {
    const texts = { "run!": "#!/bin/sh", "lib/a": "a", "lib/b": "b" };
    const write = async (files: Record<string, string>) => {
      const file = join(await folderOf(), "i.tar");
      await writeArchive(file, await images(await folderOf(files)));
      return sha256(await readFile(file));
    };
    const first = await write(texts);
    expect(await write(Object.fromEntries(Object.entries(texts).reverse()))).toBe(first);
    expect(await write({ ...texts, "lib/b": "c" })).not.toBe(first);
  });

  test("is not left behind in part when a file changes under it", async () => {
    const source = await folderOf({ a: "one" });
    const file = join(await folderOf(), "i.tar");
    const prepared = await images(source);
    await writeFile(join(source, "a"), "two");
    await expect(writeArchive(file, prepared)).rejects.toThrow("a file changed while it was packed");
    await writeFile(join(source, "a"), "three");
    await expect(writeArchive(file, prepared)).rejects.toThrow("app/a has 5 bytes, and had 3 before");
    expect(await readdir(dirname(file))).toEqual([]);
  });
});

test("entries as a folder are what they are as a layer", async () => {
  const source = await folderOf({ "bin/run!": "#!", a: "a" });
  const target = await folderOf();
  await writeTree([...(await folderEntries(source, "app")), { path: "usr/bin/run", link: "/app/bin/run" }], target);
  expect(await readFile(join(target, "app/a"), "utf8")).toBe("a");
  expect((await stat(join(target, "app/bin/run"))).mode & 0o777).toBe(0o755);
  expect((await stat(join(target, "app/a"))).mode & 0o777).toBe(0o644);
  expect(await readlink(join(target, "usr/bin/run"))).toBe("/app/bin/run");
});

describe("the packages", () => {
  test("are those that Tulle runs with, and what they need", async () => {
    const lock = JSON.parse(await readFile(join(ROOT, "package-lock.json"), "utf8"));
    const { dependencies } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));
    const found = productionFolders(lock);
    for (const name of Object.keys(dependencies)) expect(found).toContain(`node_modules/${name}`);
    expect(found).toContain("node_modules/@leichtgewicht/ip-codec");
    expect(found.filter((folder) => /vitest|biome|typescript|fast-check|knip/.test(folder))).toEqual([]);
  });

  const lock = (packages: object) => JSON.stringify({ packages: { "": {}, ...packages } });

  test("come without what only compilers read, and their own packages once", async () => {
    const root = await folderOf({
      "package-lock.json": lock({
        "node_modules/a": { version: "1.0.0" },
        "node_modules/a/node_modules/b": { version: "2.0.0" },
        "node_modules/c": { version: "1.0.0", dev: true },
        "node_modules/d": { version: "1.0.0", optional: true },
      }),
      "node_modules/a/package.json": '{"version":"1.0.0"}',
      "node_modules/a/index.js": "",
      "node_modules/a/index.d.ts": "",
      "node_modules/a/index.js.map": "",
      "node_modules/a/node_modules/b/package.json": '{"version":"2.0.0"}',
      "node_modules/c/package.json": '{"version":"1.0.0"}',
    });
    const paths = (await productionPackages(root, "app")).map(({ path }) => path).sort();
    expect(paths).toEqual([
      "app/node_modules/a/index.js",
      "app/node_modules/a/node_modules/b/package.json",
      "app/node_modules/a/package.json",
    ]);
  });

  test("that are not what the lock says are refused", async () => {
    const packages = lock({ "node_modules/a": { version: "1.0.1" } });
    const old = await folderOf({ "package-lock.json": packages, "node_modules/a/package.json": '{"version":"1.0.0"}' });
    await expect(productionPackages(old, "app")).rejects.toThrow(
      "node_modules/a is version 1.0.0, package-lock.json has 1.0.1: run npm ci",
    );
    const none = await folderOf({ "package-lock.json": packages });
    await expect(productionPackages(none, "app")).rejects.toThrow("node_modules/a is not there");
  });
});

describe("shared libraries are read from what ldd says", () => {
  test("of glibc and musl, with the loader", () => {
    const glibc =
      "\tlinux-vdso.so.1 (0x00007f)\n\tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f)\n" +
      "\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
    expect(parseLdd(glibc, "p")).toEqual(["/lib/x86_64-linux-gnu/libm.so.6", "/lib64/ld-linux-x86-64.so.2"]);
    const musl = "\t/lib/ld-musl-x86_64.so.1 (0x7f)\n\tlibz.so.1 => /usr/lib/libz.so.1 (0x7f)\n";
    expect(parseLdd(musl, "p")).toEqual(["/lib/ld-musl-x86_64.so.1", "/usr/lib/libz.so.1"]);
    expect(parseLdd("\tstatically linked\n", "p")).toEqual([]);
  });

  test("and one that is missing, or that an image's loader would not find, is an error", () => {
    expect(() => parseLdd("\tlibx.so.1 => not found\n", "/bin/p")).toThrow("/bin/p needs libx.so.1");
    expect(() => parseLdd("\tlibx.so.1 => /opt/conda/lib/libx.so.1 (0x7f)\n", "p")).toThrow("no loader finds");
  });
});

test("the sample images are those that the example names", async () => {
  const folder = join(ROOT, "examples/whoami");
  const named = new Set<string>();
  for (const file of (await readdir(folder)).filter((name) => name.endsWith(".yaml")))
    for (const [, image] of (await readFile(join(folder, file), "utf8")).matchAll(/ image: (\S+)/g))
      named.add(parse(image as string));
  expect([...named].sort()).toEqual([TOOLS_IMAGE, ...SAMPLES.map(({ name }) => name)].sort());
});

describe("npm run image", () => {
  const run = (...args: string[]) => {
    try {
      const out = execFileSync(process.execPath, [join(ROOT, "packaging/image.mjs"), ...args], { stdio: "pipe" });
      return { code: 0, out: out.toString(), err: "" };
    } catch (error) {
      const { status, stdout, stderr } = error as { status: number; stdout: Buffer; stderr: Buffer };
      return { code: status, out: stdout.toString(), err: stderr.toString() };
    }
  };

  test("says what it takes", () => {
    const { code, out } = run("--help");
    expect(code).toBe(0);
    for (const option of ["--out", "--name", "--samples", "--arch"]) expect(out).toContain(`\n  ${option} `);
  });

  test("refuses wrong usage with 2, and what it cannot make with 1", () => {
    expect(run()).toMatchObject({ code: 2, err: "image: say where to: --out FILE (see --help)\n" });
    expect(run("--out", "x", "--name", "tulle")).toMatchObject({ code: 2 });
    expect(run("--out", "x", "--nam", "tulle:1")).toMatchObject({ code: 2 });
    const { code, err } = run("--out", "x", "--arch", "s390x");
    expect(code).toBe(1);
    expect(err).toMatch(
      /^image: this Node\.js is for \w+; for s390x run this on such a machine, or use the Dockerfile/,
    );
  });
});
