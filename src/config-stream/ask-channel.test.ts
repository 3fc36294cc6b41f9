import { expect, test } from "vitest";
import { type Answerer, AskChannel, type AskMessage } from "./ask-channel.ts";

/** Two ends of a connection, of which the second answers. */
function pair(answerer?: Answerer) {
  const sent: AskMessage[] = [];
  const behind = { asked: false };
  const asking: AskChannel = new AskChannel({
    send: (message) => {
      sent.push(message);
      answering.take(message);
    },
    isBehind: () => false,
  });
  const answering: AskChannel = new AskChannel({
    send: (message) => {
      sent.push(message);
      asking.take(message);
    },
    isBehind: () => behind.asked,
    ...(answerer === undefined ? {} : { answerer }),
  });
  const heard = { text: "", ends: [] as number[] };
  const ask = (path: string) =>
    asking.ask(path, {
      onText: (text) => {
        heard.text += text;
      },
      onEnd: (status) => heard.ends.push(status),
    });
  return { asking, answering, ask, heard, sent, behind };
}

test("an answer comes in pieces that a line can hold, and whole", () => {
  const long = '"\u0001'.repeat(20_000);
  const { ask, heard, sent } = pair((path, output) => {
    output.write(`${path}: ${long}`);
    output.end(200);
    return () => {};
  });
  ask("/api/traffic");
  expect(heard).toEqual({ text: `/api/traffic: ${long}`, ends: [200] });
  for (const message of sent) expect(JSON.stringify(message).length).toBeLessThan(64 * 1024);
});

test("an answer without end goes on until it is cancelled, and then its source is told", () => {
  let say: (text: string) => boolean = () => false;
  let stopped = 0;
  const { ask, heard } = pair((_path, output) => {
    say = output.write;
    return () => {
      stopped++;
    };
  });
  const cancel = ask("/api/tap");
  expect(say("one ")).toBe(true);
  expect(say("two")).toBe(true);
  cancel();
  expect(say("three")).toBe(false);
  expect([heard, stopped]).toEqual([{ text: "one two", ends: [] }, 1]);
});

test("what the other end does not take is not written, and its source knows", () => {
  let say: (text: string) => boolean = () => true;
  const { ask, heard, behind } = pair((_path, output) => {
    say = output.write;
    return () => {};
  });
  ask("/api/tap");
  behind.asked = true;
  expect(say("lost")).toBe(false);
  behind.asked = false;
  expect(say("kept")).toBe(true);
  expect(heard.text).toBe("kept");
});

test("a connection that goes ends what was asked, and stops what was being answered", () => {
  let stopped = 0;
  const { ask, heard, asking, answering } = pair(() => () => {
    stopped++;
  });
  ask("/api/tap");
  asking.close();
  answering.close();
  expect([heard.ends, stopped]).toEqual([[0], 1]);
});

test("who does not answer says so, and so does who has too much to answer", () => {
  const silent = pair();
  silent.ask("/api/traffic");
  expect(silent.heard.ends).toEqual([404]);
  const busy = pair(() => () => {});
  for (let asked = 0; asked < 65; asked++) busy.ask("/api/tap");
  expect(busy.heard.ends).toEqual([503]);
});
