/**
 * The proxies' own admin API, asked through their config streams: of the proxies that follow this replica directly, of the
 * others by way of the replica that they follow. Whoever looks at a replica sees the whole mesh.
 */

import { z } from "zod";
import type { AdminRoutes, StreamAnswer } from "../admin/admin-server.ts";
import { compactJson, text } from "../admin/admin-server.ts";
import type { AnswerReader } from "../config-stream/ask-channel.ts";
import type { ConfigServer } from "../config-stream/config-server.ts";
import type { AskableProxy } from "../config-stream/subscriber.ts";
import type { Clock } from "../model/clock.ts";
import { readTapFilter } from "../tap/tap-filter.ts";
import { ReportSchema, readReport } from "../traffic/report-schema.ts";
import { sumOfTraffic, type TrafficReport } from "../traffic/traffic-report.ts";
import { type Connected, keepNewest } from "./newest-of-pod.ts";

export interface ProxyRelayOptions {
  readonly server: Pick<ConfigServer, "askable" | "follow">;
  readonly clock: Clock;
  /** Asks each of the other replicas. @returns says that the answers are not wanted any more */
  askPeers(path: string, reader: () => AnswerReader): () => void;
  /** The other replicas, at this moment. */
  peers(): number;
  /** Proxies that count nothing that we could ask for. */
  unasked?(): number;
}

/** What has been told of all proxies together. */
export interface MeshTraffic extends TrafficReport {
  /**
   * Proxies, or replicas that know of some, that did not answer in time, and nodes of which no proxy has the counts just now:
   * what they carry is not in it.
   */
  readonly missing: number;
}

/** A proxy that has not answered by then is left out. */
const ANSWER_MS = 1_000;
/** Another replica waits for its proxies; before that it must be connected to, and look at our token. */
const PEER_ANSWER_MS = 3_000;
/** Some thousands of edges for each of many proxies; what is cut there cannot be read. */
const MAX_ANSWER_CHARACTERS = 256 * 1024 * 1024;
/** Of a question to the proxies. */
const MAX_QUERY_CHARACTERS = 8 * 1024;
/** What is looked at often is asked for this often. */
const FRESH_MS = 500;

const TRAFFIC = "/api/traffic";
const RECENT = "/api/traffic/recent";
const TAP = "/api/tap";

/** Of one proxy. */
interface Told extends Connected {
  readonly report: TrafficReport;
}

/** By the proxy's Pod, and how many are missing. */
interface Gathered {
  readonly told: ReadonlyMap<string, Told>;
  readonly missing: number;
  /** Pods that are here, and were not asked: another of that name is to have the counts. */
  readonly standBy: readonly string[];
}

/** As one replica tells another. */
const ToldByReplica = z.object({
  proxies: z.record(z.string(), ReportSchema),
  connectedMs: z.record(z.string(), z.number()).default({}),
  missing: z.number().default(0),
  standBy: z.array(z.string()).default([]),
});

interface Look {
  readonly at: number;
  readonly gathered: Promise<Gathered>;
}

export class ProxyRelay {
  readonly #options: ProxyRelayOptions;
  /** What was answered last, by path. */
  readonly #looks = new Map<string, Look>();

  constructor(options: ProxyRelayOptions) {
    this.#options = options;
  }

  /** For those who look at this replica. */
  routes(): AdminRoutes {
    return {
      [TRAFFIC]: {
        says: "what has passed since the proxies' start, by caller, service port and backend (TrafficReport); ?by=proxy",
        private: true,
        answer: async (_parameters, { query }) => {
          if (query.get("by") !== "proxy") return compactJson(await this.#allTraffic(TRAFFIC));
          const { at, gathered } = this.#look(TRAFFIC);
          const { told, missing } = await gathered;
          const ageMs = Math.round(this.#options.clock.now() - at);
          return compactJson({ ageMs, proxies: reportsOf(told), missing });
        },
      },
      [RECENT]: {
        says: "of that, what has passed in the last 30 s, at most 10 s ago",
        private: true,
        answer: async () => compactJson(await this.recentTraffic()),
      },
      [TAP]: {
        says: "live calls at all proxies, as JSON lines or as events; filters as of `tulle tap`",
        private: true,
        answer: (_parameters, { query, accept }) => {
          if (String(query).length > MAX_QUERY_CHARACTERS) return text("the filters are too long\n", 414);
          const filter = readTapFilter(query);
          return typeof filter === "string" ? text(`${filter}\n`, 400) : this.#tap(query, accept, true);
        },
      },
    };
  }

  /** For the other replicas: of the proxies that follow this one. */
  peerRoutes(): AdminRoutes {
    const told = async (path: string) => {
      const own = await this.#ownTraffic(path);
      const connectedMs = Object.fromEntries([...own.told].map(([pod, each]) => [pod, each.connectedMs]));
      const { missing, standBy } = own;
      return compactJson({ proxies: reportsOf(own.told), connectedMs, missing, standBy });
    };
    return {
      [TRAFFIC]: { says: "", answer: () => told(TRAFFIC) },
      [RECENT]: { says: "", answer: () => told(RECENT) },
      [TAP]: { says: "", answer: (_parameters, { query }) => this.#tap(query, "", false) },
    };
  }

  /** What has passed at all proxies in the last half minute. */
  recentTraffic(): Promise<MeshTraffic> {
    return this.#allTraffic(RECENT);
  }

  async #allTraffic(path: string): Promise<MeshTraffic> {
    const { told, missing } = await this.#look(path).gathered;
    return { ...sumOfTraffic([...told.values()].map(({ report }) => report)), missing };
  }

  #look(path: string): Look {
    const at = this.#options.clock.now();
    const last = this.#looks.get(path);
    if (last !== undefined && at - last.at <= FRESH_MS) return last;
    const look = { at, gathered: this.#gather(path) };
    this.#looks.set(path, look);
    return look;
  }

  async #gather(path: string): Promise<Gathered> {
    const { askPeers, peers } = this.#options;
    const all = new Map<string, Told>();
    const standBy = new Set<string>();
    let missing = this.#options.unasked?.() ?? 0;
    const takeAll = (text: string) => {
      const { proxies, connectedMs, missing: ofReplica, standBy: there } = ToldByReplica.parse(JSON.parse(text));
      for (const [pod, report] of Object.entries(proxies))
        keepNewest(all, pod, { report, connectedMs: connectedMs[pod] ?? Number.POSITIVE_INFINITY });
      missing += ofReplica;
      for (const pod of there) standBy.add(pod);
    };
    const own = this.#ownTraffic(path);
    const silent = await this.#collect(peers(), PEER_ANSWER_MS, (reader) => askPeers(path, () => reader(takeAll)));
    missing += silent;
    const { told, missing: ownMissing, standBy: here } = await own;
    for (const [pod, each] of told) keepNewest(all, pod, each);
    for (const pod of here) standBy.add(pod);
    const nobodys = [...standBy].filter((pod) => !all.has(pod));
    return { told: all, missing: missing + ownMissing + nobodys.length, standBy: nobodys };
  }

  async #ownTraffic(path: string): Promise<Gathered> {
    const newest = new Map<string, AskableProxy>();
    const askable = this.#options.server.askable();
    // What one that stands by has counted is not the node's, and is told with it once it is.
    for (const proxy of askable) if (!proxy.standsBy) keepNewest(newest, proxy.pod, proxy);
    const standBy = askable.map(({ pod }) => pod).filter((pod) => !newest.has(pod));
    const proxies = [...newest.values()];
    const told = new Map<string, Told>();
    const missing = await this.#collect(proxies.length, ANSWER_MS, (reader) => {
      const take = (proxy: AskableProxy) => (text: string) => {
        told.set(proxy.pod, { report: readReport(JSON.parse(text)), connectedMs: proxy.connectedMs });
      };
      const stops = proxies.map((proxy) => proxy.ask(path, reader(take(proxy))));
      return () => {
        for (const stop of stops) stop();
      };
    });
    return { told, missing, standBy };
  }

  /**
   * Waits for `count` answers, for a time, and gives those that came whole to whoever takes them.
   * @returns how many did not
   */
  #collect(
    count: number,
    waitMs: number,
    ask: (reader: (take: (text: string) => void) => AnswerReader) => () => void,
  ): Promise<number> {
    if (count === 0) return Promise.resolve(0);
    return new Promise((resolve) => {
      let left = count;
      let missing = count;
      const finish = () => {
        timer.cancel();
        stop();
        resolve(missing);
      };
      const timer = this.#options.clock.after(waitMs, finish);
      const stop = ask((take) => {
        let text = "";
        return {
          onText: (piece) => {
            if (text.length < MAX_ANSWER_CHARACTERS) text += piece;
          },
          onEnd: (status) => {
            if (status === 200 && taken(take, text)) missing--;
            if (--left === 0) finish();
          },
        };
      });
    });
  }

  /** @param peersToo and not only the proxies that follow this replica */
  #tap(query: URLSearchParams, accept: string, peersToo: boolean): StreamAnswer {
    const events = accept.includes("text/event-stream");
    const path = `${TAP}?${query}`;
    return {
      type: events ? "text/event-stream" : "application/x-ndjson",
      start: (output) => {
        // Pieces of one proxy are not mixed with another's: a line is passed on when it is whole.
        const lines = new MergedLines(Number(query.get("count") ?? Number.POSITIVE_INFINITY), (line) =>
          output.write(events ? `data: ${line}\n\n` : `${line}\n`),
        );
        const asked: (() => void)[] = [];
        const unfollow = this.#options.server.follow((proxy) => asked.push(proxy.ask(path, lines.reader())));
        if (peersToo) asked.push(this.#options.askPeers(path, () => lines.reader()));
        const stop = () => {
          unfollow();
          for (const end of asked) end();
        };
        lines.onEnough = () => {
          stop();
          output.end();
        };
        return stop;
      },
    };
  }
}

function reportsOf(told: ReadonlyMap<string, Told>): Record<string, TrafficReport> {
  return Object.fromEntries([...told].map(([pod, { report }]) => [pod, report]));
}

/** @returns false where it is no answer of ours, such as that of another version */
function taken(take: (text: string) => void, text: string): boolean {
  try {
    take(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * Lines of several answers; each is passed on when it is whole, so that pieces of one are not mixed with another's. What
 * the reader does not take is lost, and said as soon as it takes something again.
 */
class MergedLines {
  /** @returns false where the reader is behind: nothing was written */
  readonly #write: (line: string) => boolean;
  #left: number;
  #lost = 0;
  #reading = 0;
  /** As many calls as were asked for have been passed on, or nobody has any more. */
  onEnough = () => {};

  constructor(count: number, write: (line: string) => boolean) {
    this.#left = count;
    this.#write = write;
  }

  reader(): AnswerReader {
    let begun = "";
    this.#reading++;
    let refusal = "";
    return {
      onText: (piece) => {
        const lines = (begun + piece).split("\n");
        begun = lines.pop() as string;
        for (const line of lines) {
          // Calls are objects; that it is a refusal, the status says, which comes last.
          if (line.startsWith("{")) this.#take(line);
          else refusal = line;
        }
      },
      onEnd: (status) => {
        this.#reading--;
        // A proxy that has too many taps; one that is gone comes again, and is asked then.
        if (status >= 400) this.#write(JSON.stringify({ kind: "error", status, message: refusal || begun }));
        if (status !== 0 && this.#reading === 0) this.onEnough();
      },
    };
  }

  #take(line: string): void {
    if (this.#left <= 0) return;
    // Another replica passes on what its proxies refuse.
    const isError = line.startsWith('{"kind":"error"');
    const isLoss = line.startsWith('{"kind":"lost"');
    if (this.#lost > 0 && this.#write(JSON.stringify({ kind: "lost", calls: this.#lost }))) this.#lost = 0;
    if (this.#lost > 0 || !this.#write(line)) {
      this.#lost += isLoss ? Number(/\d+/.exec(line)?.[0] ?? 0) : 1;
      return;
    }
    if (isLoss || isError) return;
    this.#left--;
    if (this.#left === 0) this.onEnough();
  }
}
