/**
 * CoreDNS's configuration, read far enough to judge a change of it before it is written. Whatever is in the text, there
 * is an answer: what is wrong becomes faults. Files named by `import` and the values of `{$NAME}` are not known here;
 * what depends on them is left to CoreDNS. Stricter than CoreDNS in one thing: a brace that is still open at the end is a
 * fault, though CoreDNS may forgive the last one, since text appended after it would land inside the block.
 */

export interface CorefileFault {
  /** From 1. */
  readonly line: number;
  /** For an operator, without the line. */
  readonly sentence: string;
}

/** A plugin's line, or a line between its braces, which may have braces of its own. */
export interface CorefileEntry {
  readonly name: string;
  readonly args: readonly string[];
  /** What stands between its braces; undefined where it has none. */
  readonly body?: readonly CorefileEntry[];
  readonly line: number;
}

export interface ServerBlock {
  /** As written: `.:53`, `dns://cluster.local`, `{$ZONE}`. A snippet's is `(name)`. */
  readonly keys: readonly string[];
  readonly plugins: readonly CorefileEntry[];
  readonly line: number;
  /** False for the only server of a Corefile without braces: whatever follows its keys belongs to it. */
  readonly braced: boolean;
  /** Its name, where it is a snippet: `(name) { ... }`. */
  readonly snippet?: string;
}

export interface Corefile {
  readonly blocks: readonly ServerBlock[];
  /** What is imported between server blocks: patterns of files, or snippets. */
  readonly imports: readonly string[];
  readonly faults: readonly CorefileFault[];
}

export interface CoreDnsVersion {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
}

/** A zone as CoreDNS compares it: lower case, without the last dot; `.` is the root. */
export interface ServedZone {
  readonly zone: string;
  readonly port: string;
  /** `dns`, `tls`, ... */
  readonly transport: string;
}

/** Never throws. */
export function parseCorefile(text: string): Corefile {
  return new Parser(tokenize(text)).corefile();
}

/** Unknown versions count as current. */
export function olderThan(version: CoreDnsVersion | undefined, major: number, minor: number, patch = 0): boolean {
  if (version === undefined) return false;
  if (version.major !== major) return version.major < major;
  return version.minor === minor ? version.patch < patch : version.minor < minor;
}

/**
 * Everything that would keep CoreDNS from starting with this text, as far as the text tells. `forward` twice in a block
 * is allowed from CoreDNS 1.9.4 on.
 */
export function checkCorefile(text: string, version?: CoreDnsVersion): CorefileFault[] {
  const corefile = parseCorefile(text);
  const once = olderThan(version, 1, 9, 4) ? [...ONCE, "forward"] : ONCE;
  return [
    ...corefile.faults,
    ...repeatedSnippets(corefile.blocks),
    ...repeatedZones(corefile.blocks),
    ...corefile.blocks.flatMap((block) => repeatedPlugins(block, corefile.blocks, once)),
  ].sort((a, b) => a.line - b.line);
}

/** Undefined where only an environment variable or the like says which zone it is. */
export function zoneOf(key: string): ServedZone | undefined {
  if (/\{[$%]/.test(key)) return undefined;
  const [, transport = "dns", rest = ""] = /^(?:([a-z0-9]+):\/\/)?(.*)$/is.exec(key) ?? [];
  const [, zone = "", port] = /^(.*?)(?::(\d+(?:-\d+)?))?$/s.exec(rest) ?? [];
  const name = zone.toLowerCase().replace(/\.$/, "");
  const named = transport.toLowerCase();
  return { zone: name === "" ? "." : name, port: port ?? DEFAULT_PORTS[named] ?? "53", transport: named };
}

const DEFAULT_PORTS: Readonly<Record<string, string>> = {
  tls: "853",
  quic: "853",
  https: "443",
  https3: "443",
  grpc: "443",
};

/** Plugins that may stand once in a server block in every version; `forward` is a case of its own. */
const ONCE: readonly string[] = ["errors", "cache", "ready", "loop", "hosts", "prometheus", "kubernetes"];

interface Token {
  readonly text: string;
  readonly line: number;
  readonly startsLine: boolean;
  /** Of a quote that nothing closes. */
  readonly open?: true;
}

const SPACE = /[\s\u0085]/;

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let line = 1;
  let startsLine = true;
  let at = text.startsWith("\ufeff") ? 1 : 0;
  while (at < text.length) {
    const character = text.charAt(at);
    if (character === "\n") {
      line++;
      startsLine = true;
      at++;
    } else if (SPACE.test(character)) at++;
    else if (character === "#") at = endOfLine(text, at);
    else {
      const { value, end, open } = character === '"' ? quoted(text, at) : word(text, at);
      tokens.push({ text: value, line, startsLine, ...(open && { open }) });
      line += newlines(text, at, end);
      startsLine = false;
      at = end;
    }
  }
  return tokens;
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf("\n", from);
  return end < 0 ? text.length : end;
}

function newlines(text: string, from: number, to: number): number {
  let count = 0;
  for (let at = text.indexOf("\n", from); at >= 0 && at < to; at = text.indexOf("\n", at + 1)) count++;
  return count;
}

interface Scanned {
  readonly value: string;
  /** Index after it. */
  readonly end: number;
  readonly open?: true;
}

function word(text: string, from: number): Scanned {
  let end = from;
  while (end < text.length && !SPACE.test(text.charAt(end))) end++;
  return { value: text.slice(from, end), end };
}

/** A backslash escapes a quote and nothing else, so that regular expressions can be written as they are. */
function quoted(text: string, from: number): Scanned {
  let end = from + 1;
  while (end < text.length && text.charAt(end) !== '"') end += text.startsWith('\\"', end) ? 2 : 1;
  const value = text.slice(from + 1, end).replaceAll('\\"', '"');
  return end < text.length ? { value, end: end + 1 } : { value, end: text.length, open: true };
}

/** An entry while it is read. */
interface Draft {
  readonly name: string;
  readonly args: string[];
  body?: Draft[];
  readonly line: number;
}

class Parser {
  readonly #tokens: readonly Token[];
  readonly #faults: CorefileFault[] = [];
  readonly #blocks: ServerBlock[] = [];
  readonly #imports: string[] = [];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  corefile(): Corefile {
    for (const token of this.#tokens)
      if (token.open) this.#fault(token.line, 'The quote " that opens here is never closed.');
    for (let token = this.#peek(); token !== undefined; token = this.#peek()) {
      if (token.text === "import" && token.startsLine) this.#importLine();
      else if (token.text === "}") {
        this.#fault(token.line, "The brace } closes nothing.");
        this.#at++;
      } else this.#block(token.line);
    }
    return { blocks: this.#blocks, imports: this.#imports, faults: this.#faults };
  }

  #peek(): Token | undefined {
    return this.#tokens[this.#at];
  }

  #fault(line: number, sentence: string): void {
    this.#faults.push({ line, sentence });
  }

  #importLine(): void {
    const { name, args, line } = this.#entry();
    const [target] = args;
    if (target === undefined) this.#fault(line, `"${name}" does not say what to import.`);
    else this.#imports.push(target);
  }

  #block(line: number): void {
    const keys = this.#keys();
    const braced = this.#peek()?.text === "{";
    if (braced) this.#at++;
    const plugins = braced ? this.#braced(line) : this.#rest();
    const snippet = keys.length === 1 ? /^\((.+)\)$/s.exec(keys[0] as string)?.[1] : undefined;
    this.#blocks.push({ keys, plugins, line, braced, ...(snippet !== undefined && { snippet }) });
  }

  /** Keys go to the end of the line, and on after a comma. */
  #keys(): string[] {
    const keys: string[] = [];
    let comma = false;
    for (let token = this.#peek(); token !== undefined && token.text !== "{"; token = this.#peek()) {
      if (token.startsLine && keys.length > 0 && !comma) return keys;
      comma = token.text.endsWith(",");
      keys.push(comma ? token.text.slice(0, -1) : token.text);
      this.#at++;
    }
    if (comma) this.#fault(this.#tokens[this.#at - 1]?.line ?? 1, "A zone is expected after the comma.");
    return keys;
  }

  #braced(openedAt: number): CorefileEntry[] {
    const plugins: CorefileEntry[] = [];
    const before = this.#faults.length;
    for (let token = this.#peek(); token !== undefined; token = this.#peek()) {
      if (token.text === "}") {
        this.#at++;
        return plugins;
      }
      plugins.push(this.#entry());
    }
    if (this.#faults.length === before)
      this.#fault(openedAt, "The server block that opens here is never closed: a } is missing.");
    return plugins;
  }

  #rest(): CorefileEntry[] {
    const plugins: CorefileEntry[] = [];
    for (let token = this.#peek(); token !== undefined; token = this.#peek()) {
      if (token.text === "}") {
        this.#fault(token.line, "The brace } closes nothing.");
        this.#at++;
      } else plugins.push(this.#entry());
    }
    return plugins;
  }

  /** A line with all that its braces hold, which is kept on a stack of our own: nesting has no bound. */
  #entry(): CorefileEntry {
    const first = this.#tokens[this.#at] as Token;
    const outermost: Draft = { name: first.text, args: [], line: first.line };
    const open: Draft[] = [];
    let current = outermost;
    let fresh = false;
    this.#at++;
    for (let token = this.#peek(); token !== undefined; token = this.#peek()) {
      const parent = open.at(-1);
      if (token.text === "{" && !fresh) {
        current.body ??= [];
        open.push(current);
        fresh = true;
      } else if (parent === undefined) {
        if (token.startsLine) return outermost;
        if (token.text === "}") {
          this.#fault(token.line, "The brace } has to stand on a line of its own.");
          return outermost;
        }
        current.args.push(token.text);
      } else if (token.text === "}") {
        current = open.pop() as Draft;
        fresh = false;
      } else if (fresh || token.startsLine) {
        current = { name: token.text, args: [], line: token.line };
        parent.body?.push(current);
        fresh = false;
      } else current.args.push(token.text);
      this.#at++;
    }
    const unclosed = open.at(-1);
    if (unclosed !== undefined)
      this.#fault(unclosed.line, `The brace { of "${unclosed.name}" is never closed: a } is missing.`);
    return outermost;
  }
}

function repeatedSnippets(blocks: readonly ServerBlock[]): CorefileFault[] {
  const seen = new Map<string, number>();
  const faults: CorefileFault[] = [];
  for (const { snippet, line } of blocks) {
    if (snippet === undefined) continue;
    const first = seen.get(snippet);
    if (first === undefined) seen.set(snippet, line);
    else faults.push({ line, sentence: `The snippet (${snippet}) is defined on line ${first} already.` });
  }
  return faults;
}

/** Server blocks that bind to different addresses may serve one zone on one port. */
function repeatedZones(blocks: readonly ServerBlock[]): CorefileFault[] {
  const seen = new Map<string, number>();
  const faults: CorefileFault[] = [];
  for (const block of blocks) {
    if (block.snippet !== undefined) continue;
    const bound = JSON.stringify(bindArgs(block).toSorted());
    for (const key of block.keys) {
      const served = zoneOf(key);
      if (served === undefined) continue;
      const id = `${served.transport}://${served.zone}:${served.port} ${bound}`;
      const first = seen.get(id);
      if (first === undefined) seen.set(id, block.line);
      else
        faults.push({
          line: block.line,
          sentence: `The zone ${served.zone} on port ${served.port} is served by the block on line ${first} already.`,
        });
    }
  }
  return faults;
}

/** Addresses and interfaces that a server block is bound to; none: all. */
export function bindArgs(block: ServerBlock): string[] {
  return block.plugins.filter(({ name }) => name === "bind").flatMap(({ args }) => args);
}

function repeatedPlugins(block: ServerBlock, blocks: readonly ServerBlock[], once: readonly string[]): CorefileFault[] {
  const faults: CorefileFault[] = [];
  const seen = new Map<string, number>();
  for (const { name, line } of block.plugins.flatMap((plugin) => imported(plugin, blocks))) {
    if (!once.includes(name)) continue;
    const first = seen.get(name);
    if (first === undefined) seen.set(name, line);
    else
      faults.push({
        line,
        sentence: `plugin/${name} can only be used once per server block, and the block on line ${block.line} has it on line ${first} already.`,
      });
  }
  return faults;
}

/** A snippet's plugins, where the line imports one; snippets in snippets are left to CoreDNS. */
function imported(plugin: CorefileEntry, blocks: readonly ServerBlock[]): readonly CorefileEntry[] {
  const snippet = plugin.name === "import" && blocks.find((block) => block.snippet === plugin.args[0]);
  return snippet ? snippet.plugins.map((inner) => ({ ...inner, line: plugin.line })) : [plugin];
}
