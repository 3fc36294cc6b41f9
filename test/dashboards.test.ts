/** The chart's dashboards of Grafana: on metrics that there are, by expressions that Prometheus can read. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { SERIES, seriesOf } from "./metric-names.ts";

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly datasource: { readonly uid: string };
  readonly targets: readonly { readonly expr: string }[];
}
interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly templating: { readonly list: readonly { readonly name: string; readonly query: string }[] };
  readonly panels: readonly Panel[];
}

const FOLDER = fileURLToPath(new URL("../chart/files/dashboards/", import.meta.url));
const dashboards = readdirSync(FOLDER).map((file) => ({
  file,
  dashboard: JSON.parse(readFileSync(FOLDER + file, "utf8")) as Dashboard,
}));
const expressionsOf = ({ panels }: Dashboard) => panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));

test("there is one of the mesh, of a service, of the proxies and of the controllers", () => {
  expect(dashboards.map(({ file }) => file)).toEqual(["controller.json", "mesh.json", "proxy.json", "service.json"]);
});

describe.each(dashboards)("$file", ({ file, dashboard }) => {
  const { uid, panels, templating } = dashboard;

  test("is told apart by its own uid, and its panels by their ids", () => {
    expect(uid).toBe(`tulle-${file.replace(".json", "")}`);
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  });

  test("asks for metrics that there are, of the data source that is chosen", () => {
    const queries = templating.list.filter(({ name }) => name !== "datasource").map(({ query }) => query);
    for (const query of [...expressionsOf(dashboard), ...queries]) {
      expect(seriesOf(query), query).not.toEqual([]);
      expect(
        seriesOf(query).filter((name) => !SERIES.has(name)),
        query,
      ).toEqual([]);
    }
    expect(new Set(panels.map(({ datasource }) => datasource.uid))).toEqual(new Set([`$\{datasource}`]));
  });

  test("uses no variable that it does not have", () => {
    const known = ["__rate_interval", ...templating.list.map(({ name }) => name)];
    const used = expressionsOf(dashboard).flatMap((expr) => [...expr.matchAll(/\$(\w+)/g)].map(([, name]) => name));
    expect(used.filter((name = "") => !known.includes(name))).toEqual([]);
  });

  test("has no panel over another", () => {
    const places = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, index) => `${x + (index % w)},${y + Math.floor(index / w)}`),
    );
    expect(new Set(places).size).toBe(places.length);
    expect(Math.max(...panels.map(({ gridPos: { x, w } }) => x + w))).toBeLessThanOrEqual(24);
  });
});

const isInstalled = spawnSync("promtool", ["--version"]).status === 0;

test.runIf(isInstalled)("Prometheus can read each expression", () => {
  const rules = dashboards
    .flatMap(({ dashboard }) => expressionsOf(dashboard))
    .map((expr, index) => ({ record: `expression:${index}`, expr: expr.replaceAll("$__rate_interval", "5m") }));
  const folder = mkdtempSync(join(tmpdir(), "tulle-dashboards-"));
  const file = join(folder, "rules.yaml");
  writeFileSync(file, stringify({ groups: [{ name: "dashboards", rules }] }));
  const { status, stderr, stdout } = spawnSync("promtool", ["check", "rules", file], { encoding: "utf8" });
  rmSync(folder, { recursive: true });
  expect([status, stderr], stdout).toEqual([0, ""]);
});
