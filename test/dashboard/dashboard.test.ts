/** The dashboard as people use it: a mesh with real calls, and a real browser on its admin address. */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import axe from "axe-core";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { emptyMeshConfig, type MeshConfig } from "../../src/config/mesh-config.ts";
import { NO_COUNTS, NO_TRAFFIC, type TrafficReport } from "../../src/traffic/traffic-report.ts";
import { RunningMesh } from "../running-mesh.ts";
import { CHROMIUM, launch, WITHOUT_CHROMIUM } from "./chromium.ts";

const EXAMPLE = new URL("../../examples/whoami/", import.meta.url);
const SCREENSHOTS = new URL("../../docs/screenshots/", import.meta.url);
const VIEWS = {
  graph: "#graph",
  services: "#services",
  service: "#service/whoami/whoami-split",
  problems: "#problems",
  explain: "#explain?from=whoami/whoami-stranger&to=whoami.whoami.traefik.mesh",
  tap: "#tap",
  history: "#history",
};
/** Of which there is a screenshot, too. */
const ON_A_PHONE = ["graph", "services", "tap"];
const SCHEMES = ["light", "dark"] as const;

const BROKEN = `
apiVersion: split.smi-spec.io/v1alpha3
kind: TrafficSplit
metadata: {name: half-made, namespace: whoami}
spec: {service: whoami, backends: [{service: whoami-v3, weight: 1}]}
---
apiVersion: v1
kind: Service
metadata:
  name: marked-up
  namespace: whoami
  annotations: {mesh.traefik.io/retry-attempts: "<img src=x onerror=document.title='owned'>"}
spec: {selector: {app: nobody}, ports: [{port: 80}]}
`;

/** With UPDATE_SCREENSHOTS=1, for docs/dashboard.md and for whoever changes what is seen. */
async function screenshot(page: Page, name: string): Promise<void> {
  if (process.env["UPDATE_SCREENSHOTS"] !== "1") return;
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: new URL(`${name}.png`, SCREENSHOTS).pathname });
}

const splitOf = (v1: number, v2: number) =>
  readFileSync(new URL("50-split.yaml", EXAMPLE), "utf8")
    .replace(/(whoami-v1\n\s+weight:) \d+/, `$1 ${v1}`)
    .replace(/(whoami-v2\n\s+weight:) \d+/, `$1 ${v2}`);

/** Calls of the example's clients, some a second, until it is told to stop. */
class Traffic {
  readonly #mesh: RunningMesh;
  readonly #timer: NodeJS.Timeout;
  #last: Promise<unknown> = Promise.resolve();

  constructor(mesh: RunningMesh) {
    this.#mesh = mesh;
    this.#timer = setInterval(() => {
      this.#last = this.#last.then(() => this.#calls());
    }, 40);
  }

  /** So many that every backend of the split has some. */
  async round(): Promise<void> {
    for (let calls = 0; calls < 5; calls++) await this.#calls();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#last;
  }

  #calls(): Promise<unknown> {
    const call = (service: string, from: string, path = "/") => this.#mesh.get(service, { from, path });
    return Promise.all([
      call("whoami", "whoami-client"),
      call("whoami-split", "whoami-client"),
      call("whoami-api", "whoami-client", "/api"),
      call("whoami", "whoami-stranger", "/<b>private</b>"),
    ]);
  }
}

describe.skipIf(CHROMIUM === undefined)(`the dashboard in Chromium${WITHOUT_CHROMIUM}`, () => {
  let browser: Browser;
  let mesh: RunningMesh;
  let traffic: Traffic;
  let address: string;
  const contexts: BrowserContext[] = [];
  /** What a page said went wrong. */
  const complaints: string[] = [];

  beforeAll(async () => {
    const names = readdirSync(EXAMPLE).filter((name) => name.endsWith(".yaml"));
    const manifests = Object.fromEntries(names.map((name) => [name, readFileSync(new URL(name, EXAMPLE), "utf8")]));
    [browser, mesh] = await Promise.all([launch(), RunningMesh.start(manifests, "on")]);
    await mesh.edit("90-broken.yaml", BROKEN);
    address = mesh.ready.admin;
    traffic = new Traffic(mesh);
  });

  afterAll(async () => {
    await traffic?.stop();
    await browser?.close();
    await mesh?.close();
  });

  afterEach(async () => {
    for (const context of contexts.splice(0)) await context.close();
    expect(complaints.splice(0)).toEqual([]);
  });

  async function open(hash: string, options: Parameters<Browser["newContext"]>[0] = {}): Promise<Page> {
    const context = await browser.newContext({ viewport: { width: 1180, height: 760 }, ...options });
    contexts.push(context);
    const page = await context.newPage();
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error") complaints.push(message.text());
    });
    await page.clock.install();
    await page.goto(`${address}/${hash}`);
    await page.getByRole("status").filter({ hasText: "live" }).first().waitFor();
    return page;
  }

  /** Two looks of the page further: nothing waits for its timers. */
  async function lookAgain(page: Page): Promise<void> {
    for (let look = 0; look < 2; look++) {
      await traffic.round();
      const asked = page.waitForResponse(/\/api\/traffic\?/);
      await page.clock.fastForward(2_100);
      await asked;
    }
  }

  const row = (page: Page, from: string, to: string) =>
    page.locator("tr", { has: page.locator("th", { hasText: from }) }).filter({ hasText: to });

  /** Within the time that a slow machine needs. */
  const soon = <T>(value: () => T) => expect.poll(value, { timeout: 10_000 });

  const cut = (text: string | null) => text ?? "";

  test("the graph has who calls whom, with rates, weights, and the lock that a denied caller meets", async () => {
    const page = await open(VIEWS.graph);
    await lookAgain(page);
    const client = row(page, "whoami/whoami-client", "whoami/whoami-split");
    await soon(() => client.textContent()).toMatch(/(?!0\/)[\d.]+\/s0 %[<\d.]+ ms–0allowed/);
    await soon(() => row(page, "whoami/whoami-stranger", "whoami/whoami").textContent()).toMatch(/denieddenies/);
    const pill = (text: RegExp) => page.locator(".pill").filter({ hasText: text });
    expect(cut(await pill(/whoami-split → whoami\/whoami-v1/).textContent())).toMatch(/80 % · [\d.]+\/s/);
    expect(await pill(/stranger.*denied by access control/).getAttribute("class")).toContain("bad");
    expect(await page.locator("path.edge:not(.flow0)").count()).toBeGreaterThan(4);
  });

  test("a split that is edited shifts in the graph, and the history says from what to what", async () => {
    const page = await open(VIEWS.graph);
    await mesh.edit("50-split.yaml", splitOf(30, 70));
    await lookAgain(page);
    const pill = page.locator(".pill").filter({ hasText: "whoami-split → whoami/whoami-v2" });
    await soon(async () => cut(await pill.textContent())).toContain("70 %");
    await page.getByRole("link", { name: "History" }).click();
    const newest = page.locator(".history > li").first();
    await newest.waitFor();
    expect(await newest.textContent()).toContain("in force");
    expect(await newest.locator("del").first().textContent()).toMatch(/whoami-v1:80 80, whoami\/whoami-v2:80 20/);
    expect(await newest.locator("ins").first().textContent()).toMatch(/whoami-v1:80 30, whoami\/whoami-v2:80 70/);
    await mesh.edit("50-split.yaml", splitOf(80, 20));
  });

  test("live calls have the reason of a denial, and lead to what explains it", async () => {
    const page = await open("#tap?denied=true");
    const denied = page.locator("tbody tr").filter({ hasText: "AccessDenied" }).first();
    await denied.waitFor();
    expect(await denied.textContent()).toMatch(/whoami\/whoami-stranger.*GET \/<b>private<\/b>403 AccessDenied/);
    await denied.getByRole("link").click();
    await page.locator(".verdict").waitFor();
    expect(await page.locator(".verdict").textContent()).toMatch(
      /Not served: 403 AccessDenied — decided by TrafficTarget/,
    );
    expect(await page.locator(".path .decides").first().textContent()).toContain("Access control");
  });

  test("a filter of live calls that cannot be is answered in words", async () => {
    const page = await open("#tap?status=9xx");
    await page.getByText("is not a status from 100 to 599, a class such as 5xx").waitFor();
    complaints.length = 0;
  });

  test("filters that the proxies refuse are an error, and no calls", async () => {
    const page = await open("#problems");
    const refused = '{"kind":"error","status":400,"message":"<b>blue</b> is not a status"}\n';
    await page.route(/\/api\/tap\?/, (route) => route.fulfill({ body: refused.repeat(2) }));
    await page.goto(`${address}/#tap?status=blue`);
    await page.getByRole("alert").getByText("<b>blue</b> is not a status", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Go on" }).waitFor();
    expect(await page.locator("tbody tr").count()).toBe(0);
  });

  test("live calls that were left out are counted, and what one proxy says for itself hides no other's", async () => {
    const page = await open("#problems");
    const call = { kind: "http", method: "GET", path: "/", source: "a/b", service: "n/s:80", status: 200 };
    const full = { kind: "error", status: 503, message: "there are 16 taps already" };
    const lines = [{ kind: "lost", calls: 3 }, full, call, { kind: "lost", calls: 4 }];
    const body = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
    await page.route(/\/api\/tap\?/, (route) => route.fulfill({ body }));
    await page.goto(`${address}/#tap`);
    const tally = "1 call seen; 7 more were too fast to show; a proxy shows none: there are 16 taps already";
    await page.getByText(tally).waitFor();
    expect(await page.locator("tbody tr").count()).toBe(1);
  });

  test("explain draws the way of a call from a form", async () => {
    const page = await open("#explain");
    await page.getByLabel("From the Pod").fill("whoami/whoami-client");
    await page.getByLabel("To the name or address").fill("whoami-split.whoami.traefik.mesh");
    await page.keyboard.press("Enter");
    await page.locator(".verdict.good").waitFor();
    expect(await page.locator(".path h2").allTextContents()).toEqual([
      "CallerPod whoami/whoami-client",
      "NameService whoami/whoami-split",
      expect.stringMatching(/^Access controlTrafficTarget/),
      expect.stringMatching(/^RouteTrafficSplit whoami\/.*decides$/),
      "Answer",
    ]);
    await page.getByLabel("From the Pod").fill("whoami/nobody");
    await page.keyboard.press("Enter");
    await page.getByText("from whoami/nobody: there is no such Pod").waitFor();
    complaints.length = 0;
  });

  test("a problem has its object, field, effect and remedy, and markup of the cluster stays text", async () => {
    const page = await open(VIEWS.problems);
    const problem = page.locator(".problem").filter({ hasText: "whoami-v3" }).first();
    await problem.waitFor();
    expect(await problem.textContent()).toMatch(/TrafficSplit whoami\/half-made.*Fieldspec\.backends.*Remedy/);
    expect(await page.locator("main").textContent()).toContain("<img src=x");
    await page.goto(`${address}/#service/whoami/<img src=x onerror=document.title=1>`);
    await page.getByText("The mesh does not serve").waitFor();
    expect(await page.locator("main img").count()).toBe(0);
    expect(await page.title()).not.toMatch(/^(owned|1)$/);
  });

  test("the address of a Service without its name leads to all Services", async () => {
    const page = await open("#service");
    await page.getByRole("heading", { level: 1, name: "Services" }).waitFor();
  });

  test("a Service's page says its routes, endpoints, callers, access and the proxies that have it in force", async () => {
    const page = await open(VIEWS.service);
    await page.getByText("tulle-local runs this configuration").waitFor();
    const said = cut(await page.locator("main").textContent());
    expect(said).toContain("TrafficSplit whoami/whoami-split: every request");
    expect(said).toContain("Access control is on");
    expect(await page.getByRole("row", { name: /whoami\/whoami-client/ }).count()).toBeGreaterThan(0);
  });

  test("what this process does not serve is said in a sentence, and the rest works", async () => {
    const page = await open("#problems");
    await page.route(/api\/(traffic|tap|history)/, (route) => route.fulfill({ status: 404, body: "nothing here\n" }));
    await page.goto(`${address}/#graph`);
    await page.clock.fastForward(2_100);
    await page.getByText("There are no figures of traffic: this process does not serve /api/traffic").waitFor();
    expect(await page.locator(".node").count()).toBeGreaterThan(4);
    await page.getByRole("link", { name: "Live calls" }).click();
    await page.getByText("this process shows no live calls").waitFor();
    await page.getByRole("link", { name: "History" }).click();
    await page.getByText("There is no history: this process does not serve /api/history").waitFor();
    complaints.length = 0;
  });

  test("a mesh that is gone is said, with the time of what is shown", async () => {
    const page = await open(VIEWS.services);
    await page.route(/api\//, (route) => route.abort());
    await page.clock.fastForward(2_100);
    await page.getByText(/^the mesh cannot be reached; what is shown is of \d\d:/).waitFor();
    expect(await page.locator("tbody tr").count()).toBeGreaterThan(4);
    complaints.length = 0;
  });

  test("a proxy that misses a look is said in the head, and no burst when it comes back", async () => {
    let counted: Record<string, number> = { a: 10 };
    const page = await open(VIEWS.graph);
    await page.route(/\/api\/traffic\?/, (route) => {
      const proxies = Object.entries(counted).map(([proxy, calls]) => [proxy, reportOf(calls)]);
      const answer = { ageMs: 0, proxies: Object.fromEntries(proxies), missing: 2 - proxies.length };
      return route.fulfill({ json: answer });
    });
    const look = (next: Record<string, number>) => {
      counted = next;
      return page.clock.fastForward(2_100);
    };
    await page.reload();
    const called = row(page, "whoami/nobody", "whoami/whoami");
    await called.waitFor();
    const head = page.getByLabel("The mesh at a glance");
    await head.getByText(/^\d up to date, figures of 1 missing$/).waitFor();
    await look({ a: 14, b: 100_000 });
    await head.getByText(/^\d up to date$/).waitFor();
    expect(cut(await called.textContent())).toMatch(/whoami\/whoami[\d.]{1,3}\/s/);
  });

  test("every view is reached and left by keyboard alone", async () => {
    const page = await open(VIEWS.graph);
    await page.keyboard.press("Tab");
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe("Skip to the content");
    await page.keyboard.press("Tab");
    const titles = ["Services", "Problems", "Explain a call", "Live calls", "Configuration history", "Who calls whom"];
    for (const [index, title] of titles.entries()) {
      const link = page.locator("nav a").nth((index + 1) % titles.length);
      while (!(await link.evaluate((element) => element === document.activeElement))) await page.keyboard.press("Tab");
      await page.keyboard.press("Enter");
      await page.getByRole("heading", { level: 1, name: title }).waitFor();
      expect(await page.evaluate(() => document.activeElement?.id)).toBe("main");
      await page.locator(".brand").focus();
    }
    await page.locator(".graph").focus();
    const world = page.locator(".graph > g");
    const before = await world.getAttribute("transform");
    await page.keyboard.press("+");
    await page.keyboard.press("ArrowLeft");
    expect(await world.getAttribute("transform")).not.toBe(before);
    await page.locator("a.node").first().focus();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Who may call" }).waitFor();
  });

  test("the graph is panned and zoomed by mouse, and a new figure moves no box", async () => {
    const page = await open(VIEWS.graph);
    await page.locator(".node").first().waitFor();
    const world = page.locator(".graph > g");
    const places = () => page.locator(".node").evaluateAll((all) => all.map((each) => each.getAttribute("transform")));
    const before = await places();
    await lookAgain(page);
    expect(await places()).toEqual(before);
    const start = await world.getAttribute("transform");
    const frame = (await page.locator(".graph").boundingBox()) as { x: number; y: number };
    await page.mouse.move(frame.x + 20, frame.y + 10);
    await page.mouse.down();
    await page.mouse.move(frame.x + 60, frame.y + 40);
    await page.mouse.up();
    const panned = await world.getAttribute("transform");
    expect(panned).not.toBe(start);
    await page.getByRole("button", { name: "Zoom in" }).click();
    expect(await world.getAttribute("transform")).not.toBe(panned);
  });

  test("the colours follow the system until the switch says otherwise", async () => {
    const page = await open(VIEWS.graph, { colorScheme: "dark" });
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const dark = await ground();
    await page.getByRole("button", { name: "Colours: system" }).click();
    expect(await ground()).not.toBe(dark);
    await page.reload();
    await page.getByRole("button", { name: "Colours: light" }).click();
    expect(await ground()).toBe(dark);
  });

  test.each(Object.entries(VIEWS))(
    "%s on a phone: nothing must be scrolled sideways, and the accessibility check finds nothing",
    async (name, hash) => {
      const page = await open(hash, { viewport: { width: 390, height: 844 }, reducedMotion: "reduce" });
      await lookAgain(page);
      if (name === "explain") await page.locator(".verdict").waitFor();
      if (name === "tap") await page.locator("tbody tr").first().waitFor();
      if (ON_A_PHONE.includes(name)) await screenshot(page, `${name}-phone`);
      const tooWide = await page.evaluate(() =>
        [...document.querySelectorAll("html, .scroller")]
          .filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth)
          .map(({ className, scrollWidth }) => `${className} ${scrollWidth}`),
      );
      expect(tooWide).toEqual([]);
      await page.evaluate(axe.source);
      expect(await page.evaluate(findings)).toEqual([]);
    },
  );

  test.each(Object.entries(VIEWS))(
    "%s: the accessibility check finds nothing, in light and in dark",
    async (name, hash) => {
      const page = await open(hash, { reducedMotion: "reduce" });
      await lookAgain(page);
      if (name === "tap") {
        await page.locator("tbody tr").nth(12).waitFor();
        await page.getByRole("button", { name: "Pause" }).click();
      }
      if (name === "explain") await page.locator(".verdict").waitFor();
      // The page's own policy lets no other script in: the check comes past it.
      await page.evaluate(axe.source);
      for (const colorScheme of SCHEMES) {
        await page.emulateMedia({ colorScheme });
        await screenshot(page, `${name}-${colorScheme}`);
        expect(await page.evaluate(findings), colorScheme).toEqual([]);
      }
    },
  );

  test("a thousand Services: the graph has the busiest, the table all, and a filter finds each", async () => {
    const page = await open("#problems");
    const big = bigMesh(1_000);
    await page.route("**/api/config", (route) => route.fulfill({ json: big.snapshot, headers: { ETag: '"big"' } }));
    await page.route(/\/api\/traffic\?/, (route) => route.fulfill({ json: big.traffic() }));
    await page.goto(`${address}/#graph`);
    await page.getByText("These are the busiest; 960 Services more").waitFor();
    await lookAgain(page);
    expect(await page.locator("a.node").count()).toBe(40);
    await page.locator(".pill").filter({ hasText: "→ ns9/s999" }).first().waitFor();
    await page.getByLabel("Filter by name").fill("s123");
    await soon(() => page.locator("a.node").count()).toBe(1);
    await page.getByRole("link", { name: "Services" }).click();
    await soon(() => page.locator("tbody tr").count()).toBe(1_000);
    await page.getByRole("button", { name: "Calls" }).click();
    expect(await page.locator("tbody th").first().textContent()).toBe("ns9/s999");
    await page.getByLabel("Filter by name").fill("ns4/s44");
    await soon(() => page.locator("tbody tr").count()).toBe(2);
  });

  test("docs/screenshots has each view in both colours, small", () => {
    for (const name of Object.keys(VIEWS))
      for (const scheme of SCHEMES) {
        const file = new URL(`${name}-${scheme}.png`, SCREENSHOTS);
        expect(existsSync(file), file.pathname).toBe(true);
        expect(statSync(file).size).toBeLessThan(200_000);
      }
  });
});

/** Of a proxy with one edge. */
function reportOf(calls: number): TrafficReport {
  const key = { source: "whoami/nobody", servicePort: "whoami/whoami:80", backend: "whoami/whoami:80" };
  return { ...NO_TRAFFIC, edges: [{ ...NO_COUNTS, ...key, protocol: "http", exchanges: [0, 0, calls, 0, 0, 0] }] };
}

/** Services s0… in ten namespaces; the higher the number, the busier, and nobody calls s0. */
function bigMesh(count: number) {
  const keys = Array.from({ length: count }, (_, index) => `ns${index % 10}/s${index}`);
  const servicePorts: MeshConfig["servicePorts"] = {};
  for (const key of keys) {
    const [namespace = "", service = ""] = key.split("/");
    servicePorts[`${key}:80`] = {
      ...{ namespace, service, port: 80, trafficType: "http", scheme: "http", middlewares: {}, endpoints: {} },
    };
  }
  const config: MeshConfig = { ...emptyMeshConfig(), meshDomains: ["traefik.mesh"], servicePorts };
  let looks = 0;
  const traffic = (): TrafficReport => {
    looks++;
    const edges = keys.map((key, index) => ({
      ...NO_COUNTS,
      ...{
        source: `ns0/caller-${index % 7}`,
        servicePort: `${key}:80`,
        backend: `${key}:80`,
        protocol: "http" as const,
      },
      exchanges: [0, 0, index * looks, 0, 0, 0],
    }));
    return { ...NO_TRAFFIC, edges };
  };
  return { snapshot: { version: "big", config }, traffic };
}

/** In the browser: what the accessibility check has against the page. */
async function findings(): Promise<string[]> {
  type Finding = { readonly id: string; readonly nodes: readonly { readonly html: string }[] };
  const { axe } = window as unknown as { axe: { run(): Promise<{ violations: Finding[] }> } };
  const { violations } = await axe.run();
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}
