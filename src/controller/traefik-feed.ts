/**
 * What Traefiks that run as the proxies poll: the mesh as their dynamic configuration, with a mark by which one tells what a
 * Traefik has in force. Its readiness router answers with the version in a header, and Traefik puts a configuration in
 * force as a whole: what answers with a version serves by it.
 */
import { createHash } from "node:crypto";
import { type AdminRoutes, type Answer, text } from "../admin/admin-server.ts";
import type { Clock, Timer } from "../model/clock.ts";
import type { Problem } from "../model/problems.ts";
import type { Translated } from "../traefik/to-traefik.ts";
import { type TraefikConfiguration, traefikText } from "../traefik/traefik-configuration.ts";

export interface TraefikFeedOptions {
  readonly clock: Clock;
  /** From what is there now; undefined before everything was read once. */
  translate(): Translated | undefined;
  /** `problems` is another list. */
  onProblems(): void;
}

interface Feed {
  /** 32 hexadecimal digits. */
  readonly version: string;
  readonly answer: Answer;
}

/** In lower case, as it is read. */
export const VERSION_HEADER = "x-tulle-version";
const MARK = "tulle-version";
/** Problems are known by then, though nobody polls this replica. */
const LOOK_MS = 1_000;
/** Times as long as a translation takes, until the next: that of 10,000 Services takes a second or two. */
const REST = 3;

export class TraefikFeed {
  readonly #options: TraefikFeedOptions;
  #feed: Feed | undefined;
  #isOld = true;
  #next: Timer | undefined;
  #restsUntil = Number.NEGATIVE_INFINITY;
  #problems: readonly Problem[] = [];

  constructor(options: TraefikFeedOptions) {
    this.#options = options;
  }

  /** What Traefik cannot do of what the objects ask for. */
  get problems(): readonly Problem[] {
    return this.#problems;
  }

  /** Of what is to be in force now; "" before there is anything. */
  get version(): string {
    return this.#current()?.version ?? "";
  }

  /** Objects have changed. It is translated when it is asked for, or a moment later. */
  changed(): void {
    this.#isOld = true;
    if (this.#next !== undefined) return;
    const { clock } = this.#options;
    this.#next = clock.after(Math.max(LOOK_MS, this.#restsUntil - clock.now()), () => {
      this.#next = undefined;
      this.#current();
      // Somebody polled a moment before, and it rests.
      if (this.#isOld) this.changed();
    });
  }

  close(): void {
    this.#next?.cancel();
  }

  routes(): AdminRoutes {
    return {
      "/api/configuration/current": {
        says: "the mesh as dynamic configuration for Traefik 3, as the proxies poll it",
        // An empty configuration would close every way there is; after this, a Traefik goes on with what it has.
        answer: () => this.#current()?.answer ?? text("no configuration is compiled yet\n", 503),
      },
    };
  }

  #current(): Feed | undefined {
    const { clock, translate } = this.#options;
    const startedAt = clock.now();
    if (!this.#isOld || startedAt < this.#restsUntil) return this.#feed;
    const translated = translate();
    if (translated === undefined) return this.#feed;
    this.#isOld = false;
    const { configuration, problems } = translated;
    const version = createHash("sha256").update(traefikText(configuration)).digest("hex").slice(0, 32);
    if (version !== this.#feed?.version) {
      const body = traefikText(marked(configuration, version));
      this.#feed = { version, answer: { status: 200, type: "application/json; charset=utf-8", body } };
    }
    this.#restsUntil = clock.now() + REST * (clock.now() - startedAt);
    if (problems.length > 0 || this.#problems.length > 0) {
      this.#problems = problems;
      this.#options.onProblems();
    }
    return this.#feed;
  }
}

function marked({ http, ...flows }: TraefikConfiguration, version: string): TraefikConfiguration {
  const { readiness } = http.routers;
  if (readiness === undefined) return { http, ...flows };
  return {
    http: {
      ...http,
      routers: { ...http.routers, readiness: { ...readiness, middlewares: [MARK] } },
      middlewares: {
        ...http.middlewares,
        [MARK]: { headers: { customResponseHeaders: { [VERSION_HEADER]: version } } },
      },
    },
    ...flows,
  };
}
