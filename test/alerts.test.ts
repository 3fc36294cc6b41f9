/** The chart's alert rules: each with its runbook, on metrics that there are, and firing when it should. */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { SERIES, seriesOf } from "./metric-names.ts";

const at = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));
const read = (path: string): string => readFileSync(at(path), "utf8");

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}
interface Trial {
  readonly alert_rule_test: readonly { readonly alertname: string; readonly exp_alerts: readonly unknown[] }[];
}

const RULES = "chart/files/alerts.yaml";
const TRIALS = "test/testdata/alerts.yaml";
const alerts = (parse(read(RULES)) as { groups: { rules: Alert[] }[] }).groups.flatMap(({ rules }) => rules);
const trials = (parse(read(TRIALS)) as { tests: Trial[] }).tests.flatMap((trial) => trial.alert_rule_test);
const names = alerts.map(({ alert }) => alert);

describe.each(alerts)("the alert $alert", ({ alert, expr, labels, annotations }) => {
  test("says how grave it is, what has happened and what follows", () => {
    expect(["critical", "warning"]).toContain(labels["severity"]);
    expect(annotations["summary"]).toMatch(/\S/);
    expect(annotations["description"]).toMatch(/\.$/);
  });

  test("has a runbook of what it means, what to look at and what to do", () => {
    const path = `docs/runbooks/${alert}.md`;
    expect(annotations["runbook_url"]).toBe(path);
    const headings = [...read(path).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => heading);
    expect(headings).toEqual([alert, "What it means", "What to look at", "What to do"]);
  });

  test("asks for metrics that there are", () => {
    expect(seriesOf(expr)).not.toEqual([]);
    expect(seriesOf(expr).filter((name) => !SERIES.has(name))).toEqual([]);
  });

  test("is tried out where it fires and where it does not", () => {
    const fires = trials.filter(({ alertname }) => alertname === alert).map(({ exp_alerts }) => exp_alerts.length > 0);
    expect(new Set(fires)).toEqual(new Set([true, false]));
  });
});

test("runbooks ask for metrics that there are, and each has its alert", () => {
  const pages = readdirSync(at("docs/runbooks"));
  expect(pages.map((page) => page.replace(".md", "")).sort()).toEqual([...names].sort());
  const isKnown = (name: string) => [...SERIES].some((series) => series.startsWith(name));
  const unknown = pages.flatMap((page) => seriesOf(read(`docs/runbooks/${page}`)).filter((name) => !isKnown(name)));
  expect(unknown).toEqual([]);
});

const isInstalled = spawnSync("promtool", ["--version"]).status === 0;

test.runIf(isInstalled).each([
  ["takes the rules", ["check", "rules", at(RULES)]],
  ["sees each fire when it should, and only then", ["test", "rules", at(TRIALS)]],
])("Prometheus %s", (_, args) => {
  const { status, stdout, stderr } = spawnSync("promtool", args, { encoding: "utf8" });
  expect([status, stderr], stdout).toEqual([0, ""]);
});

test("docs/monitoring.md has the alerts, in their order, with how grave each is", () => {
  const rows = [...read("docs/monitoring.md").matchAll(/^\| \[(\w+)\]\(runbooks\/\w+\.md\) \| (\w+) \|/gm)];
  expect(rows.map(([, name, severity]) => [name, severity])).toEqual(
    alerts.map(({ alert, labels }) => [alert, labels["severity"]]),
  );
});
