/** Far ends and proxies that close with the test, and the plainest of what passes between them. */
import { onTestFinished } from "vitest";
import { FarEnd, type FixtureOptions, HttpFixture } from "./http-fixture.ts";
import { Http2FarEnd } from "./http2-peers.ts";

export const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/** On a connection of its own. */
export const GET = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
/** On a connection that goes on. */
export const KEPT_GET = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
export const POST = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";

export const statusOf = (answer: string) => answer.slice(9, 12);
export const reasonOf = (answer: string) => /X-Tulle-Reason: (\w+)/.exec(answer)?.[1];
/** As it is framed. */
export const bodyOf = (answer: string) => answer.slice(answer.indexOf("\r\n\r\n") + 4);

/** Closes it when the test has ended; what was opened last is closed first. */
export function closing<Opened extends { close(): unknown }>(opened: Opened): Opened {
  onTestFinished(async () => {
    await opened.close();
  });
  return opened;
}

export async function farEnd(...args: Parameters<typeof FarEnd.listen>): Promise<FarEnd> {
  return closing(await FarEnd.listen(...args));
}

/** @param answer as of `FarEnd.answering` */
export async function answering(
  answer: Parameters<typeof FarEnd.answering>[0] = OK,
  at: Parameters<typeof FarEnd.answering>[1] = {},
): Promise<FarEnd> {
  return closing(await FarEnd.answering(answer, at));
}

export async function http2FarEnd(...args: Parameters<typeof Http2FarEnd.listen>): Promise<Http2FarEnd> {
  return closing(await Http2FarEnd.listen(...args));
}

/** @param to one that listens, or addresses of endpoints */
export async function openProxy(to: FarEnd | readonly string[], options: Partial<FixtureOptions> = {}) {
  const endpoints = to instanceof FarEnd ? [to.address] : to;
  return closing(await HttpFixture.open({ endpoints, ...options }));
}
