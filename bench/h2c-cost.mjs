/** HTTP/2 without TLS on both sides: µs of CPU that a proxy uses for a request. */
import { startColumns, stopAll } from "./columns.mjs";
import { byName, costOf, interleave, least, middle, sayErrors, startEndpoints } from "./http-cost.mjs";
import { h2load } from "./loads.mjs";
import { findProgram } from "./processes.mjs";

export async function runH2c(workbench, options, results) {
  const { seconds, rounds, columns } = options;
  console.log(`h2c on both sides, 8 connections of 16 streams, ${rounds} interleaved rounds of ${seconds} s:`);
  if (findProgram("h2load") === undefined)
    return console.log("h2load is not installed: apt-get install nghttp2-client\n");
  const endpoints = await startEndpoints(workbench, { http2: true });
  const proxies = await startColumns(workbench, columns, { kind: "h2c", services: 1, ...endpoints });
  await interleave(proxies, {
    rounds,
    warmUp: (proxy) => h2load(workbench, proxy, 2),
    round: (proxy) => costOf(proxy, () => h2load(workbench, proxy, seconds)),
  });
  await stopAll(workbench, [...proxies, endpoints]);
  sayErrors(proxies);
  results.add([
    { key: "h2c", title: "µs CPU a request, h2c", digits: 1, values: byName(proxies, least("micros")) },
    { key: "h2c rate", title: "requests/s seen, h2c", digits: 0, values: byName(proxies, middle("perSecond")) },
  ]);
}
