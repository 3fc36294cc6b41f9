/** A mesh's status for people: what runs where, what is in force, and then what is wrong. */
import { count } from "./count.ts";
import { formatAge, formatLatency } from "./figures.ts";
import type { ControllerState, Finding, MeshStatus, ProxyState, Totals } from "./mesh-status.ts";
import { isError } from "./mesh-status.ts";

/** As many digits of a version tell it from others. */
const VERSION_DIGITS = 12;
/** The rest is with `tulle check`. */
const MAX_FINDINGS = 20;

export function statusText(status: MeshStatus, findings: readonly Finding[]): string {
  const { where, cluster, totals, problems } = status;
  const lines = [
    where,
    ...(cluster === undefined ? [] : clusterLines(cluster)),
    "",
    ...(totals === undefined ? [] : totalLines(totals)),
    ...(problems === undefined ? ["problems of objects: not known, as no controller answers"] : []),
    ...findingLines(findings, cluster !== undefined),
  ];
  return `${lines.join("\n")}\n`;
}

function clusterLines({ namespace, controllers, proxies }: NonNullable<MeshStatus["cluster"]>): string[] {
  const expected = proxies.filter(({ draining }) => !draining);
  const isKnown = expected.some(({ programmed }) => programmed !== undefined);
  const programmed = expected.filter((proxy) => proxy.programmed === true).length;
  const leading = controllers.find(({ said }) => said?.leads === true)?.said;
  return [
    "",
    ...table([
      ["CONTROLLER", "LEADS", "READY", "AGE", "CONFIG", "VERSION", "IMAGE"],
      ...controllers.map(controllerRow),
    ]),
    "",
    ...table([["PROXY", "NODE", "READY", "AGE", "CONFIG", "LAG", "IMAGE", "NOTE"], ...proxies.map(proxyRow)]),
    "",
    ...(isKnown ? [`configuration: in force on ${programmed} of ${count(expected.length, "proxy", "proxies")}`] : []),
    ...(leading === undefined ? [] : [dnsLine(leading.dns, namespace)]),
  ];
}

function controllerRow({ name, ready, ending, waits, ageSeconds, image, said }: ControllerState): string[] {
  const leads = said === undefined ? "?" : yes(said.leads);
  const isReady = ending ? "ending" : waits || yes(ready);
  return [name, leads, isReady, formatAge(ageSeconds), shortVersion(said?.version), said?.program || "-", tagOf(image)];
}

function proxyRow(proxy: ProxyState): string[] {
  const { name, node, ready, draining, waits, ageSeconds, image, version, lagMs } = proxy;
  const isReady = draining ? "draining" : waits || yes(ready);
  const cells = [name, node || "-", isReady, formatAge(ageSeconds), shortVersion(version)];
  return [...cells, formatLatency(lagMs), tagOf(image), noteOf(proxy)];
}

function noteOf({
  draining,
  waits,
  connected,
  silentSeconds,
  programmed,
  error,
  closedEntrypoints,
}: ProxyState): string {
  if (draining || waits !== "") return "";
  if (!connected) return silentSeconds === undefined ? "not heard" : `silent for ${formatAge(silentSeconds)}`;
  if (error !== "") return "refused the configuration";
  if (programmed === false) return "behind";
  return closedEntrypoints.length === 0 ? "" : `${count(closedEntrypoints.length, "port")} not open`;
}

function dnsLine(
  { mode, provider, inForce, owner, ownerGone }: NonNullable<ControllerState["said"]>["dns"],
  namespace: string,
): string {
  if (owner !== "" && owner !== namespace)
    return `cluster DNS: mesh names with the mesh in namespace ${owner}${ownerGone ? ", which is gone" : ""}`;
  const by = provider === "" ? "" : ` by ${provider}`;
  return `cluster DNS: mesh names ${inForce ? "in force" : "not in force"}${by} (${mode})`;
}

function totalLines({ services, servicePorts, endpoints, splits, targets, accessControl, version }: Totals): string[] {
  const parts = [
    `${count(services, "Service")} with ${count(servicePorts, "port")}`,
    count(endpoints, "endpoint address", "endpoint addresses"),
    count(splits, "split"),
    count(targets, "TrafficTarget"),
  ];
  return [`mesh: ${parts.join(", ")}; access control ${accessControl}; configuration ${shortVersion(version)}`];
}

function findingLines(findings: readonly Finding[], isCluster: boolean): string[] {
  if (findings.length === 0) return ["nothing is wrong"];
  const errors = findings.filter(isError).length;
  const left = findings.length - MAX_FINDINGS;
  const all = isCluster ? "tulle check" : "/api/problems of its admin API";
  return [
    `${count(errors, "error")}, ${count(findings.length - errors, "warning")}:`,
    "",
    ...findings.slice(0, MAX_FINDINGS).map(findingLine),
    ...(left > 0 ? [`and ${left} more: ${all}`] : []),
  ];
}

function findingLine({ severity, object, says, place }: Finding): string {
  return `${place === undefined ? "" : `${place}: `}${severity} ${object}: ${says}`;
}

const yes = (is: boolean): string => (is ? "yes" : "no");

function shortVersion(version: string | undefined): string {
  return version?.slice(0, VERSION_DIGITS) || "-";
}

/** `registry.example.com:5000/tulle:1.2` → `1.2`, `…/tulle@sha256:0123456789ab…` → `0123456789ab` */
function tagOf(image: string): string {
  const [path = "", digest = ""] = image.split("@", 2);
  if (digest !== "") return digest.replace(/^[^:]*:/, "").slice(0, VERSION_DIGITS);
  const tag = /:([^:/]+)$/.exec(path);
  return tag?.[1] ?? (image === "" ? "-" : "latest");
}

/** Columns as wide as their widest cell. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, index) => Math.max(...rows.map((row) => (row[index] ?? "").length)));
  return rows.map((row) =>
    row
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
