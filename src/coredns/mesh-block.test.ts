import { expect, test } from "vitest";
import { checkCorefile } from "./corefile.ts";
import { domainOfTitle, forwardBlock, rewriteBlock, STANDARD_LISTENING, titleOf } from "./mesh-block.ts";

const TARGET = { meshNamespace: "maesh", clusterDomain: "cluster.local", longNames: [], version: undefined };
const version = (minor: number) => ({ major: 1, minor, patch: 0 });

test("mode rewrite gives Traefik Mesh's block, byte for byte", () => {
  expect(rewriteBlock("traefik.mesh", { ...TARGET, version: version(6) }, STANDARD_LISTENING, "original")).toBe(
    `#### Begin Traefik Mesh Block
traefik.mesh:53 {
    errors
    rewrite continue {
        name regex ([a-zA-Z0-9-_]*)\\.([a-zv0-9-_]*)\\.traefik.mesh maesh-{1}-6d61657368-{2}.maesh.svc.cluster.local
        answer name maesh-([a-zA-Z0-9-_]*)-6d61657368-([a-zA-Z0-9-_]*)\\.maesh\\.svc\\.cluster\\.local {1}.{2}.traefik.mesh
    }
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        upstream
        fallthrough in-addr.arpa ip6.arpa
    }
    forward . /etc/resolv.conf
    cache 30
    loop
    reload
    loadbalance
}
#### End Traefik Mesh Block`,
  );
});

test("from CoreDNS 1.7 on, and where the version is not known, a line of blanks stands for upstream", () => {
  for (const current of [version(7), version(14), undefined]) {
    const lines = rewriteBlock("maesh", { ...TARGET, version: current }, STANDARD_LISTENING, "original").split("\n");
    expect(lines[9]).toBe("        ");
    expect(lines).not.toContain("        upstream");
  }
});

test("a name that the pattern cannot carry is rewritten before it, as a whole, and back", () => {
  const longNames = [
    { service: "z", namespace: "a", shadow: "tulle-2" },
    { service: "long", namespace: "a", shadow: "tulle-1" },
  ];
  const lines = rewriteBlock("maesh", { ...TARGET, longNames }, STANDARD_LISTENING, "original").split("\n");
  expect(lines.slice(3, 8)).toEqual([
    "    rewrite stop {",
    "        name regex ^long\\.a\\.maesh\\.$ tulle-1.maesh.svc.cluster.local",
    "        answer name ^tulle-1\\.maesh\\.svc\\.cluster\\.local\\.$ long.a.maesh",
    "    }",
    "    rewrite stop {",
  ]);
  expect(lines[8]).toContain("z\\.a\\.maesh");
  expect(lines.indexOf("    rewrite continue {")).toBe(11);
});

test("mode forward sends the zone to each address, and keeps answers for seconds", () => {
  expect(forwardBlock("maesh", ["10.96.7.7", "fd00::7"], { port: "1053", bind: ["eth0", "lo"] }, "original")).toBe(
    `#### Begin Maesh Block
maesh:1053 {
    bind eth0 lo
    errors
    cache {
        success 9984 5
        denial 9984 2
    }
    forward . 10.96.7.7 fd00::7
}
#### End Maesh Block`,
  );
});

test("the blocks of several domains stand side by side in one Corefile", () => {
  const domains = ["maesh", "traefik.mesh", "mesh.corp.example"];
  const blocks = domains.map((domain) => rewriteBlock(domain, TARGET, STANDARD_LISTENING, "original"));
  expect(checkCorefile(blocks.join("\n"), version(3))).toEqual([]);
  for (const [marks, titles] of [
    ["original", ["Maesh", "Traefik Mesh", "Mesh mesh.corp.example"]],
    ["own", ["Mesh maesh", "Mesh traefik.mesh", "Mesh mesh.corp.example"]],
  ] as const) {
    expect(domains.map((domain) => titleOf(domain, marks))).toEqual(titles);
    expect(titles.map(domainOfTitle)).toEqual(domains);
  }
});
