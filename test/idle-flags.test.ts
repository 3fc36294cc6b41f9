/** `tulle proxy` with flags of its access log and tracing of which nothing comes. */
import { expect, onTestFinished, test } from "vitest";
import { webConfig } from "../src/config/testkit/shop-config.ts";
import { freePorts } from "../src/model/testkit/free-ports.ts";
import { ProxyHost } from "./running-proxy.ts";

test.each<[Readonly<Record<string, string | number | true>>, string]>([
  [{ "access-log-fields": "time" }, "--access-log-fields: there is no access log; add --access-log or"],
  [{ "tracing-rate": 5 }, "--tracing-rate: there is no tracing; add --tracing-endpoint URL"],
  [{ "access-log": true, "access-log-format": "common", "access-log-fields": "time" }, "common has its own fields"],
  [{ "access-log-file": "/tmp" }, "--access-log-file /tmp is a folder: name a file in it, such as access.log"],
])("%j: it carries calls, and warns that nothing comes of them", async (flags, warning) => {
  const host = await ProxyHost.open();
  onTestFinished(() => host.close());
  const [port = 0] = await freePorts(1);
  host.publish(webConfig(port, "127.0.0.1:1"));
  const proxy = host.start(flags);
  const inForce = host.inForceOn(1).then(() => "in force");
  expect(await Promise.race([inForce, proxy.ended()])).toBe("in force");
  await proxy.says(warning);
});
