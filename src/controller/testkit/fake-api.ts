/** An API server's store, in memory: objects by path, with resource versions, conflicts and merge patches. */

import type { Api, RequestOptions } from "../../kube/api-client.ts";
import { ApiError } from "../../kube/api-error.ts";

export interface StoredObject {
  metadata: { name: string; namespace?: string; resourceVersion: string; uid: string; [key: string]: unknown };
  [key: string]: unknown;
}

const COLLECTIONS = ["services", "pods", "configmaps", "deployments", "daemonsets", "events", "leases"];

export class FakeApi implements Api {
  /** By `collection/name`. */
  readonly objects = new Map<string, StoredObject>();
  /** `METHOD path`, in order. */
  readonly requests: string[] = [];
  /** Called before each request; throws what the server would answer. */
  refuse: (method: string, path: string, body: unknown) => void = () => {};
  #version = 0;

  put(collection: string, object: { metadata: { name: string } & Record<string, unknown> } & Record<string, unknown>) {
    const version = String(++this.#version);
    const stored = structuredClone(object) as unknown as StoredObject;
    stored.metadata.resourceVersion = version;
    stored.metadata.uid ??= `uid-${version}`;
    this.objects.set(`${collection}/${object.metadata.name}`, stored);
    return stored;
  }

  /** @param collection of a namespace, or `/api/v1/services` of all */
  list(collection: string): StoredObject[] {
    const within = collection.replace(/^\/api\/v1\/(?!namespaces\/)/, "/api/v1/namespaces/[^/]+/");
    const pattern = new RegExp(`^${within}/[^/]+$`);
    return [...this.objects].filter(([path]) => pattern.test(path)).map(([, object]) => object);
  }

  async request<T>(method: string, path: string, { body, signal, query }: RequestOptions = {}): Promise<T> {
    if (signal?.aborted) throw new ApiError(`${method} ${path}: given up`);
    this.requests.push(`${method} ${path}`);
    this.refuse(method, path, body);
    return structuredClone(this.#answer(method, path, body, query)) as T;
  }

  async watch(): Promise<void> {
    throw new ApiError("watches are not served here", 501);
  }

  #answer(method: string, path: string, body: unknown, query: RequestOptions["query"]): unknown {
    if (method === "POST") return this.#create(path, body as StoredObject);
    const existing = this.objects.get(path);
    if (existing === undefined) {
      if (method === "GET" && COLLECTIONS.includes(path.split("/").at(-1) ?? "")) {
        const items = this.list(path).filter((object) => isSelected(object, query));
        return { items, metadata: {} };
      }
      throw new ApiError(`${path} not found`, 404, "NotFound");
    }
    if (method === "GET") return existing;
    const { metadata, preconditions } = (body ?? {}) as {
      metadata?: { resourceVersion?: string };
      preconditions?: { resourceVersion?: string };
    };
    const wanted = metadata?.resourceVersion ?? preconditions?.resourceVersion;
    if (wanted !== undefined && wanted !== existing.metadata.resourceVersion)
      throw new ApiError(`${path} was changed`, 409, "Conflict");
    if (method === "DELETE") {
      this.objects.delete(path);
      return {};
    }
    const merged = method === "PUT" ? (body as StoredObject) : (mergePatch(existing, body) as StoredObject);
    return this.put(path.slice(0, path.lastIndexOf("/")), merged);
  }

  #create(collection: string, body: StoredObject): StoredObject {
    const path = `${collection}/${body.metadata.name}`;
    if (this.objects.has(path)) throw new ApiError(`${path} exists`, 409, "AlreadyExists");
    return this.put(collection, body);
  }
}

/** By a label selector of equalities, and by a name. */
function isSelected({ metadata }: StoredObject, query: RequestOptions["query"] = {}): boolean {
  const { labelSelector: selector, fieldSelector } = query;
  if (typeof fieldSelector === "string" && fieldSelector !== `metadata.name=${metadata.name}`) return false;
  if (typeof selector !== "string") return true;
  const labels = (metadata["labels"] ?? {}) as Record<string, string>;
  return selector.split(",").every((each) => labels[each.split("=")[0] ?? ""] === each.split("=")[1]);
}

/** RFC 7396. */
function mergePatch(target: unknown, patch: unknown): unknown {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const base = typeof target === "object" && target !== null && !Array.isArray(target) ? target : {};
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}
