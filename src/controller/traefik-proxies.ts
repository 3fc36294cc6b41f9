/** Traefiks that run as the proxies, asked one by one: what each has in force. */
import type { Answer } from "../admin/admin-server.ts";
import { text } from "../admin/admin-server.ts";
import { type GotAnswer, getAnswer } from "../admin/get-answer.ts";
import type { Pod } from "../model/objects.ts";
import { VERSION_HEADER } from "./traefik-feed.ts";

/** As the chart lets Traefik listen. */
const READINESS_PORT = 1081;
const API_PORT = 8080;
const ANSWER_MS = 2_000;
const RAW_DATA_MS = 5_000;

/** Of one, for `/api/status/nodes`. */
export interface TraefikStanding {
  readonly engine: "traefik";
  /** It answers. */
  readonly connected: boolean;
  /** Of what it has in force; "" for nothing of ours, and where it does not answer. */
  readonly version: string;
  readonly programmed: boolean;
}

/** @param wanted version of what it is to have in force */
export async function traefikStanding({ ips }: Pod, wanted: string): Promise<TraefikStanding> {
  const asked = await ask(ips[0], READINESS_PORT, "/ping", ANSWER_MS);
  const version = asked?.headers[VERSION_HEADER];
  const inForce = typeof version === "string" ? version : "";
  return {
    engine: "traefik",
    connected: asked !== undefined,
    version: inForce,
    programmed: inForce !== "" && inForce === wanted,
  };
}

/** `/api/status/node/{pod}/configuration`: its own `/api/rawdata`, passed on. */
export async function traefikConfiguration({ meta, ips }: Pod): Promise<Answer> {
  const asked = await ask(ips[0], API_PORT, "/api/rawdata", RAW_DATA_MS);
  if (asked === undefined) return text(`proxy ${meta.name} cannot be reached\n`, 502);
  const { status, body } = asked;
  if (status !== 200) return text(`proxy ${meta.name} answered ${status}\n`, 500);
  return { status, type: "application/json; charset=utf-8", body: body.endsWith("\n") ? body : `${body}\n` };
}

/** @returns undefined where there is no answer in time */
async function ask(
  host: string | undefined,
  port: number,
  path: string,
  waitMs: number,
): Promise<GotAnswer | undefined> {
  if (host === undefined) return undefined;
  return getAnswer({ host, port, path }, AbortSignal.timeout(waitMs)).catch(() => undefined);
}
