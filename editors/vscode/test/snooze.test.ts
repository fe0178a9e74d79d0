import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Snooze } from '../src/snooze';

test('a snooze counts its minutes down and ends by itself', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const seen: number[] = [];
  const snooze: Snooze = new Snooze(() => seen.push(snooze.minutesLeft()));
  assert.equal(snooze.minutesLeft(), 0);
  snooze.start(3);
  context.mock.timers.tick(59_999);
  assert.equal(snooze.minutesLeft(), 3);
  context.mock.timers.tick(1);
  context.mock.timers.tick(60_000);
  context.mock.timers.tick(60_000);
  assert.deepEqual(seen, [3, 2, 1, 0]);
  context.mock.timers.tick(600_000);
  assert.deepEqual(seen, [3, 2, 1, 0]);
});

test('a snooze ends when told to, and starts anew', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const seen: number[] = [];
  const snooze: Snooze = new Snooze(() => seen.push(snooze.minutesLeft()));
  snooze.start(5);
  snooze.start(60);
  context.mock.timers.tick(30_000);
  snooze.stop();
  context.mock.timers.tick(3_600_000);
  assert.deepEqual(seen, [5, 60, 0]);
});

test('nothing is called after the end', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  let calls = 0;
  const snooze = new Snooze(() => calls++);
  snooze.start(1);
  snooze.dispose();
  context.mock.timers.tick(120_000);
  assert.equal(calls, 1);
});
