/** What a proxy adds to the time of a request at a rate that none of them minds. */
import { startColumns, stopAll } from "./columns.mjs";
import { interleave, least, sayErrors, startEndpoints } from "./http-cost.mjs";
import { steady } from "./loads.mjs";

const PER_SECOND = 1000;
const QUANTILES = { p50: "p50", p99: "p99", p999: "p99.9" };

export async function runLatency(workbench, options, results) {
  const { seconds, rounds, columns } = options;
  console.log(
    `Time added at ${PER_SECOND} requests/s, ${rounds} interleaved rounds of ${seconds} s; least of the rounds:`,
  );
  const endpoints = await startEndpoints(workbench);
  const proxies = await startColumns(workbench, columns, { kind: "http", services: 1, ...endpoints });
  const [address] = endpoints.addresses;
  const direct = { name: "direct", host: "direct", rounds: [], address, port: endpoints.targetPort };
  const run = (proxy, forSeconds) => steady(workbench, proxy, { seconds: forSeconds, perSecond: PER_SECOND });
  await interleave([direct, ...proxies], {
    rounds,
    warmUp: (proxy) => run(proxy, 2),
    round: (proxy) => run(proxy, seconds),
  });
  await stopAll(workbench, [...proxies, endpoints]);
  sayErrors([direct, ...proxies]);
  const said = Object.keys(QUANTILES).map((key) => `${QUANTILES[key]} ${Math.round(least(key)(direct.rounds))} µs`);
  console.log(`without a proxy: ${said.join(", ")}`);
  results.add(
    Object.entries(QUANTILES).map(([key, title]) => ({
      key,
      title: `µs added at ${PER_SECOND} requests/s, ${title}`,
      digits: 0,
      values: new Map(proxies.map(({ name, rounds: all }) => [name, least(key)(all) - least(key)(direct.rounds)])),
    })),
  );
}
