/** A proxy whose exchanges are all recorded, and what it tells of them. */
import { expect } from "vitest";
import { DEFAULT_PROPAGATORS } from "../../tracing/propagation.ts";
import type { Span } from "../../tracing/span.ts";
import type { TracingOptions } from "../../tracing/tracer.ts";
import { type FixtureOptions, HttpFixture } from "./http-fixture.ts";

export const TRACE = "0af7651916cd43dd8448eb211c80319c";
export const PARENT = "b7ad6b7169203331";
export const SAMPLED = `00-${TRACE}-${PARENT}-01`;

export const get = (...lines: string[]) =>
  `GET /shop/cart?id=secret HTTP/1.1\r\nHost: svc.ns\r\nConnection: close\r\n${lines.map((each) => `${each}\r\n`).join("")}\r\n`;

export interface Traced {
  readonly proxy: HttpFixture;
  readonly spans: Span[];
  readonly traceIds: string[];
}

/** The proxy is the caller's to close. */
export async function openTraced(
  endpoints: readonly string[],
  tracing: Partial<TracingOptions> = {},
  more: Partial<FixtureOptions> = {},
): Promise<Traced> {
  const spans: Span[] = [];
  const traceIds: string[] = [];
  const proxy = await HttpFixture.open({
    endpoints,
    ...more,
    onRecord: ({ traceId }) => traceIds.push(traceId),
    tracing: {
      ratio: 1,
      perSecond: 0,
      propagators: DEFAULT_PROPAGATORS,
      random: Math.random,
      onRecorded: (pending) => spans.push(...pending.write()),
      ...tracing,
    },
  });
  return { proxy, spans, traceIds };
}

/** The lines of this field that an endpoint was sent. */
export const linesOf = (received: string, name: string) =>
  [...received.matchAll(new RegExp(`^${name}: (.*)\\r$`, "gim"))].map(([, value = ""]) => value);

/** Server span first, then the tries, with parents as they must be. */
export function expectTrace(spans: readonly Span[], tries: number, parentId = ""): [Span, ...Span[]] {
  const [server, ...clients] = spans as [Span, ...Span[]];
  expect(server).toMatchObject({ kind: "server", parentId });
  expect(clients).toHaveLength(tries);
  for (const client of clients) {
    expect(client).toMatchObject({ kind: "client", parentId: server.spanId, traceId: server.traceId });
    expect(client.startMs).toBeGreaterThanOrEqual(server.startMs);
    expect(client.endMs).toBeLessThanOrEqual(server.endMs);
  }
  expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(spans.length);
  return [server, ...clients];
}
