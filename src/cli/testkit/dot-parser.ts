/** As much of DOT (graphviz.org/doc/info/lang.html) as a strict reader needs for a flat directed graph. */

export interface ReadGraph {
  /** Labels by identifier. */
  readonly nodes: ReadonlyMap<string, string>;
  readonly links: readonly { readonly from: string; readonly to: string; readonly label: string }[];
}

const TOKEN = /\s+|([A-Za-z_][A-Za-z0-9_]*)|"((?:[^"\\]|\\[\s\S])*)"|(->|[{}[\]=;,])/uy;

interface Token {
  readonly kind: "word" | "text" | "sign";
  readonly value: string;
}

/** @throws Error at what is no such graph */
export function parseDot(source: string): ReadGraph {
  const reader = new Reader(tokensOf(source));
  const nodes = new Map<string, string>();
  const links: { from: string; to: string; label: string }[] = [];
  reader.take("digraph");
  reader.take("tulle");
  reader.take("{");
  while (!reader.skip("}")) {
    const first = reader.word();
    if (reader.skip("=")) reader.word();
    else if (reader.skip("->"))
      links.push({ from: first, to: reader.word(), label: reader.attributes().get("label") ?? "" });
    else nodes.set(first, reader.attributes().get("label") ?? "");
    reader.take(";");
  }
  reader.end();
  return { nodes, links };
}

class Reader {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  skip(value: string): boolean {
    const token = this.#tokens[this.#at];
    if (token?.value !== value || token.kind === "text") return false;
    this.#at++;
    return true;
  }

  take(value: string): void {
    if (!this.skip(value)) throw new Error(`${value} was expected at ${this.#at}`);
  }

  word(): string {
    const token = this.#tokens[this.#at++];
    if (token?.kind !== "word") throw new Error(`a word was expected at ${this.#at}`);
    return token.value;
  }

  attributes(): Map<string, string> {
    const found = new Map<string, string>();
    this.take("[");
    do {
      const name = this.word();
      this.take("=");
      const value = this.#tokens[this.#at++];
      if (value === undefined || value.kind === "sign") throw new Error(`a value was expected at ${this.#at}`);
      found.set(name, value.kind === "text" ? unescaped(value.value) : value.value);
    } while (this.skip(","));
    this.take("]");
    return found;
  }

  end(): void {
    if (this.#at !== this.#tokens.length) throw new Error("something follows the graph");
  }
}

function tokensOf(source: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < source.length) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(source);
    if (match === null) throw new Error(`not DOT: ${source.slice(at, at + 20)}`);
    const [, word, text, sign] = match;
    if (word !== undefined) tokens.push({ kind: "word", value: word });
    else if (text !== undefined) tokens.push({ kind: "text", value: text });
    else if (sign !== undefined) tokens.push({ kind: "sign", value: sign });
  }
  return tokens;
}

/** Of a label: escapes would begin lines or name nodes, so there must be none; entities stand for characters. */
function unescaped(text: string): string {
  if (/[\\\n]|&(?!#\d+;)/.test(text)) throw new Error(`not plain: ${text}`);
  return text.replace(/&#(\d+);/g, (_, code) => String.fromCodePoint(Number(code)));
}
