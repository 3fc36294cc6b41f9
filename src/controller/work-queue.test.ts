import { expect, test } from "vitest";
import { ManualClock } from "../model/testkit/manual-clock.ts";
import { WorkQueue } from "./work-queue.ts";

const turn = () => new Promise((resolve) => setImmediate(resolve));

function fixture(work: (key: string) => Promise<void>, concurrency = 2) {
  const clock = new ManualClock();
  const errors: string[] = [];
  const queue = new WorkQueue({
    clock,
    random: () => 0,
    concurrency,
    work,
    onError: (key, error) => errors.push(`${key}: ${error.message}`),
  });
  return { clock, queue, errors };
}

test("a key added while it is worked on is worked on once more, and never twice at a time", async () => {
  const finish: (() => void)[] = [];
  const started: string[] = [];
  const { queue } = fixture((key) => {
    started.push(key);
    return new Promise((resolve) => finish.push(resolve));
  });
  for (let each = 0; each < 3; each++) queue.add("a");
  expect(started).toEqual(["a"]);
  finish[0]?.();
  await turn();
  expect(started).toEqual(["a", "a"]);
  finish[1]?.();
  await turn();
  expect(queue.size).toBe(0);
});

test("no more keys are worked on at a time than allowed", async () => {
  const finish: (() => void)[] = [];
  const { queue } = fixture(() => new Promise((resolve) => finish.push(resolve)));
  for (const key of ["a", "b", "c"]) queue.add(key);
  expect(finish).toHaveLength(2);
  finish[0]?.();
  await turn();
  expect(finish).toHaveLength(3);
});

test("what failed is tried again after a delay that grows, and at once when something else is wanted", async () => {
  let tries = 0;
  const { clock, queue, errors } = fixture(async () => {
    tries++;
    if (tries < 4) throw new Error("no");
  });
  queue.add("a", "this");
  await turn();
  expect(tries).toBe(1);
  clock.advance(200);
  await turn();
  expect(tries).toBe(2);
  clock.advance(200);
  await turn();
  expect(tries).toBe(2);
  queue.add("a", "that");
  await turn();
  expect(tries).toBe(3);
  clock.advance(10_000);
  await turn();
  expect([tries, queue.size]).toEqual([4, 0]);
  expect(errors).toEqual(["a: no", "a: no", "a: no"]);
});

test("what failed is not tried sooner because the same is wanted again, also while it is worked on", async () => {
  let tries = 0;
  const { clock, queue } = fixture(async () => {
    tries++;
    await turn();
    throw new Error("no");
  });
  for (let times = 0; times < 100; times++) {
    queue.add("a", "this");
    await turn();
  }
  expect(tries).toBe(1);
  clock.advance(200);
  expect(tries).toBe(2);
});

test("a queue that is closed finishes what is under way and begins nothing", async () => {
  let finish = () => {};
  const worked: string[] = [];
  const { queue } = fixture((key) => {
    worked.push(key);
    return new Promise((resolve) => {
      finish = resolve;
    });
  }, 1);
  queue.add("a");
  queue.add("b");
  const closed = queue.close();
  finish();
  await closed;
  queue.add("c");
  await turn();
  expect(worked).toEqual(["a"]);
});

test("what ends in an error because the queue is closed is no news", async () => {
  let fail = () => {};
  const { queue, errors } = fixture(
    () =>
      new Promise((_, reject) => {
        fail = () => reject(new Error("given up"));
      }),
  );
  queue.add("a");
  const closed = queue.close();
  fail();
  await closed;
  expect([errors, queue.size]).toEqual([[], 0]);
});
