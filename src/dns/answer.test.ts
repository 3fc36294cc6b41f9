import dnsPacket, { type Answer, type Packet } from "dns-packet";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { answer } from "./answer.ts";
import { type Answered, decode, optRecord, question } from "./testkit/dns-asking.ts";
import { EMPTY, type Found, NameTable, type Zone } from "./zone.ts";

function zone(origins: readonly string[], names: Readonly<Record<string, Found>>): Zone {
  const table = new NameTable();
  for (const origin of origins) table.add(origin, EMPTY);
  for (const [name, found] of Object.entries(names)) table.add(name, found);
  return { origins, find: (name) => table.find(name) };
}

const addresses = (...list: string[]): Found => ({ kind: "addresses", addresses: list });
const alias = (target: string): Found => ({ kind: "alias", target });
const many = (count: number) => Array.from({ length: count }, (_, index) => `127.1.${index >> 8}.${index & 255}`);

const ZONES = [
  zone(["traefik.mesh"], {
    "whoami.whoami.traefik.mesh": addresses("127.3.0.1"),
    "dual.ns.traefik.mesh": addresses("127.3.0.2", "fd00::2"),
    "six.ns.traefik.mesh": addresses("fd00::3"),
    "none.ns.traefik.mesh": addresses(),
  }),
  zone(["cluster.local", "127.in-addr.arpa"], {
    "three.ns.svc.cluster.local": addresses("127.1.0.1", "127.1.0.2", "127.1.0.3"),
    "ten.ns.svc.cluster.local": addresses(...many(10)),
    "forty.ns.svc.cluster.local": addresses(...many(40)),
    "all.ns.svc.cluster.local": addresses(...many(5000)),
    "out.ns.svc.cluster.local": alias("example.com"),
    "in.ns.svc.cluster.local": alias("Three.ns.svc.cluster.local."),
    "over.ns.svc.cluster.local": alias("whoami.whoami.traefik.mesh"),
    "gone.ns.svc.cluster.local": alias("no.ns.traefik.mesh"),
    "loop.ns.svc.cluster.local": alias("pool.ns.svc.cluster.local"),
    "pool.ns.svc.cluster.local": alias("loop.ns.svc.cluster.local"),
    "bad.ns.svc.cluster.local": alias("a..b"),
    "1.0.2.127.in-addr.arpa": { kind: "pointer", target: "a.ns.svc.cluster.local" },
  }),
];

function raw(message: Buffer, transport: "udp" | "tcp" = "udp", turn = 0): Buffer | undefined {
  return answer(message, { zones: ZONES, ttlSeconds: 7, negativeTtlSeconds: 3, transport, nextTurn: () => turn });
}

function ask(name: string, type: Parameters<typeof question>[1] = "A", more: Packet = {}): Answered {
  return decode(raw(question(name, type, more)) as Buffer);
}

const soa = (origin: string) => ({
  name: origin,
  type: "SOA",
  ttl: 3,
  class: "IN",
  flush: false,
  data: expect.objectContaining({ mname: `ns.${origin}`, minimum: 3 }),
});
const record = (name: string, type: string, data: string) => ({ name, type, ttl: 7, class: "IN", flush: false, data });

describe("a name with an address", () => {
  test("is answered with authority", () => {
    expect(ask("whoami.whoami.traefik.mesh")).toMatchObject({
      id: 4711,
      type: "response",
      rcode: "NOERROR",
      flag_aa: true,
      flag_tc: false,
      flag_rd: true,
      flag_ra: false,
      questions: [{ name: "whoami.whoami.traefik.mesh", type: "A", class: "IN" }],
      answers: [record("whoami.whoami.traefik.mesh", "A", "127.3.0.1")],
      authorities: [],
      additionals: [],
    });
  });

  test("is found in any case, and the case comes back (0x20)", () => {
    const asked = ask("WhoAmI.wHoami.TRAEFIK.mesh");
    expect(asked.questions?.[0]?.name).toBe("WhoAmI.wHoami.TRAEFIK.mesh");
    expect(asked.answers).toEqual([record("WhoAmI.wHoami.TRAEFIK.mesh", "A", "127.3.0.1")]);
  });

  test("has no other type: no error, no answer, and how long that holds", () => {
    for (const type of ["AAAA", "MX", "TXT", "SRV", "PTR", "CNAME", "SOA", "NS"] as const)
      expect(ask("whoami.whoami.traefik.mesh", type), type).toMatchObject({
        rcode: "NOERROR",
        flag_aa: true,
        answers: [],
        authorities: [soa("traefik.mesh")],
      });
  });

  test("gets of IPv4 and IPv6 what is asked for", () => {
    expect(ask("dual.ns.traefik.mesh").answers).toEqual([record("dual.ns.traefik.mesh", "A", "127.3.0.2")]);
    expect(ask("dual.ns.traefik.mesh", "AAAA").answers).toEqual([record("dual.ns.traefik.mesh", "AAAA", "fd00::2")]);
    expect(ask("six.ns.traefik.mesh")).toMatchObject({
      rcode: "NOERROR",
      answers: [],
      authorities: [soa("traefik.mesh")],
    });
  });

  test("gets one set of records for ANY", () => {
    expect(ask("dual.ns.traefik.mesh", "ANY").answers).toEqual([record("dual.ns.traefik.mesh", "A", "127.3.0.2")]);
    expect(ask("six.ns.traefik.mesh", "ANY").answers).toEqual([record("six.ns.traefik.mesh", "AAAA", "fd00::3")]);
    expect(ask("none.ns.traefik.mesh", "ANY").answers).toEqual([]);
  });

  test("starts with another one at each turn", () => {
    const first = (turn: number) =>
      (decode(raw(question("three.ns.svc.cluster.local"), "udp", turn) as Buffer).answers as { data: string }[]).map(
        ({ data }) => data.slice(-1),
      );
    expect([0, 1, 2, 3].map((turn) => first(turn).join(""))).toEqual(["123", "231", "312", "123"]);
  });
});

describe("a name without", () => {
  test("does not exist, and for how long", () => {
    for (const name of ["no.whoami.traefik.mesh", "x.whoami.whoami.traefik.mesh", "a.svc.ns.traefik.mesh"])
      for (const type of ["A", "AAAA", "ANY"] as const)
        expect(ask(name, type), name).toMatchObject({
          rcode: "NXDOMAIN",
          flag_aa: true,
          questions: [{ name }],
          answers: [],
          authorities: [soa("traefik.mesh")],
        });
  });

  test("that has names below it exists", () => {
    for (const name of ["whoami.traefik.mesh", "traefik.mesh", "none.ns.traefik.mesh"])
      expect(ask(name), name).toMatchObject({ rcode: "NOERROR", answers: [], authorities: [soa("traefik.mesh")] });
  });

  test("that a resolver made with its search domains does not exist", () => {
    for (const domain of ["whoami.svc.cluster.local", "svc.cluster.local", "cluster.local"])
      expect(ask(`whoami.whoami.traefik.mesh.${domain}`)).toMatchObject({
        rcode: "NXDOMAIN",
        authorities: [soa("cluster.local")],
      });
    expect(ask("4.0.1.127.in-addr.arpa", "PTR")).toMatchObject({
      rcode: "NXDOMAIN",
      authorities: [soa("127.in-addr.arpa")],
    });
  });

  test("outside of every zone is refused, without authority", () => {
    for (const name of ["example.com", "mesh", "xtraefik.mesh", "local", "."])
      expect(ask(name), name).toMatchObject({ rcode: "REFUSED", flag_aa: false, answers: [], authorities: [] });
  });

  test("is not taken for another because a label of it holds a dot", () => {
    const message = question("whoami.whoami.traefik.mesh");
    message[12] = 13; // the labels `whoami` and `whoami` become the one label `whoami.whoami`
    message[19] = ".".charCodeAt(0);
    const reply = raw(message) as Buffer;
    expect(decode(reply)).toMatchObject({ rcode: "NXDOMAIN", answers: [] });
    expect(reply.subarray(12, message.length)).toEqual(message.subarray(12));
  });

  test("of bytes that no host name has comes back byte for byte", () => {
    const message = question("whoami.whoami.traefik.mesh");
    message[13] = 0xff;
    message[14] = 0;
    const reply = raw(message) as Buffer;
    expect(decode(reply)).toMatchObject({ rcode: "NXDOMAIN" });
    expect(reply.subarray(12, message.length)).toEqual(message.subarray(12));
  });
});

describe("an alias", () => {
  test("is followed within the zones", () => {
    expect(ask("in.NS.svc.cluster.local").answers).toEqual([
      record("in.NS.svc.cluster.local", "CNAME", "Three.ns.svc.cluster.local"),
      record("Three.ns.svc.cluster.local", "A", "127.1.0.1"),
      record("Three.ns.svc.cluster.local", "A", "127.1.0.2"),
      record("Three.ns.svc.cluster.local", "A", "127.1.0.3"),
    ]);
    expect(ask("over.ns.svc.cluster.local").answers).toEqual([
      record("over.ns.svc.cluster.local", "CNAME", "whoami.whoami.traefik.mesh"),
      record("whoami.whoami.traefik.mesh", "A", "127.3.0.1"),
    ]);
  });

  test("that leaves the zones is all of the answer, and so it is where it is asked for itself", () => {
    const out = {
      rcode: "NOERROR",
      answers: [record("out.ns.svc.cluster.local", "CNAME", "example.com")],
      authorities: [],
    };
    expect(ask("out.ns.svc.cluster.local")).toMatchObject(out);
    expect(ask("out.ns.svc.cluster.local", "AAAA")).toMatchObject(out);
    for (const type of ["CNAME", "ANY"] as const) expect(ask("in.ns.svc.cluster.local", type).answers).toHaveLength(1);
  });

  test("of a name without that type, or of none, says so for the name behind it", () => {
    const six = ask("over.ns.svc.cluster.local", "AAAA");
    expect(six).toMatchObject({ rcode: "NOERROR", authorities: [soa("traefik.mesh")] });
    expect(six.answers).toHaveLength(1);
    const gone = ask("gone.ns.svc.cluster.local");
    expect(gone).toMatchObject({ rcode: "NXDOMAIN", authorities: [soa("traefik.mesh")] });
    expect(gone.answers).toHaveLength(1);
  });

  test("that leads in a circle is a failure of the server", () => {
    expect(ask("loop.ns.svc.cluster.local")).toMatchObject({ rcode: "SERVFAIL", answers: [] });
  });
});

test("of two zones, one within the other, the inner one answers", () => {
  const inner = zone(["b.c"], { "a.b.c": addresses("127.0.0.1") });
  const outer = zone(["c"], { "a.b.c": addresses("127.0.0.2") });
  for (const zones of [
    [inner, outer],
    [outer, inner],
  ]) {
    const options = { zones, ttlSeconds: 1, negativeTtlSeconds: 1, transport: "udp", nextTurn: () => 0 } as const;
    expect(decode(answer(question("a.b.c"), options) as Buffer).answers).toMatchObject([{ data: "127.0.0.1" }]);
    expect(decode(answer(question("x.b.c"), options) as Buffer).authorities).toMatchObject([{ name: "b.c" }]);
  }
});

test("an address has its name", () => {
  expect(ask("1.0.2.127.in-addr.arpa", "PTR").answers).toEqual([
    record("1.0.2.127.in-addr.arpa", "PTR", "a.ns.svc.cluster.local"),
  ]);
  expect(ask("1.0.2.127.in-addr.arpa")).toMatchObject({ rcode: "NOERROR", answers: [] });
});

test("a zone has its SOA", () => {
  expect(ask("traefik.mesh", "SOA")).toMatchObject({
    rcode: "NOERROR",
    answers: [soa("traefik.mesh")],
    authorities: [],
  });
});

test("a zone that gives what is no name throws, instead of sending it", () => {
  expect(() => raw(question("bad.ns.svc.cluster.local"))).toThrow('"a..b" is no DNS name');
});

describe("EDNS", () => {
  const withOpt = (name: string, ...opts: Answer[]) => ask(name, "A", { additionals: opts });

  test("is answered with our own size and the DO bit that came, and only where it was used", () => {
    expect(withOpt("whoami.whoami.traefik.mesh", optRecord(4096, { flags: 0x8001 })).additionals).toEqual([
      expect.objectContaining({ type: "OPT", udpPayloadSize: 1232, ednsVersion: 0, extendedRcode: 0, flags: 0x8000 }),
    ]);
    expect(withOpt("no.ns.traefik.mesh", optRecord(512)).additionals).toHaveLength(1);
    expect(withOpt("example.com", optRecord(512)).additionals).toHaveLength(1);
    expect(withOpt("example.com").additionals).toEqual([]);
  });

  test("of another version is BADVERS", () => {
    expect(withOpt("whoami.whoami.traefik.mesh", optRecord(512, { ednsVersion: 1 }))).toMatchObject({
      rcode: "NOERROR", // its lower bits
      answers: [],
      additionals: [{ type: "OPT", extendedRcode: 1, ednsVersion: 0 }],
    });
  });

  test("twice is malformed, and so is one that the root does not own", () => {
    expect(withOpt("whoami.whoami.traefik.mesh", optRecord(512), optRecord(512)).rcode).toBe("FORMERR");
    const message = question("whoami.whoami.traefik.mesh", "A", { additionals: [optRecord(512)] });
    const at = message.length - 11;
    const owned = Buffer.concat([message.subarray(0, at), Buffer.from([1, 0x61]), message.subarray(at)]);
    expect(decode(raw(owned) as Buffer).rcode).toBe("FORMERR");
  });
});

describe("an answer that is too long", () => {
  const udp = (name: string, size?: number) =>
    raw(question(name, "A", size === undefined ? {} : { additionals: [optRecord(size)] })) as Buffer;

  test("is cut to its question, and said to be, where the caller can take no more", () => {
    // Ten records of 40 bytes behind a question of 42 fit 512 bytes, forty do not.
    expect(decode(udp("ten.ns.svc.cluster.local"))).toMatchObject({ flag_tc: false, answers: { length: 10 } });
    for (const size of [undefined, 0, 512, 1232, 65_535])
      expect(decode(udp("forty.ns.svc.cluster.local", size)), `${size}`).toMatchObject({
        rcode: "NOERROR",
        flag_tc: true,
        questions: [{ name: "forty.ns.svc.cluster.local" }],
        answers: [],
        additionals: { length: size === undefined ? 0 : 1 },
      });
  });

  test("goes up to the size that the caller names, at most 1232 bytes", () => {
    const message = (size: number) => {
      const zones = [zone(["z"], { "n.z": addresses(...many(60)) })]; // 60 × 19 + 21 + 11 bytes
      const asked = question("n.z", "A", { additionals: [optRecord(size)] });
      return answer(asked, {
        zones,
        ttlSeconds: 1,
        negativeTtlSeconds: 1,
        transport: "udp",
        nextTurn: () => 0,
      }) as Buffer;
    };
    expect(message(1171)).toHaveLength(32);
    expect(message(1172)).toHaveLength(1172);
    expect(message(9999)).toHaveLength(1172);
  });

  test("is whole over TCP", () => {
    const whole = decode(raw(question("forty.ns.svc.cluster.local"), "tcp") as Buffer);
    expect(whole).toMatchObject({ flag_tc: false, answers: { length: 40 } });
  });

  test("is what fits over TCP, where even that is too small", () => {
    const message = raw(question("all.ns.svc.cluster.local"), "tcp") as Buffer;
    expect(message.length).toBeLessThanOrEqual(65_535);
    expect(decode(message).answers?.length).toBe(1250);
  });
});

describe("what is no question for us", () => {
  const rcode = (message: Buffer) => {
    const reply = raw(message);
    return reply === undefined ? undefined : decode(reply).rcode;
  };
  const good = question("whoami.whoami.traefik.mesh");
  const changed = (at: number, ...bytes: number[]) => {
    const message = Buffer.from(good);
    message.set(bytes, at);
    return message;
  };

  test("is not implemented, for another opcode", () => {
    for (const opcode of [1, 2, 4, 5, 6, 15]) {
      const reply = raw(changed(2, (opcode << 3) | 1)) as Buffer;
      expect(reply).toHaveLength(12);
      expect(reply.readUInt16BE(0)).toBe(4711);
      expect(reply.readUInt16BE(2)).toBe(0x8000 | (opcode << 11) | 0x0100 | 4);
    }
  });

  test("is refused, for another class and for transfers", () => {
    for (const name of ["CH", "HS", "ANY"] as const)
      expect(
        ask("whoami.whoami.traefik.mesh", "A", {
          questions: [{ name: "whoami.whoami.traefik.mesh", type: "A", class: name }],
        }),
      ).toMatchObject({ rcode: "REFUSED", answers: [] });
    for (const type of ["AXFR", "IXFR"] as const) expect(ask("traefik.mesh", type).rcode).toBe("REFUSED");
  });

  test("is malformed, with no question or two", () => {
    expect(rcode(changed(4, 0, 0))).toBe("FORMERR");
    const one = { name: "whoami.whoami.traefik.mesh", type: "A" } as const;
    expect(ask("", "A", { questions: [one, one] }).rcode).toBe("FORMERR");
  });

  test("is malformed, where it ends too early, points about or has too long a name", () => {
    for (let length = 4; length < good.length; length++)
      expect(rcode(good.subarray(0, length)), `${length}`).toBe("FORMERR");
    expect(rcode(changed(12, 0xc0, 12))).toBe("FORMERR");
    expect(rcode(changed(12, 0x40))).toBe("FORMERR");
    // The header's zeros would do as a name.
    const header = question("a", "A", { id: 0 }).subarray(0, 12);
    expect(rcode(Buffer.concat([header, Buffer.from([0xc0, 0, 0, 1, 0, 1]), Buffer.alloc(300)]))).toBe("FORMERR");
    const cutShort = Buffer.concat([
      changed(10, 0, 1),
      Buffer.from([0, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 9]),
      Buffer.alloc(8),
    ]);
    expect(rcode(cutShort)).toBe("FORMERR");
    expect(rcode(Buffer.concat([cutShort, Buffer.alloc(1)]))).toBe("NOERROR");
    expect(rcode(changed(10, 0, 1))).toBe("FORMERR");
    const label = Buffer.concat([Buffer.from([63]), Buffer.alloc(63, "a")]);
    const long = (last: number) =>
      Buffer.concat([
        good.subarray(0, 12),
        label,
        label,
        label,
        Buffer.from([last]),
        Buffer.alloc(last, "a"),
        Buffer.from([0, 0, 1, 0, 1]),
      ]);
    expect(rcode(long(61))).toBe("REFUSED"); // 255 bytes, a name that is in no zone
    expect(rcode(long(62))).toBe("FORMERR");
    expect(rcode(Buffer.concat([good, Buffer.alloc(5000)]))).toBe("FORMERR");
  });

  test("gets silence, where it is an answer itself or has no id and flags", () => {
    expect(raw(changed(2, 0x81))).toBeUndefined();
    for (let length = 0; length < 4; length++) expect(raw(good.subarray(0, length))).toBeUndefined();
  });
});

describe("whatever comes", () => {
  /** Answers nothing, or a well-formed answer to that id. */
  function expectSane(message: Buffer): void {
    const reply = raw(message);
    if (reply === undefined) return;
    expect(decode(reply)).toMatchObject({ id: message.readUInt16BE(0), type: "response" });
    expect(dnsPacket.decode.bytes).toBe(reply.length);
    expect(reply.length).toBeLessThanOrEqual(1232);
  }

  test("random bytes do no harm", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => expectSane(Buffer.from(bytes))));
  });

  test("nor do good questions with bytes changed, cut or doubled", () => {
    const names = fc.constantFrom(
      "whoami.whoami.traefik.mesh",
      "in.ns.svc.cluster.local",
      "forty.ns.svc.cluster.local",
    );
    const types = fc.constantFrom("A" as const, "AAAA" as const, "ANY" as const);
    const change = fc.tuple(fc.nat(80), fc.nat(255));
    fc.assert(
      fc.property(
        names,
        types,
        fc.boolean(),
        fc.array(change, { maxLength: 6 }),
        fc.nat(80),
        (name, type, edns, changes, cut) => {
          const message = question(name, type, edns ? { additionals: [optRecord(4096)] } : {});
          for (const [at, byte] of changes) if (at < message.length) message[at] = byte;
          expectSane(message);
          expectSane(message.subarray(0, cut));
          expectSane(Buffer.concat([message, message]));
        },
      ),
      { numRuns: 1000 },
    );
  });

  test("nor do records of every type behind a good question", () => {
    fc.assert(
      fc.property(fc.nat(65_535), fc.nat(40), fc.uint8Array({ maxLength: 40 }), (type, length, data) => {
        const message = question("whoami.whoami.traefik.mesh");
        message.writeUInt16BE(1, 10);
        const head = Buffer.from([0, type >> 8, type & 255, 0, 1, 0, 0, 0, 0, 0, length]);
        expectSane(Buffer.concat([message, head, data]));
      }),
      { numRuns: 1000 },
    );
  });
});
