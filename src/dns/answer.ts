/**
 * One DNS message in, one out: RFC 1034 and 1035, with RFC 2308 (negative answers), 6891 (EDNS), 8482 (ANY) and 8020
 * (what has names below it exists). The sockets are elsewhere.
 *
 * A name outside of all zones is REFUSED, not NXDOMAIN: this server does not know, and a resolver may ask another one.
 * The search domains of a Pod are all within our zones, so their wrong guesses are NXDOMAIN at once.
 */
import { isIPv4 } from "node:net";
import dnsPacket, { type Answer } from "dns-packet";
import { CLASS_IN, HEADER_BYTES, type Query, RCODE, readQuery, refusal, TYPE } from "./query.ts";
import { type Zone, zoneOf } from "./zone.ts";

export interface AnswerOptions {
  readonly zones: readonly Zone[];
  /** Seconds that an answer may be kept. */
  readonly ttlSeconds: number;
  /** Seconds that the lack of one may be kept. */
  readonly negativeTtlSeconds: number;
  /** Over UDP an answer must fit what the caller can take. */
  readonly transport: "udp" | "tcp";
  /** Asked for answers of several addresses alone: which of them is first. */
  readonly nextTurn: () => number;
}

const PLAIN_UDP_BYTES = 512;
/** What is sent without fragments nearly everywhere (DNS Flag Day 2020). */
const EDNS_UDP_BYTES = 1232;
const MAX_TCP_BYTES = 0xffff;
/** A longer chain of aliases leads nowhere. */
const MAX_ALIASES = 8;
const DNSSEC_OK = 0x8000;

interface Reply {
  readonly rcode: number;
  readonly answers: Answer[];
  readonly authorities: Answer[];
  readonly authoritative: boolean;
}

/** @returns undefined where silence is the answer: too short to say anything of, or an answer itself */
export function answer(message: Buffer, options: AnswerOptions): Buffer | undefined {
  const query = readQuery(message);
  if (query === undefined) return undefined;
  if (typeof query === "number") return refusal(message, query);
  return encode(query, reply(query, options), options.transport);
}

function reply(query: Query, options: AnswerOptions): Reply {
  if (query.opt !== undefined && query.opt.ednsVersion > 0) return notOurs(RCODE.badVersion);
  if (query.class !== CLASS_IN || query.type === TYPE.AXFR || query.type === TYPE.IXFR) return notOurs(RCODE.refused);
  const { zones, ttlSeconds: ttl } = options;
  const answers: Answer[] = [];
  for (let owner = query.name, aliases = 0; aliases <= MAX_ALIASES; aliases++) {
    const name = owner.toLowerCase();
    const home = zoneOf(name, zones);
    // Where an alias leaves our zones, the resolver goes on from there.
    if (home === undefined) return aliases === 0 ? notOurs(RCODE.refused) : positive(answers);
    const found = home.zone.find(name);
    if (found.kind === "alias") {
      answers.push({ type: "CNAME", name: owner, ttl, data: found.target });
      if (query.type === TYPE.CNAME || query.type === TYPE.ANY) return positive(answers);
      owner = withoutLastDot(found.target);
      continue;
    }
    if (found.kind === "addresses") answers.push(...addressRecords(owner, query.type, found.addresses, options));
    else if (found.kind === "pointer" && (query.type === TYPE.PTR || query.type === TYPE.ANY))
      answers.push({ type: "PTR", name: owner, ttl, data: found.target });
    else if (query.type === TYPE.SOA && name === home.origin) answers.push(soa(home.origin, options));
    const rcode = found.kind === "none" ? RCODE.nameError : RCODE.noError;
    // RFC 2308 §2.1: behind an alias too, the SOA says how long the lack may be kept.
    return answers.length > aliases
      ? positive(answers)
      : { rcode, answers, authorities: [soa(home.origin, options)], authoritative: true };
  }
  return notOurs(RCODE.serverFailure);
}

const notOurs = (rcode: number): Reply => ({ rcode, answers: [], authorities: [], authoritative: false });

const positive = (answers: Answer[]): Reply => ({
  rcode: RCODE.noError,
  answers,
  authorities: [],
  authoritative: true,
});

/** Each answer starts with another address. RFC 8482 §4.1: ANY gets one set of records, those of the first address. */
function addressRecords(
  name: string,
  type: number,
  addresses: readonly string[],
  { ttlSeconds: ttl, nextTurn }: AnswerOptions,
): Answer[] {
  const [first] = addresses;
  const wanted = type === TYPE.ANY && first !== undefined ? typeOf(first) : type;
  const records = addresses
    .filter((address) => typeOf(address) === wanted)
    .map((data): Answer => ({ type: wanted === TYPE.A ? "A" : "AAAA", name, ttl, data }));
  if (records.length < 2) return records;
  const start = nextTurn() % records.length;
  return [...records.slice(start), ...records.slice(0, start)];
}

const typeOf = (address: string): number => (isIPv4(address) ? TYPE.A : TYPE.AAAA);

/** RFC 2308 §3 and §5: the lesser of its TTL and its minimum is how long a lack may be kept. */
function soa(origin: string, { negativeTtlSeconds }: AnswerOptions): Answer {
  return {
    type: "SOA",
    name: origin,
    ttl: negativeTtlSeconds,
    data: {
      mname: `ns.${origin}`,
      rname: `hostmaster.${origin}`,
      // Nobody transfers the zone, so nobody compares it.
      serial: 1,
      refresh: 7200,
      retry: 1800,
      expire: 86400,
      minimum: negativeTtlSeconds,
    },
  };
}

function encode(query: Query, reply: Reply, transport: "udp" | "tcp"): Buffer {
  const whole = write(query, reply, 0);
  if (transport === "udp") {
    const room =
      query.opt === undefined
        ? PLAIN_UDP_BYTES
        : Math.max(PLAIN_UDP_BYTES, Math.min(query.opt.udpPayloadSize, EDNS_UDP_BYTES));
    // The caller asks again over TCP; half an answer would be taken for all of it.
    return whole.length <= room
      ? whole
      : write(query, { ...reply, answers: [], authorities: [] }, dnsPacket.TRUNCATED_RESPONSE);
  }
  let { answers } = reply;
  let fitting = whole;
  while (fitting.length > MAX_TCP_BYTES) {
    answers = answers.slice(0, answers.length >> 1);
    fitting = write(query, { ...reply, answers }, 0);
  }
  return fitting;
}

function write(query: Query, { rcode, answers, authorities, authoritative }: Reply, truncated: number): Buffer {
  for (const { name } of answers) checkName(name);
  for (const record of answers)
    if (record.type === "CNAME" || record.type === "PTR") checkName(withoutLastDot(record.data));
  const packet = dnsPacket.encode({
    type: "response",
    id: query.id,
    flags: query.flags | truncated | (authoritative ? dnsPacket.AUTHORITATIVE_ANSWER : 0) | (rcode & 0x0f),
    answers,
    authorities,
    additionals: query.opt === undefined ? [] : [optRecord(query.opt.flags & DNSSEC_OK, rcode >> 4)],
  });
  // The encoder points nowhere, so what is behind the question may move.
  packet.writeUInt16BE(1, 4);
  return Buffer.concat([packet.subarray(0, HEADER_BYTES), query.question, packet.subarray(HEADER_BYTES)]);
}

/** RFC 3225 §3: the DO bit is repeated. */
function optRecord(flags: number, extendedRcode: number): Answer {
  return {
    type: "OPT",
    name: ".",
    udpPayloadSize: EDNS_UDP_BYTES,
    extendedRcode,
    ednsVersion: 0,
    flags,
    flag_do: flags !== 0,
    options: [],
  };
}

const withoutLastDot = (name: string): string => name.replace(/\.$/, "");

/** The encoder takes a length over 63 for a pointer's. @throws where a zone gave what is no name */
function checkName(name: string): void {
  if (name.length > 253 || name.split(".").some((label) => label === "" || label.length > 63 || /[^!-~]/.test(label)))
    throw new Error(`"${name}" is no DNS name`);
}
