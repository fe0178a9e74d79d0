// The real program with the real model behind the real editor.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { real } from './program.mjs';
import { start } from './stage.mjs';
import { until } from './until.mjs';

const PYTHON = 'def add(a, b):\n    ';
const RUST = '/// The larger of two numbers.\nfn larger(a: i32, b: i32) -> i32 {\n    \n}\n';

let stage;
let window;

before(async () => {
  stage = await start({
    ...real(),
    files: {
      'add.py': PYTHON,
      'rest.py': PYTHON,
      'again.py': PYTHON,
      'count.js': 'function add(a, b) {\n    \n}\n',
      'one.py': PYTHON,
      'watch.py': PYTHON,
      'other.py': PYTHON,
      'larger.rs': RUST,
      'crlf.py': '# größe 日本 🦀\r\ndef add(a, b):\r\n    ',
      'tabs.go': 'package p\n\nfunc add(a, b int) int {\n\t\n}\n',
    },
    // A debug build on a busy machine is slow.
    settings: { 'cinnabar.deadlineMs': 20_000 },
  });
  window = await stage.window();
});
// The last test ends it too.
after(() => stage?.end());

/** Ghost text, once it is there and stays the same. */
async function ghost(at = window) {
  await until('ghost text', () => at.ghost(), 120_000);
  let last;
  return until('it to settle', async () => {
    const now = await at.ghost();
    const settled = now !== '' && now === last;
    last = now;
    await new Promise((resolve) => setTimeout(resolve, 150));
    return settled && now;
  });
}

test('the status names the model and the device', async () => {
  await window.expectStatus(/ready, .*135M/, 120_000);
});

test('the model completes a function, and Tab takes it', async () => {
  await window.open('add.py', 2, 5);
  await window.type('return ');
  const text = await ghost();
  assert.match(text, /\bb/);
  await window.press('Tab');
  assert.ok((await window.save('add.py')).startsWith(`${PYTHON}return ${text.split('\n')[0]}`));
});

test('typing through keeps the rest, a word and a line can be taken', async () => {
  await window.open('rest.py', 2, 5);
  await window.type('return ');
  const text = await ghost();
  await window.type(text[0]);
  await window.expectGhost(text.slice(1));
  await window.press('Control+ArrowRight');
  const rest = await ghost();
  assert.ok(text.endsWith(rest) && rest.length < text.length - 1);
  await window.press('Alt+Enter');
  assert.equal((await window.save('rest.py')).split('\n')[1], `    return ${text.split('\n')[0]}`);
});

test('what is taken is counted', async () => {
  const sum = (what) => Object.values(stage.counts().javascript ?? {}).reduce((total, each) => total + each[what], 0);
  await window.open('count.js', 2, 5);
  await window.type('return ');
  const text = await ghost();
  // A word, then all that is left.
  await window.press('Control+ArrowRight');
  await until('a word less', async () => (await window.ghost()).length < text.length);
  await ghost();
  await window.press('Tab');
  await until('a count', () => sum('accepted') > 0);
  const [, line] = (await window.save('count.js')).split('\n');
  assert.equal(line, `    return ${text}`);
  assert.deepEqual([sum('accepted'), sum('characters')], [1, text.length]);
  assert.ok(sum('shown') >= 1);
});

test('the denoising can be watched', async () => {
  await window.open('watch.py', 2, 5);
  await window.type('return a ');
  await ghost();
  await window.press('Escape');
  await window.command('Cinnabar: Watch a Suggestion Being Denoised');
  // The editor's text, which is not saved, and what follows it, drawn by the program in a terminal.
  const rows = () => window.page.locator('.terminal .xterm-rows > div').allTextContents();
  await until('a picture', async () =>
    (await rows()).some((row) => /^ +return a +[^ ░]/.test(row.replaceAll('\u00a0', ' '))),
  );
  await window.press('Control+j');
});

test('what stands behind the cursor is not repeated, and what is opened is closed', async () => {
  await window.open('larger.rs', 3, 5);
  await window.type('if a > b ');
  await ghost();
  await window.press('Tab');
  const saved = await window.save('larger.rs');
  assert.match(saved, /if a > b \{/);
  // The function's own bracket stands behind the cursor: it closes nothing else.
  const count = (character) => saved.split(character).length;
  assert.equal(count('}'), count('{'), saved);
});

test('CRLF and characters outside ASCII', async () => {
  await window.open('crlf.py', 3, 5);
  await window.type('s = "ß🎉"; return a');
  await ghost();
  await window.press('Tab');
  const saved = await window.save('crlf.py');
  assert.match(saved, /^# größe 日本 🦀\r\ndef add\(a, b\):\r\n {4}s = "ß🎉"; return a./);
  assert.doesNotMatch(saved, /[^\r]\n|\r[^\n]/);
});

test('tabs stay tabs', async () => {
  await window.open('tabs.go', 4, 1);
  await window.press('End');
  await window.type('return ');
  await ghost();
  await window.press('Tab');
  const [, , , line] = (await window.save('tabs.go')).split('\n');
  assert.match(line, /^\treturn \S/);
});

test('a model that is not there is an error; the right one mends it', async () => {
  stage.configure({ 'cinnabar.model': '/nowhere/model.gguf' });
  await window.expectStatus(/cannot complete:.*\/nowhere\/model\.gguf/s);
  stage.configure({});
  await window.expectStatus(/ready, .*135M/, 120_000);
});

test('a killed program is started again and completes', async () => {
  const [before, ...more] = stage.servers();
  assert.deepEqual(more, []);
  process.kill(before, 'SIGKILL');
  await until('another program', () => stage.servers().some((pid) => pid !== before));
  await window.expectStatus(/ready, .*135M/, 120_000);
  await window.open('again.py', 2, 5);
  await window.type('return ');
  assert.match(await ghost(), /\bb/);
});

test('two windows at once, and no program outlives VS Code', async () => {
  const other = await stage.window();
  await other.open('other.py', 2, 5);
  await other.expectStatus(/ready, .*135M/, 120_000);
  await window.open('one.py', 2, 5);
  await Promise.all([window.type('return '), other.type('return ')]);
  for (const each of [window, other]) {
    assert.match(await ghost(each), /\bb/);
    await each.press('Tab');
  }
  assert.match(await window.save('one.py'), /return \S.*\bb/);
  assert.match(await other.save('other.py'), /return \S.*\bb/);
  assert.equal(stage.servers().length, 2);
  await stage.end();
  await until('the end of both programs', () => stage.servers().length === 0);
});
