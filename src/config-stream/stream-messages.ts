/**
 * What passes between a proxy and a controller: one JSON object a line, both ways, over TLS.
 *
 *     proxy → controller   hello, then an ack or a nack for each configuration
 *     controller → proxy   full or delta (config-message.ts), or refused, which ends the connection
 *     both                 ping, whenever nothing else was said for a while; questions (ask-channel.ts)
 *
 * Another controller may come too: it says hello, gets no configuration, and asks.
 */
import { z } from "zod";
import { ASK_SCHEMAS } from "./ask-channel.ts";

export const ALPN = "tulle-config-1";
/** Both sides speak at least this often, and give the other up after three times of silence. */
export const PING_MS = 5_000;
export const SILENCE_MS = 15_000;
/** Of what a proxy says; tokens are a few KB. */
export const MAX_CLIENT_LINE_BYTES = 64 * 1024;
/** Of a configuration: 10,000 services with their Pods are some 10 MB. */
export const MAX_SERVER_LINE_BYTES = 256 * 1024 * 1024;

const HelloSchema = z.object({
  type: z.literal("hello"),
  /** It can be asked (ask-channel.ts). */
  answers: z.boolean().exactOptional(),
  /** ServiceAccount token for the audience of the config stream. */
  token: z.string(),
  /** What it has in force, to get a delta from there. */
  version: z.string().exactOptional(),
  /** Another proxy of its name has the counts of the node: it waits for them, or has handed them over. */
  standsBy: z.boolean().exactOptional(),
});
const AckSchema = z.object({
  type: z.literal("ack"),
  sequence: z.int().min(0),
  version: z.string(),
  /** Entrypoints that could not be opened. */
  closed: z.array(z.string()).exactOptional(),
  /** As in hello, by now. */
  standsBy: z.boolean().exactOptional(),
});
const NackSchema = z.object({
  type: z.literal("nack"),
  sequence: z.int().min(0),
  version: z.string(),
  error: z.string(),
});
const PingSchema = z.object({ type: z.literal("ping") });

/** Newer proxies may say more than this controller knows: fields that it does not know are passed over. */
export const ProxyMessageSchema = z.discriminatedUnion("type", [
  HelloSchema,
  AckSchema,
  NackSchema,
  PingSchema,
  ...ASK_SCHEMAS,
]);
export type ProxyMessage = z.infer<typeof ProxyMessageSchema>;

/** Why a controller does not serve a proxy. */
export const RefusedSchema = z.object({ type: z.literal("refused"), reason: z.string() });
