/** The chunked coding, RFC 9112 §7.1, as a request's content and as an answer's. */
import {
  type AnswerCase,
  answers,
  breaks,
  CHUNKED,
  failingAnswer,
  ok,
  passes,
  post,
  type RequestCase,
} from "./case.ts";

type Content = readonly [name: string, content: string];

const GOOD: readonly Content[] = [
  ["no data", "0\r\n\r\n"],
  ["one chunk", "5\r\nhello\r\n0\r\n\r\n"],
  ["many chunks", "1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\n\r\n"],
  ["sizes in both cases", "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n"],
  ["leading zeros", "0005\r\nhello\r\n000\r\n\r\n"],
  ["a long chunk", `1ffff\r\n${"x".repeat(0x1ffff)}\r\n0\r\n\r\n`],
  ["line ends in data", "4\r\n\r\n\r\n\r\n0\r\n\r\n"],
  ["data that looks like the last chunk", "5\r\n0\r\n\r\n\r\n0\r\n\r\n"],
  ["an extension", "5;a\r\nhello\r\n0\r\n\r\n"],
  ["an extension with a value", "5;a=b\r\nhello\r\n0;c=d\r\n\r\n"],
  ["an extension with a quoted value", '5;a="b; c, \\" d"\r\nhello\r\n0\r\n\r\n'],
  ["several extensions", '5;a;b=c;d="e"\r\nhello\r\n0\r\n\r\n'],
  ["a signature in each chunk", `5;chunk-signature=${"0f".repeat(32)}\r\nhello\r\n0\r\n\r\n`],
  ["a trailer", "5\r\nhello\r\n0\r\nX-Checksum: 1\r\n\r\n"],
  ["trailers, byte for byte", "0\r\nx-A:1\r\nX-b:  2 \t\r\nEmpty:\r\n\xe9".replace("\xe9", "X: \xe9\xa0\r\n\r\n")],
];

const BAD: readonly Content[] = [
  ["a size that is no number", "x\r\n"],
  ["an empty size", "\r\nhello\r\n0\r\n\r\n"],
  ["a prefix of another base", "0x5\r\nhello\r\n0\r\n\r\n"],
  ["a sign", "+5\r\nhello\r\n0\r\n\r\n"],
  ["a negative size", "-5\r\nhello\r\n0\r\n\r\n"],
  ["a size with an underscore", "1_0\r\n0123456789012345\r\n0\r\n\r\n"],
  ["a size with a fraction", "5.0\r\nhello\r\n0\r\n\r\n"],
  ["a size with a letter that is no digit", "5g\r\nhello\r\n0\r\n\r\n"],
  ["a size beyond 48 bits", "1000000000000\r\nhello\r\n0\r\n\r\n"],
  ["a size beyond 64 bits", "10000000000000005\r\nhello\r\n0\r\n\r\n"],
  ["a size of too many zeros", `${"0".repeat(17)}5\r\nhello\r\n0\r\n\r\n`],
  ["a space before the size", " 5\r\nhello\r\n0\r\n\r\n"],
  ["a space after the size", "5 \r\nhello\r\n0\r\n\r\n"],
  ["a tab after the size", "5\t\r\nhello\r\n0\r\n\r\n"],
  ["a space before an extension", "5 ;a\r\nhello\r\n0\r\n\r\n"],
  ["a bare LF after the size", "5\nhello\r\n0\r\n\r\n"],
  ["a bare CR after the size", "5\rhello\r\n0\r\n\r\n"],
  ["two CRs after the size", "5\r\r\nhello\r\n0\r\n\r\n"],
  ["a NUL after the size", "5\0\r\nhello\r\n0\r\n\r\n"],
  ["a bare LF after the data", "5\r\nhello\n0\r\n\r\n"],
  ["a bare CR after the data", "5\r\nhello\r0\r\n\r\n"],
  ["more data than the size says", "5\r\nhello!\r\n0\r\n\r\n"],
  ["less data than the size says", "5\r\nhell\r\n0\r\n\r\n"],
  ["two line ends after the data", "5\r\nhello\r\n\r\n0\r\n\r\n"],
  ["a bare LF after the last size", "5\r\nhello\r\n0\n\r\n"],
  ["a bare LF as the last line", "5\r\nhello\r\n0\r\n\n"],
  ["a bare CR as the last line", "5\r\nhello\r\n0\r\n\rX\r\n\r\n"],
  ["a bare LF in an extension", "5;a\nhello\r\n0\r\n\r\n"],
  ["a bare CR in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n"],
  ["a NUL in an extension", "5;a\0\r\nhello\r\n0\r\n\r\n"],
  ["an extension without name", "5;\r\nhello\r\n0\r\n\r\n"],
  ["two semicolons", "5;;a\r\nhello\r\n0\r\n\r\n"],
  ["an extension with an empty value", "5;a=\r\nhello\r\n0\r\n\r\n"],
  ["an extension with a value and no name", "5;=b\r\nhello\r\n0\r\n\r\n"],
  ["white space in an extension", "5; a\r\nhello\r\n0\r\n\r\n"],
  ["white space around an extension's value", "5;a = b\r\nhello\r\n0\r\n\r\n"],
  ["a quoted value that does not end", '5;a="b\r\nhello\r\n0\r\n\r\n'],
  ["a quoted value with a line end in it", '5;a="\r\n0\r\n\r\n"\r\nhello\r\n0\r\n\r\n'],
  ["something after a quoted value", '5;a="b"c\r\nhello\r\n0\r\n\r\n'],
  ["endless extensions", `5;${"a".repeat(5000)}\r\nhello\r\n0\r\n\r\n`],
  ["a trailer without colon", "0\r\nX-A\r\n\r\n"],
  ["a trailer with a space before the colon", "0\r\nX-A : b\r\n\r\n"],
  ["a trailer without name", "0\r\n: b\r\n\r\n"],
  ["a folded trailer", "0\r\nX-A: b\r\n c\r\n\r\n"],
  ["a trailer with a bare LF", "0\r\nX-A: b\nX-B: c\r\n\r\n"],
  ["trailers that end in bare LFs", "0\r\nX-A: b\n\n"],
  ["a trailer with a bare CR", "0\r\nX-A: b\rc\r\n\r\n"],
  ["a trailer with a NUL", "0\r\nX-A: b\0\r\n\r\n"],
  ["trailers of more than 16 KiB", `0\r\nX-A: ${"a".repeat(17 * 1024)}\r\n\r\n`],
  ...["Content-Length", "transfer-encoding", "HOST", "Connection", "Trailer", "TE", "Upgrade", "Expect"].map(
    (name): Content => [`the trailer ${name}`, `0\r\n${name}: 5\r\n\r\n`],
  ),
  ...["Authorization", "Cookie", "Set-Cookie", "Content-Type", "Content-Encoding", "Content-Range"].map(
    (name): Content => [`the trailer ${name}`, `0\r\n${name}: 5\r\n\r\n`],
  ),
  ...["If-Match", "If-None-Match", "Range", "Cache-Control", "Max-Forwards", "X-Forwarded-For", "X-Real-Ip"].map(
    (name): Content => [`the trailer ${name}`, `0\r\n${name}: 5\r\n\r\n`],
  ),
];

export const CHUNKED_REQUESTS: readonly RequestCase[] = [
  ...GOOD.map(([name, content]) => passes(`chunks with ${name}`, post(CHUNKED) + content)),
  ...BAD.map(([name, content]) => breaks(`chunks with ${name}`, post(CHUNKED) + content)),
];

export const CHUNKED_ANSWERS: readonly AnswerCase[] = [
  ...GOOD.map(([name, content]) => answers(`chunks with ${name}`, ok(CHUNKED) + content)),
  ...BAD.map(([name, content]) => failingAnswer(`chunks with ${name}`, ok(CHUNKED) + content)),
];
