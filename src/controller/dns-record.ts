/**
 * Which mesh has cluster DNS, written on DNS's own workload (or OpenShift's operator) in `kube-system`: only who may change
 * cluster DNS anyway can write it, and it is written together with the mark of a trial and with the version that was read,
 * so of two that write at the same time one is refused.
 */
import { z } from "zod";
import { detectDns, type ObjectJson, type ObservedDns } from "../coredns/dns-provider.ts";
import { type Api, MERGE_PATCH } from "../kube/api-client.ts";
import { isApiError } from "../kube/api-error.ts";
import { OPERATOR, TRIAL_ANNOTATION, workloadPath } from "./dns-objects.ts";

/** JSON of a DnsRecord. */
const RECORD_ANNOTATION = "tulle.dev/dns-owner";

const NamespaceSchema = z.string().max(63);
const DomainsSchema = z.array(z.string().max(253)).max(100);
const RecordSchema = z.object({
  /** Of the mesh that has the domains; empty: none of Tulle's. */
  namespace: NamespaceSchema,
  domains: DomainsSchema,
  /** Whom they were taken from by a change that is not known to work yet. */
  from: z.object({ namespace: NamespaceSchema, domains: DomainsSchema }).optional(),
  /** Namespace of Traefik Mesh, once it was seen that cluster DNS led there. */
  original: NamespaceSchema.optional(),
});
export type DnsRecord = Readonly<z.infer<typeof RecordSchema>>;

const NOBODY: DnsRecord = { namespace: "", domains: [] };

/** What cannot be read counts as nothing: whom DNS leads to decides then. */
export function recordOf(observed: ObservedDns): DnsRecord {
  const text = placeOf(observed)?.object?.metadata?.annotations?.[RECORD_ANNOTATION];
  if (text === undefined) return NOBODY;
  try {
    return RecordSchema.safeParse(JSON.parse(text)).data ?? NOBODY;
  } catch {
    return NOBODY;
  }
}

/** Mark of the change that is under trial, whoever makes it. */
export function trialIn(observed: ObservedDns): string | undefined {
  return placeOf(observed)?.object?.metadata?.annotations?.[TRIAL_ANNOTATION];
}

/**
 * @param trial mark of the change that is about to be tried; undefined: none is
 * @throws ApiError 409 where somebody wrote the object since it was observed
 */
export async function writeRecord(
  api: Api,
  observed: ObservedDns,
  record: DnsRecord,
  trial: string | undefined,
): Promise<void> {
  const place = placeOf(observed);
  if (place === undefined) return;
  const annotations = { [RECORD_ANNOTATION]: JSON.stringify(record), [TRIAL_ANNOTATION]: trial ?? null };
  const { resourceVersion } = place.object?.metadata ?? {};
  const body = { metadata: { annotations, ...(resourceVersion === undefined ? {} : { resourceVersion }) } };
  await api.request("PATCH", place.path, { contentType: MERGE_PATCH, body });
}

export interface Amendment {
  /** Null: nothing stays of it. */
  readonly record: DnsRecord | null;
  /** Of the workload. */
  readonly spec?: object;
}

const TURNS = 5;

/**
 * Ends a trial, and writes what is the case then, by what the object says now.
 * @param amend undefined: it is another's matter by now
 * @returns whether it was written
 * @throws ApiError
 */
export async function amendRecord(
  api: Api,
  observed: ObservedDns,
  amend: (record: DnsRecord, trial: string | undefined) => Amendment | undefined,
): Promise<boolean> {
  const place = placeOf(observed);
  if (place === undefined) return false;
  for (let turn = 1; ; turn++) {
    const { metadata = {} } = await api.request<ObjectJson>("GET", place.path);
    const { annotations = {}, resourceVersion } = metadata;
    const now = recordOf(place.with(annotations));
    const amendment = amend(now, annotations[TRIAL_ANNOTATION]);
    if (amendment === undefined) return false;
    const { record, spec } = amendment;
    const text = record === null ? null : JSON.stringify(record);
    const body = {
      metadata: { resourceVersion, annotations: { [RECORD_ANNOTATION]: text, [TRIAL_ANNOTATION]: null } },
      ...(spec === undefined ? {} : { spec }),
    };
    try {
      await api.request("PATCH", place.path, { contentType: MERGE_PATCH, body });
      return true;
    } catch (error) {
      // The status of a workload that is rolled out changes all the time.
      if (turn === TURNS || !isApiError(error, 409)) throw error;
    }
  }
}

interface Place {
  readonly path: string;
  readonly object: ObjectJson | undefined;
  /** What was observed, with other annotations in this place. */
  with(annotations: Readonly<Record<string, string>>): ObservedDns;
}

function placeOf(observed: ObservedDns): Place | undefined {
  const { provider } = detectDns(observed);
  if (provider === undefined) return undefined;
  if (provider.kind === "openshift") {
    const { dnsOperator } = observed;
    return {
      path: OPERATOR,
      object: dnsOperator,
      with: (annotations) => ({ ...observed, dnsOperator: { ...dnsOperator, metadata: { annotations } } }),
    };
  }
  const { workload } = provider;
  const object = observed.workloads.find(
    ({ kind, metadata }) => kind === workload.kind && metadata?.name === workload.name,
  );
  return {
    path: workloadPath(workload),
    object,
    with: (annotations) => ({
      ...observed,
      workloads: observed.workloads.map((each) =>
        each === object ? { ...each, metadata: { ...each.metadata, annotations } } : each,
      ),
    }),
  };
}
