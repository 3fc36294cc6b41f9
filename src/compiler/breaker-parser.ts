/**
 * The circuit breaker expressions of Traefik: comparisons joined by && and ||, with parentheses; && binds tighter. The
 * constant has the type of what it is compared with: a ratio takes 0.30, never 1; a latency takes 100, never 100.0.
 */
import type { BreakerComparison, BreakerExpression, BreakerOperator } from "../config/mesh-config.ts";

export type ParsedBreaker = { readonly expression: BreakerExpression } | { readonly error: string };

/** Deeper nesting is nobody's need, and would exhaust the stack of whoever walks the tree. */
const MAX_DEPTH = 32;

interface Token {
  readonly kind: "name" | "int" | "float" | "sign" | "end";
  readonly text: string;
  /** Index of its first character. */
  readonly at: number;
}

class Unexpected extends Error {}

export function parseBreaker(text: string): ParsedBreaker {
  try {
    const parser = new Parser(tokenize(text));
    return { expression: parser.whole() };
  } catch (error) {
    if (error instanceof Unexpected) return { error: error.message };
    throw error;
  }
}

const TOKEN = /\s*(?:(?<float>\d+\.\d*|\.\d+)|(?<int>\d+)|(?<name>[A-Za-z_]\w*)|(?<sign>&&|\|\||>=|<=|==|!=|[<>(),]))/y;

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  const end = text.trimEnd().length;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < end) {
    const from = TOKEN.lastIndex;
    const groups = TOKEN.exec(text)?.groups;
    if (groups === undefined) {
      const at = from + text.slice(from).search(/\S/);
      throw unexpected(text.charAt(at), at, "part of an expression");
    }
    const [kind, value] = Object.entries(groups).find(([, found]) => found !== undefined) as [Token["kind"], string];
    tokens.push({ kind, text: value, at: TOKEN.lastIndex - value.length });
  }
  tokens.push({ kind: "end", text: "", at: text.length });
  return tokens;
}

function unexpected(found: string, at: number, expected: string): Unexpected {
  const what = found === "" ? "it ends" : `"${found}" stands`;
  return new Unexpected(`${what} at character ${at + 1} where ${expected} is expected`);
}

const OPERATORS: readonly string[] = [">", ">=", "<", "<=", "==", "!="] satisfies BreakerOperator[];

class Parser {
  readonly #tokens: readonly Token[];
  #next = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  whole(): BreakerExpression {
    const expression = this.#any();
    const token = this.#peek();
    if (token.kind !== "end") throw unexpected(token.text, token.at, '"&&", "||" or the end');
    return expression;
  }

  #any(): BreakerExpression {
    const parts = [this.#all()];
    while (this.#take("||")) parts.push(this.#all());
    return parts.length === 1 ? (parts[0] as BreakerExpression) : { any: parts };
  }

  #all(): BreakerExpression {
    const parts = [this.#single()];
    while (this.#take("&&")) parts.push(this.#single());
    return parts.length === 1 ? (parts[0] as BreakerExpression) : { all: parts };
  }

  #single(): BreakerExpression {
    const token = this.#peek();
    if (!this.#take("(")) return this.#comparison();
    if (++this.#depth > MAX_DEPTH) throw unexpected("(", token.at, `no more than ${MAX_DEPTH} parentheses`);
    const inner = this.#any();
    this.#expect(")");
    this.#depth--;
    return inner;
  }

  #comparison(): BreakerComparison {
    const name = this.#advance();
    if (name.kind !== "name")
      throw unexpected(name.text, name.at, "NetworkErrorRatio(), ResponseCodeRatio(…) or LatencyAtQuantileMS(…)");
    switch (name.text) {
      case "NetworkErrorRatio": {
        this.#expect("(");
        this.#expect(")");
        return { metric: "networkErrorRatio", operator: this.#operator(), value: this.#float("a ratio such as 0.30") };
      }
      case "ResponseCodeRatio": {
        const codes = this.#codes();
        const operator = this.#operator();
        return { metric: "responseCodeRatio", codes, operator, value: this.#float("a ratio such as 0.30") };
      }
      case "LatencyAtQuantileMS": {
        this.#expect("(");
        const { at } = this.#peek();
        const quantile = this.#float("a quantile with a point, such as 50.0");
        if (quantile > 100) throw unexpected(String(quantile), at, "a quantile from 0.0 to 100.0");
        this.#expect(")");
        const operator = this.#operator();
        return {
          metric: "latencyAtQuantileMs",
          quantile,
          operator,
          value: this.#int("whole milliseconds such as 100"),
        };
      }
      default:
        throw unexpected(name.text, name.at, "NetworkErrorRatio, ResponseCodeRatio or LatencyAtQuantileMS");
    }
  }

  #codes(): [number, number, number, number] {
    this.#expect("(");
    const codes: number[] = [];
    for (let index = 0; index < 4; index++) {
      if (index > 0) this.#expect(",");
      codes.push(this.#int("a status code such as 500"));
    }
    this.#expect(")");
    return codes as [number, number, number, number];
  }

  #operator(): BreakerOperator {
    const token = this.#advance();
    if (!OPERATORS.includes(token.text)) throw unexpected(token.text, token.at, "one of > >= < <= == !=");
    return token.text as BreakerOperator;
  }

  #float(expected: string): number {
    const token = this.#advance();
    if (token.kind !== "float") throw unexpected(token.text, token.at, expected);
    return Number(token.text);
  }

  #int(expected: string): number {
    const token = this.#advance();
    const value = Number(token.text);
    if (token.kind !== "int" || !Number.isSafeInteger(value)) throw unexpected(token.text, token.at, expected);
    return value;
  }

  #peek(): Token {
    return this.#tokens[this.#next] as Token;
  }

  #advance(): Token {
    const token = this.#peek();
    if (token.kind !== "end") this.#next++;
    return token;
  }

  #take(sign: string): boolean {
    const token = this.#peek();
    if (token.kind !== "sign" || token.text !== sign) return false;
    this.#next++;
    return true;
  }

  #expect(sign: string): void {
    const token = this.#peek();
    if (!this.#take(sign)) throw unexpected(token.text, token.at, `"${sign}"`);
  }
}
