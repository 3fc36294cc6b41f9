import { expect, test } from "vitest";
import type { Api } from "../kube/api-client.ts";
import { ApiError } from "../kube/api-error.ts";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import { TokenReviewer } from "./token-reviewer.ts";

const token = (exp: number) => `x.${Buffer.from(JSON.stringify({ exp })).toString("base64url")}.y`;

const GOOD = {
  authenticated: true,
  audiences: ["tulle-config"],
  user: {
    username: "system:serviceaccount:mesh:tulle-proxy",
    extra: {
      "authentication.kubernetes.io/pod-name": ["p1"],
      "authentication.kubernetes.io/node-name": ["n1"],
    },
  },
};

function reviewer(status: () => object) {
  const clock = new ManualClock();
  let reviews = 0;
  const api = {
    async request() {
      reviews++;
      return { status: status() };
    },
  } as unknown as Api;
  const tokens = new TokenReviewer({ api, clock, namespace: "mesh", nodeOf: () => "n9" });
  return { tokens, clock, reviews: () => reviews };
}

test("a proxy is its Pod on its node, as its token says", async () => {
  const { tokens } = reviewer(() => GOOD);
  expect(await tokens.identify(token(9_999_999))).toEqual({ role: "proxy", pod: "p1", node: "n1" });
});

test("another replica of the controller is told from a proxy", async () => {
  const { tokens } = reviewer(() => ({
    ...GOOD,
    user: { ...GOOD.user, username: "system:serviceaccount:mesh:tulle-controller" },
  }));
  expect((await tokens.identify(token(9_999_999))).role).toBe("controller");
});

test("where the review says no node, the Pod's is taken", async () => {
  const { tokens } = reviewer(() => ({
    ...GOOD,
    user: { ...GOOD.user, extra: { "authentication.kubernetes.io/pod-name": ["p1"] } },
  }));
  expect((await tokens.identify(token(9_999_999))).node).toBe("n9");
});

test.each([
  ["that is not valid", { authenticated: false, error: "expired" }, /expired/],
  ["for another audience", { ...GOOD, audiences: ["https://kubernetes"] }, /audience/],
  [
    "of another ServiceAccount",
    { ...GOOD, user: { ...GOOD.user, username: "system:serviceaccount:mesh:x" } },
    /not of/,
  ],
  [
    "of another namespace",
    { ...GOOD, user: { ...GOOD.user, username: "system:serviceaccount:x:tulle-proxy" } },
    /not of/,
  ],
  ["that is bound to no Pod", { ...GOOD, user: { username: GOOD.user.username } }, /no Pod/],
])("a token %s is refused with the reason", async (_what, status, reason) => {
  const { tokens } = reviewer(() => status);
  await expect(tokens.identify(token(9_999_999))).rejects.toThrow(reason);
});

test("a token that was reviewed is known without the API server until it ends", async () => {
  let away = false;
  const { tokens, clock, reviews } = reviewer(() => {
    if (away) throw new ApiError("away");
    return GOOD;
  });
  const known = token(clock.wall() / 1000 + 60);
  await tokens.identify(known);
  away = true;
  expect((await tokens.identify(known)).pod).toBe("p1");
  expect(reviews()).toBe(1);
  clock.advance(61_000);
  await expect(tokens.identify(known)).rejects.toThrow("away");
});
