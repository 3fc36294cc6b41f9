/**
 * What changes for whom when Tulle takes the place of Traefik Mesh 1.4, and the values for Tulle's chart. Pure: objects
 * and values in, differences and values out.
 */

import type { ClusterStateView } from "../model/cluster-state.ts";
import type { ObjectRef } from "../model/objects.ts";
import { buildTopology } from "../topology/build-topology.ts";
import { accessOf, type OriginalAccess } from "./access-control.ts";
import { byEffect, type Difference, difference } from "./difference.ts";
import { findInstallations, type Installation, type RawObject } from "./installation.ts";
import { mapValues } from "./map-values.ts";
import type { OriginalSettings } from "./original-settings.ts";
import { isFlagOn, proxyFlags } from "./proxy-arguments.ts";
import { serviceDifferences } from "./service-differences.ts";
import { splitDifferences } from "./split-differences.ts";
import { targetDifferences } from "./target-differences.ts";
import { isTree, textsOf, type Values, valueAt } from "./value-tree.ts";

export interface MigrationInput {
  readonly state: ClusterStateView;
  /** Deployments and DaemonSets, among which those of Traefik Mesh are found, and SMI's CustomResourceDefinitions. */
  readonly workloads: readonly RawObject[];
  /** Of `helm get values`; absent: they are told from the installation. */
  readonly values?: Values;
  /** Namespace of Traefik Mesh; absent: told from the installation. */
  readonly namespace?: string;
}

export interface Migration {
  /** Namespace of Traefik Mesh; empty: there is none. */
  readonly namespace: string;
  /** Where the old values came from. */
  readonly from: "values" | "installation" | "defaults";
  /** Whether access control was on. */
  readonly access: OriginalAccess;
  readonly settings: OriginalSettings;
  /** Of Tulle's chart. */
  readonly values: Values;
  /** What breaks first. */
  readonly differences: readonly Difference[];
}

export function planMigration(input: MigrationInput): Migration {
  const installations = findInstallations(input.workloads);
  const installation = installations.find(({ namespace }) => namespace === (input.namespace ?? namespace));
  const given = input.values ?? installation?.values ?? NOTHING;
  const namespace = input.namespace ?? installation?.namespace ?? "";
  const from = input.values !== undefined ? "values" : installation !== undefined ? "installation" : "defaults";
  const access = from === "values" ? accessOf(given) : accessSeenIn(installation);
  const settings = settingsOf(given, namespace, access);
  const { values, differences } = mapValues(given, access);
  const topology = buildTopology(input.state, settings);
  const all = [
    ...differences,
    ...ofDefinitions(input.workloads),
    ...serviceDifferences(topology, settings),
    ...targetDifferences(topology, settings),
    ...splitDifferences(topology, settings),
  ];
  return {
    namespace,
    from,
    access,
    settings,
    values,
    differences: all.sort(byEffect),
  };
}

/** That nothing says "on" means off only where all that could say so was seen. */
function accessSeenIn(installation: Installation | undefined): OriginalAccess {
  const said = installation === undefined ? "off" : accessOf(installation.values);
  return said === "off" && installation?.readsMore !== false ? "unknown" : said;
}

/** Where there is no Traefik Mesh, nothing of what comes with its chart is wanted. */
const NOTHING: Values = { tracing: { deploy: false }, metrics: { deploy: false } };

function settingsOf(values: Values, namespace: string, access: OriginalAccess): OriginalSettings {
  const limit = (type: string, fallback: number) => {
    const value = Number(valueAt(values, `limits.${type}`) ?? fallback);
    return Number.isSafeInteger(value) ? value : fallback;
  };
  const proxyArguments = valueAt(values, "proxy.additionalArguments");
  const flags = proxyFlags(textsOf(Array.isArray(proxyArguments) ? proxyArguments : []));
  return {
    namespace,
    acl: access !== "off",
    defaultMode: String(valueAt(values, "defaultMode") ?? "http"),
    watchNamespaces: textsOf(valueAt(values, "controller.watchNamespaces")),
    ignoreNamespaces: textsOf(valueAt(values, "controller.ignoreNamespaces")),
    limits: { http: limit("http", 10), tcp: limit("tcp", 25), udp: limit("udp", 25) },
    insecureSkipVerify: flags.some(
      ({ name, value }) => name === "serverstransport.insecureskipverify" && isFlagOn(value),
    ),
  };
}

/** The original's chart brings definitions of these, each in one version before the newest. */
const NEWEST: Readonly<Record<string, string>> = {
  "traffictargets.access.smi-spec.io": "v1alpha3",
  "httproutegroups.specs.smi-spec.io": "v1alpha4",
  "tcproutes.specs.smi-spec.io": "v1alpha4",
  "trafficsplits.split.smi-spec.io": "v1alpha4",
};

function ofDefinitions(objects: readonly RawObject[]): Difference[] {
  const old = objects.filter(({ kind, name, raw }) => {
    if (kind !== "CustomResourceDefinition" || NEWEST[name] === undefined) return false;
    const versions = valueAt(raw, "spec.versions");
    const served = (Array.isArray(versions) ? versions : []).filter(isTree).filter((each) => each["served"] === true);
    return !served.some((each) => each["name"] === NEWEST[name]);
  });
  const [first] = old;
  if (first === undefined) return [];
  const ref: ObjectRef = { kind: first.kind, namespace: "", name: first.name };
  const others = old.length > 1 ? `and ${old.length - 1} more` : "";
  return [difference("SmiVersionsOld", ref, "spec.versions", others)];
}
