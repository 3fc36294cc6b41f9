/**
 * The mesh's blocks in CoreDNS's own Corefile, or in the ConfigMap that the distribution keeps for its users. Both are
 * looked at in either case: blocks that an earlier installation left in the other place would serve a zone twice.
 */
import { bindArgs, type Corefile, checkCorefile, parseCorefile, zoneOf } from "./corefile.ts";
import {
  addressesOf,
  configMapChange,
  configMapName,
  immutableFault,
  type ObjectChange,
  type PatchOptions,
  type PlanPart,
  type Restart,
  withoutAddress,
} from "./dns-plan.ts";
import type { CoreDnsProvider, ObservedDns } from "./dns-provider.ts";
import { findSections, type MarkedBlock, putBlocks, takeOutBlocks, withoutMarks } from "./marked-text.ts";
import {
  type BlockMarks,
  forwardBlock,
  type Listening,
  rewriteBlock,
  STANDARD_LISTENING,
  titleOf,
} from "./mesh-block.ts";

/** Texts by key; null: the key goes. */
type Data = Readonly<Record<string, string | null>>;

interface Block extends MarkedBlock {
  readonly domain: string;
}

export function patchCoreDns(provider: CoreDnsProvider, observed: ObservedDns, options: PatchOptions): PlanPart {
  const { key, custom } = provider;
  const { corefile, customData } = textsBefore(provider, observed);
  const listening = listeningOf(parseCorefile(takeOutBlocks(corefile)));
  const blocks = meshBlocks(provider, options, listening);
  const main = putBlocks(corefile, custom === undefined ? blocks : []);
  const extra = custom === undefined ? {} : customTexts(provider, customData, blocks, options);
  const others = Object.entries(customData).filter(([name, text]) => !isTheOriginals(provider, name, text, options));
  const before = textsOf(provider, corefile, Object.fromEntries(others));
  const marks = markFaults(before);
  const judged =
    marks.length > 0 ? marks : textFaults(provider, before, textsOf(provider, main, extra), blocks, listening);
  const changes = changesOf(provider, observed, { [key]: main }, extra);
  return {
    changes,
    ...restartOf(
      provider,
      corefile,
      changes,
      meaningOf(customData) === meaningOf(extra) && meaningOf({ corefile }) === meaningOf({ main }),
    ),
    warnings: custom === undefined && provider.rewrittenBy !== undefined ? [rewrittenWarning(provider)] : [],
    faults: [
      ...withoutAddress(options, false),
      ...changes.flatMap(({ object: { name } }) => immutableFault(name, observed.configMaps[name])),
      ...judged,
    ],
    byHand: patchByHand(provider, blocks, options.marks),
  };
}

export function restoreCoreDns(provider: CoreDnsProvider, observed: ObservedDns, options: PatchOptions): PlanPart {
  const { key } = provider;
  const { corefile, customData } = textsBefore(provider, observed);
  const extra = Object.entries(customData).map(
    ([name, text]) => [name, isTheOriginals(provider, name, text, options) ? null : withoutBlocks(text)] as const,
  );
  const changes = changesOf(provider, observed, { [key]: takeOutBlocks(corefile) }, Object.fromEntries(extra));
  return {
    changes,
    ...restartOf(provider, corefile, changes),
    warnings: [],
    faults: [
      ...markFaults(textsOf(provider, corefile, customData)),
      ...changes.flatMap(({ object: { name } }) => immutableFault(name, observed.configMaps[name])),
    ],
    byHand: restoreByHand(provider, options),
  };
}

function textsBefore({ configMap, key, custom }: CoreDnsProvider, { configMaps }: ObservedDns) {
  const corefile = configMaps[configMap]?.data?.[key] ?? "";
  const customData = custom === undefined ? {} : (configMaps[custom.configMap]?.data ?? {});
  return { corefile, customData };
}

function changesOf({ configMap, custom }: CoreDnsProvider, { configMaps }: ObservedDns, main: Data, extra: Data) {
  return [
    configMapChange(configMap, configMaps[configMap], main),
    custom && configMapChange(custom.configMap, configMaps[custom.configMap], extra),
  ].filter((change) => change !== undefined);
}

/** The mesh domains are served where the cluster's own zone is; on most clusters that is port 53 of all addresses. */
function listeningOf({ blocks }: Corefile): Listening {
  const servers = blocks.filter(({ snippet }) => snippet === undefined);
  const cluster =
    servers.find(({ plugins }) => plugins.some(({ name }) => name === "kubernetes")) ??
    servers.find(({ keys }) => keys.some((served) => zoneOf(served)?.zone === "."));
  if (cluster === undefined) return STANDARD_LISTENING;
  const zones = cluster.keys.map(zoneOf).filter((zone) => zone?.transport === "dns");
  return { port: zones[0]?.port ?? STANDARD_LISTENING.port, bind: bindArgs(cluster) };
}

function meshBlocks(provider: CoreDnsProvider, options: PatchOptions, listening: Listening): Block[] {
  return options.meshDomains
    .toSorted() // maesh before traefik.mesh, as Traefik Mesh has them
    .map((domain) => ({
      domain,
      title: titleOf(domain, options.marks),
      text:
        options.mode === "forward"
          ? forwardBlock(domain, addressesOf(options), listening, options.marks)
          : rewriteBlock(domain, { ...options, version: provider.version }, listening, options.marks),
    }));
}

/** A key for each domain; our blocks under other keys go. */
function customTexts(
  provider: CoreDnsProvider,
  before: Readonly<Record<string, string>>,
  blocks: readonly Block[],
  options: PatchOptions,
): Data {
  const data: Record<string, string | null> = {};
  for (const [key, text] of Object.entries(before))
    data[key] = isTheOriginals(provider, key, text, options) ? null : withoutBlocks(text);
  for (const block of blocks) {
    const key = customKey(provider, block.domain, options.marks);
    const text = before[key];
    data[key] =
      text === undefined || isUnmarkedOriginal(text, block.domain) ? `${block.text}\n` : putBlocks(text, [block]);
  }
  return data;
}

/** Uninstalling Traefik Mesh deletes the keys of its names, whatever is in them. */
function customKey({ custom }: CoreDnsProvider, domain: string, marks: BlockMarks): string {
  return `${marks === "own" ? "tulle-" : ""}${domain}${custom?.suffix ?? ""}`;
}

/** What CoreDNS reads of it, wherever it stands. */
function meaningOf(data: Data): string {
  return Object.values(data)
    .map((text) => withoutMarks(text ?? "").trim())
    .filter((text) => text !== "")
    .sort()
    .join("\n");
}

/** Null where nothing but a block of ours was in it. */
function withoutBlocks(text: string): string | null {
  const rest = takeOutBlocks(text);
  return rest.trim() === "" && text.startsWith("#### Begin") && rest !== text ? null : rest;
}

/** A key of coredns-custom that Traefik Mesh has written without marks. */
function isTheOriginals(
  { custom }: CoreDnsProvider,
  name: string,
  text: string,
  { meshDomains }: PatchOptions,
): boolean {
  const domain = custom && meshDomains.find((candidate) => name === `${candidate}${custom.suffix}`);
  return domain !== undefined && isUnmarkedOriginal(text, domain);
}

/** Traefik Mesh's block for the domain and nothing else. */
function isUnmarkedOriginal(text: string, domain: string): boolean {
  const { blocks, imports } = parseCorefile(text);
  const [block] = blocks;
  const zones = block?.keys.map((key) => zoneOf(key)?.zone);
  return (
    findSections(text).sections.length === 0 &&
    blocks.length === 1 &&
    imports.length === 0 &&
    zones?.length === 1 &&
    zones[0] === domain &&
    text.includes("-6d61657368-")
  );
}

function markFaults(texts: readonly ConfigText[]): string[] {
  return texts.flatMap(({ where, text }) =>
    findSections(text).faults.map(({ line, sentence }) => `${where}, line ${line}: ${sentence}`),
  );
}

interface ConfigText {
  /** ConfigMap and key. */
  readonly where: string;
  readonly text: string;
}

/** All that CoreDNS reads as server blocks. */
function textsOf({ configMap, key, custom }: CoreDnsProvider, main: string, extra: Data): ConfigText[] {
  const texts = [{ where: `${configMapName(configMap)}, key ${key}`, text: main }];
  if (custom !== undefined)
    for (const [name, text] of Object.entries(extra))
      if (text !== null && name.endsWith(custom.suffix))
        texts.push({ where: `${configMapName(custom.configMap)}, key ${name}`, text });
  return texts;
}

/**
 * Of what would be written; a text that stays as it is matters only where it collides with our blocks. Lines are those
 * of the text that the operator has before him, if it is that one which is wrong.
 */
function textFaults(
  provider: CoreDnsProvider,
  before: readonly ConfigText[],
  after: readonly ConfigText[],
  blocks: readonly Block[],
  listening: Listening,
): string[] {
  const foreign = before.flatMap((text) => foreignFaults(text, blocks, listening));
  if (foreign.length > 0) return foreign;
  const check = ({ where, text }: ConfigText) =>
    checkCorefile(text, provider.version).map(({ line, sentence }) => `${where}, line ${line}: ${sentence}`);
  return after.flatMap((text) => {
    const old = before.find(({ where }) => where === text.where);
    if (old?.text === text.text) return provider.custom === undefined ? check(text) : [];
    const loose = old && unbracedFaults(old);
    if (loose !== undefined && loose.length > 0 && text.text.includes("#### Begin")) return loose;
    const faults = check(text);
    const known = faults.length > 0 && old !== undefined ? check(old) : [];
    return known.length > 0 ? known : faults;
  });
}

function unbracedFaults({ where, text }: ConfigText): string[] {
  return parseCorefile(text)
    .blocks.filter(({ braced }) => !braced)
    .map(
      ({ line }) =>
        `${where}, line ${line}: the server block has no braces, so no other can follow it: put braces around its plugins.`,
    );
}

/** Server blocks of others for a mesh domain. */
function foreignFaults({ where, text }: ConfigText, blocks: readonly Block[], listening: Listening): string[] {
  const { sections } = findSections(text);
  return parseCorefile(text)
    .blocks.filter(({ line }) => !sections.some(({ firstLine, lastLine }) => line > firstLine && line < lastLine))
    .flatMap(({ keys, line, snippet }) =>
      blocks
        .filter(({ domain }) => snippet === undefined && keys.some((key) => serves(key, domain, listening.port)))
        .map(
          ({ domain }) =>
            `${where}, line ${line}: a server block that is not Tulle's serves ${domain} already, and CoreDNS takes a zone only once. Delete that block, or take ${domain} out of the mesh domains.`,
        ),
    );
}

function serves(key: string, domain: string, port: string): boolean {
  const served = zoneOf(key);
  return served?.zone === domain.toLowerCase() && served.port === port && served.transport === "dns";
}

/** The reload plugin of older versions does not see imported files. */
function restartOf(
  { workload, configMap }: CoreDnsProvider,
  corefile: string,
  changes: readonly ObjectChange[],
  sameMeaning = false,
): { readonly restart?: Restart } {
  if (changes.length === 0 || sameMeaning) return {};
  const reloads = parseCorefile(corefile).blocks.some(({ plugins }) => plugins.some(({ name }) => name === "reload"));
  const onlyMain = changes.every(({ object }) => object.name === configMap);
  return { restart: { workload, need: reloads && onlyMain ? "hastens" : "needed" } };
}

function rewrittenWarning({ configMap, rewrittenBy }: CoreDnsProvider): string {
  return `${configMapName(configMap)} belongs to the distribution: ${rewrittenBy} may write it anew, without the mesh domains, until the controller repairs it.`;
}

const restartByHand = ({ workload: { kind, namespace, name } }: CoreDnsProvider) =>
  `Then: kubectl -n ${namespace} rollout restart ${kind.toLowerCase()}/${name}`;

function patchByHand(provider: CoreDnsProvider, blocks: readonly Block[], marks: BlockMarks): string {
  const { configMap, key, custom } = provider;
  const texts =
    custom === undefined
      ? [
          `Append to key ${key} of ${configMapName(configMap)}, in place of blocks with the same marks:`,
          ...blocks.map(({ text }) => text),
        ]
      : blocks.flatMap(({ domain, text }) => [
          `Set key ${customKey(provider, domain, marks)} of ${configMapName(custom.configMap)} to:`,
          text,
        ]);
  return `${[...texts, restartByHand(provider)].join("\n\n")}\n`;
}

function restoreByHand(provider: CoreDnsProvider, { meshDomains, marks: ofMarks }: PatchOptions): string {
  const { configMap, key, custom } = provider;
  const marks = meshDomains
    .toSorted()
    .map((domain) => titleOf(domain, ofMarks))
    .map((title) => `from "#### Begin ${title} Block" to "#### End ${title} Block"`);
  const keys = custom && meshDomains.toSorted().map((domain) => customKey(provider, domain, ofMarks));
  const texts = [
    `Delete from key ${key} of ${configMapName(configMap)} the lines ${marks.join(", and ")}.`,
    ...(keys === undefined || custom === undefined
      ? []
      : [`Delete the keys ${keys.join(" and ")} of ${configMapName(custom.configMap)}.`]),
    restartByHand(provider),
  ];
  return `${texts.join("\n\n")}\n`;
}
