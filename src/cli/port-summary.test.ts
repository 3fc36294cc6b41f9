import { expect, test } from "vitest";
import { portSummary } from "./port-summary.ts";

test("all ports that could not be had are one line, with where they are instead and why", () => {
  const denied = "ports below 1024 need a right that this process lacks (EACCES)";
  const taken = "another program or container has the port (EADDRINUSE)";
  const line = portSummary([
    { address: "127.3.0.1", port: 80, boundPort: 8080, reason: denied },
    { address: "127.3.0.2", port: 80, boundPort: 8080, reason: denied },
    { address: "127.3.0.2", port: 443, boundPort: 8443, reason: denied },
    { address: "127.1.0.1", port: 8080, boundPort: 40123, reason: taken },
  ]);
  expect(line).toBe(
    `not every port could be had: 80 on 8080 (2 addresses), 443 on 8443 (1 address), 8080 on any that was free (1 address); ${denied}; ${taken}`,
  );
});
