/** Pieces that the kinds share. Of Kubernetes' own kinds, fields that the mesh does not read are passed over, whatever they hold. */
import { z } from "zod";
import type { Meta } from "../objects.ts";

const DNS_LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

export const dnsLabel = z
  .string()
  .max(63)
  .regex(DNS_LABEL, "small letters, digits and hyphens, at most 63, are expected (a DNS label)");
/** Names of most objects. */
export const dnsSubdomain = z
  .string()
  .max(253)
  .regex(DNS_SUBDOMAIN, "small letters, digits, hyphens and dots, at most 253, are expected (a DNS name)");

export const portNumber = z.int().min(1).max(65535);
/** Port names are at most 15 characters with a letter among them (RFC 6335 §5.1). */
export const portName = z
  .string()
  .max(15)
  .regex(
    /^(?=.*[a-z])[a-z0-9]([-a-z0-9]*[a-z0-9])?$/,
    "a port name of at most 15 small letters, digits and hyphens is expected",
  );
export const protocol = z.enum(["TCP", "UDP", "SCTP"]).default("TCP");

const texts = z.record(z.string(), z.string());
/** Empty fields (`labels:`) are as good as absent. */
export const orEmpty = <T extends z.ZodType>(schema: T) => schema.nullish();

export const MetaSchema = z.looseObject({
  name: dnsSubdomain,
  namespace: dnsLabel.nullish(),
  labels: orEmpty(texts),
  annotations: orEmpty(texts),
  creationTimestamp: z.unknown().optional(),
});

export function metaOf(raw: z.infer<typeof MetaSchema>, namespaced = true): Meta {
  const created = typeof raw.creationTimestamp === "string" ? Date.parse(raw.creationTimestamp) : Number.NaN;
  return {
    namespace: namespaced ? (raw.namespace ?? "default") : "",
    name: raw.name,
    labels: raw.labels ?? {},
    annotations: raw.annotations ?? {},
    createdAt: Number.isNaN(created) ? 0 : created,
  };
}
