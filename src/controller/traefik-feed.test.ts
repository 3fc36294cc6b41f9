import { expect, test } from "vitest";
import type { Answer } from "../admin/admin-server.ts";
import { type Problem, problem } from "../model/problems.ts";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import type { Translated } from "../traefik/to-traefik.ts";
import { TraefikFeed, VERSION_HEADER } from "./traefik-feed.ts";

const mesh = (url: string, problems: readonly Problem[] = []): Translated => ({
  configuration: {
    http: {
      routers: { readiness: { entryPoints: ["readiness"], rule: "Path(`/ping`)", service: "readiness" } },
      services: { readiness: { loadBalancer: { servers: [{ url }], passHostHeader: true } } },
      middlewares: {},
    },
  },
  problems,
});
const WRONG = problem("TraefikUdpDenied", { kind: "Service", namespace: "n", name: "s" }, "", "it is of UDP");

function feedOf(first?: Translated) {
  const clock = new ManualClock();
  const now = { translated: first, count: 0, told: 0, takesMs: 0 };
  const feed = new TraefikFeed({
    clock,
    translate: () => {
      now.count++;
      clock.advance(now.takesMs);
      return now.translated;
    },
    onProblems: () => now.told++,
  });
  const poll = () => feed.routes()["/api/configuration/current"]?.answer([], {} as never) as Answer;
  const polled = () => JSON.parse(poll().body) as { http: { routers: object; middlewares: object } };
  return { clock, now, feed, poll, polled };
}

test("before everything was read once nothing is served, rather than an empty configuration", () => {
  const { feed, poll, now } = feedOf();
  expect([poll().status, feed.version]).toEqual([503, ""]);
  now.translated = mesh("http://a");
  expect(poll().status).toBe(200);
});

test("a Traefik's readiness router tells the version that it serves by", () => {
  const { feed, polled } = feedOf(mesh("http://a"));
  expect(polled().http).toMatchObject({
    routers: { readiness: { service: "readiness", middlewares: ["tulle-version"] } },
    middlewares: { "tulle-version": { headers: { customResponseHeaders: { [VERSION_HEADER]: feed.version } } } },
  });
});

test("the version is that of the content: a change that Traefik does not see makes no other", () => {
  const { feed, now, poll } = feedOf(mesh("http://a"));
  const [first, body] = [feed.version, poll().body];
  now.translated = mesh("http://a");
  feed.changed();
  expect([feed.version, poll().body]).toEqual([first, body]);
  now.translated = mesh("http://b");
  expect(feed.version).toBe(first);
  feed.changed();
  expect(feed.version).not.toBe(first);
});

test("however many poll, a change is translated once", () => {
  const { feed, now, poll, clock } = feedOf(mesh("http://a"));
  for (let polls = 0; polls < 10; polls++) poll();
  expect(now.count).toBe(1);
  for (let changes = 0; changes < 10; changes++) feed.changed();
  for (let polls = 0; polls < 10; polls++) poll();
  clock.advance(5_000);
  expect(now.count).toBe(2);
});

test("a translation that takes long is not made again at once, and what changed meanwhile is served after that", () => {
  const { feed, now, clock, poll } = feedOf(mesh("http://a"));
  now.takesMs = 1_000;
  const first = poll().body;
  now.translated = mesh("http://b");
  feed.changed();
  clock.advance(2_900);
  expect([poll().body, now.count]).toEqual([first, 1]);
  clock.advance(200);
  expect([poll().body === first, now.count]).toEqual([false, 2]);
});

test("what Traefik cannot do is known though nobody polls", () => {
  const { feed, now, clock } = feedOf(mesh("http://a", [WRONG]));
  feed.changed();
  expect([feed.problems, now.told]).toEqual([[], 0]);
  clock.advance(1_000);
  expect([feed.problems, now.told]).toEqual([[WRONG], 1]);
  now.translated = mesh("http://a");
  feed.changed();
  clock.advance(1_000);
  expect([feed.problems, now.told]).toEqual([[], 2]);
});
