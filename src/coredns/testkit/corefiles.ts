/** Corefiles for properties: of the shapes that CoreDNS takes, with the spacing and comments that people write. */
import fc from "fast-check";

const GAP = fc.constantFrom(" ", "  ", "\t");
const INDENT = fc.constantFrom("", "    ", "\t");
const REMARK = fc.constantFrom("", "", "", " # a remark with { and }", " \t");
const LINE_END = fc.constantFrom("\n", "\n", "\n", "\n\n", "\r\n", "\n# between\n");
const WORD = fc.constantFrom(".", "/etc/resolv.conf", "cluster.local", "30", '"in quotes { "', "{$UPSTREAM}", ":9153");
const PLUGIN = fc.constantFrom("log", "rewrite", "template", "header", "acl", "import", "autopath", "whoami");

const plugin = fc
  .tuple(PLUGIN, fc.array(WORD, { minLength: 1, maxLength: 3 }), INDENT, GAP, REMARK, LINE_END, fc.boolean())
  .map(([name, args, indent, gap, remark, end, braces]) => {
    const line = [name, ...args].join(gap);
    return braces
      ? `${indent}${line} {\n${indent}fallthrough${remark}\n${indent}}${end}`
      : `${indent}${line}${remark}${end}`;
  });

const blockOf = (index: number) =>
  fc
    .tuple(fc.array(plugin, { maxLength: 5 }), fc.constantFrom("", ":53", ":5353"), LINE_END, fc.boolean())
    .map(([plugins, port, end, snippet]) => {
      const key =
        snippet && index > 0 ? `(snippet-${index})` : index === 0 ? `.${port}` : `zone-${index}.example${port}`;
      return `${key} {\n${plugins.join("")}}${end}`;
    });

/** No mesh domain and no mark in them; valid by `checkCorefile`. The last one may have no line break at its end. */
export const corefiles: fc.Arbitrary<string> = fc
  .tuple(fc.nat(4), fc.constantFrom("", "# first\n", "\n\n", "import custom/*.server\n"), fc.boolean())
  .chain(([count, start, bare]) =>
    fc
      .tuple(...Array.from({ length: count }, (_, index) => blockOf(index)))
      .map((blocks) => start + blocks.join(""))
      .map((text) => (bare ? text.trimEnd() : text)),
  );
