import assert from 'node:assert/strict';
import { test } from 'node:test';
import { choices } from '../src/menu';
import { look, ofProgress, type Situation, type Status } from '../src/status';

const READY: Status = { kind: 'ready', device: '135M on cpu' };
const ERROR: Status = { kind: 'error', message: 'no model', fix: { title: 'Restart', command: 'cinnabar.restart' } };

function situation(more: Partial<Situation> = {}): Situation {
  return { status: READY, asked: 0, snooze: 0, language: { id: 'rust', on: true }, ...more };
}

test('each state has a look of its own', () => {
  const seen = (more: Partial<Situation>) => {
    const { text, tooltip } = look(situation(more));
    return `${text} | ${tooltip}`;
  };
  assert.equal(seen({}), '$(ruby) Cinnabar | Cinnabar: ready, 135M on cpu');
  assert.equal(seen({ status: { kind: 'ready', device: '' } }), '$(ruby) Cinnabar | Cinnabar: ready');
  assert.equal(seen({ asked: 2 }), '$(sync~spin) Cinnabar | Cinnabar: ready, 135M on cpu');
  assert.equal(seen({ snooze: 4 }), '$(bell-slash) Cinnabar 4 min | Cinnabar: snoozed for 4 more min');
  assert.equal(seen({ language: { id: 'go', on: false } }), '$(circle-slash) Cinnabar | Cinnabar: off for go');
  assert.equal(seen({ status: { kind: 'off' } }), '$(circle-slash) Cinnabar | Cinnabar: off');
  assert.equal(seen({ status: { kind: 'loading', detail: '' } }), '$(loading~spin) Cinnabar | Cinnabar: loading the model');
  assert.equal(seen({ status: ERROR }), '$(warning) Cinnabar | Cinnabar: no model');
});

test('only an error is loud, and it outweighs a pause', () => {
  assert.equal(look(situation()).severity, undefined);
  assert.equal(look(situation({ status: ERROR, snooze: 5 })).severity, 'error');
});

test('progress is loading until it ends with the device', () => {
  assert.deepEqual(ofProgress({ kind: 'begin' }), { kind: 'loading', detail: 'loading the model' });
  const half = ofProgress({ kind: 'report', percentage: 50, message: 'weights' });
  assert.deepEqual(half, { kind: 'loading', detail: 'loading the model 50 % weights' });
  assert.deepEqual(ofProgress({ kind: 'end', message: 'X on cpu' }), { kind: 'ready', device: 'X on cpu' });
  assert.equal(ofProgress({ kind: 'end', message: 'failed' }), undefined);
});

test('the menu offers what can be done', () => {
  const commands = (more: Partial<Situation>) => choices(situation(more)).map(({ command }) => command);
  assert.ok(commands({}).includes('cinnabar.snooze'));
  assert.ok(commands({ snooze: 3 }).includes('cinnabar.resume'));
  assert.ok(!commands({ language: undefined }).includes('cinnabar.toggleLanguage'));
  assert.equal(commands({ status: { kind: 'off' } })[0], 'cinnabar.toggle');
  assert.equal(commands({ status: ERROR })[0], 'cinnabar.restart');
  for (const status of [READY, ERROR, { kind: 'off' } as const]) {
    const offered = commands({ status });
    assert.deepEqual(offered, [...new Set(offered)]);
    assert.ok(offered.includes('cinnabar.log'));
  }
});
