// What a user does with ghost text, in the real editor. The server's answers come from a script.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { start } from './stage.mjs';
import { until } from './until.mjs';

const RUST = readFileSync(new URL('../../../engine/src/request.rs', import.meta.url), 'utf8');
const LINES = RUST.split('\n');
/** A line inside a function's or type's body, counted from 1, after which the tests write. */
const LINE = LINES.findIndex((line) => line.includes('pub enum Mode {')) + 1;

const INSERT = ' = items.iter().sum();\n    println!("{total}");';
const rules = [{ after: 'let total', insert: INSERT }];

let stage;
let window;

before(async () => {
  const files = {
    'whole.rs': RUST,
    'word.rs': RUST,
    'line.rs': RUST,
    'through.rs': RUST,
    'dismiss.rs': RUST,
    'next.rs': RUST,
    'cancel.rs': RUST,
    'unicode.rs': '// größe 日本 🦀\nlet a = "";\n',
    'crlf.rs': 'fn a() {\r\n}\r\n',
    'crlf.py': 'def f():\r\n    pass\r\n',
    'tabs.go': 'func f() {\n\tg()\n}\n',
  };
  stage = await start({ files });
  window = await stage.window();
});
after(() => stage?.end());

/** Opens a copy of the real file with a new line after `LINE` and types `text` into it. */
async function write(name, text, script = rules) {
  stage.script({ rules: script });
  await window.open(name, LINE, 1);
  await window.press('End', 'Enter');
  await window.type(text);
}

/** The real file with lines added after `LINE`. */
const withLines = (...added) => [...LINES.slice(0, LINE), ...added, ...LINES.slice(LINE)].join('\n');

test('ghost text appears and Tab takes all of it; undo takes it back', async () => {
  await write('whole.rs', 'let total');
  await window.expectGhost(INSERT);
  await window.press('Tab');
  await window.expectNoGhost();
  assert.equal(await stage.saved(window, 'whole.rs'), withLines('    let total = items.iter().sum();', '    println!("{total}");'));
  await window.press('Control+z');
  assert.equal(await stage.saved(window, 'whole.rs'), withLines('    let total'));
});

test('a word at a time', async () => {
  await write('word.rs', 'let total');
  await window.expectGhost(INSERT);
  for (const word of [' ', '= ', 'items']) {
    const before = await window.ghost();
    await window.press('Control+ArrowRight');
    await window.expectGhost(before.slice(word.length));
  }
  assert.equal(await stage.saved(window, 'word.rs'), withLines('    let total = items'));
});

test('a line at a time', async () => {
  await write('line.rs', 'let total');
  await window.expectGhost(INSERT);
  await window.press('Alt+Enter');
  await window.expectGhost('    println!("{total}");');
  assert.equal(await stage.saved(window, 'line.rs'), withLines('    let total = items.iter().sum();', ''));
  await window.press('Alt+Enter');
  assert.equal(await stage.saved(window, 'line.rs'), withLines('    let total = items.iter().sum();', '    println!("{total}");'));
});

test('the server is told what becomes of a suggestion', async () => {
  const rule = { after: 'let told', insert: ' = "😀";\r\n    more(1);' };
  stage.script({ rules: [rule] });
  await window.open('crlf.rs', 1, 1);
  await window.press('End', 'Enter');
  const first = stage.events().length;
  const seen = (event) => stage.events().slice(first).filter((one) => one.event === event);
  await window.type('let told');
  await window.expectGhost(' = "😀";\n    more(1);');
  const shown = () => seen('shown').at(-1)?.item;
  await until('the server to hear of it', () => shown()?.insertText === rule.insert);
  // What is typed is not taken.
  await window.type(' ');
  await window.expectGhost('= "😀";\n    more(1);');
  assert.deepEqual(seen('part'), []);
  for (const [key, taken, rest] of [
    ['Control+ArrowRight', '= ', '"😀";\n    more(1);'],
    ['Control+ArrowRight', '"', '😀";\n    more(1);'],
    ['Alt+Enter', '😀";\r\n', '    more(1);'],
  ]) {
    await until(`the part ${taken}`, async () => {
      // The next answer may be another suggestion's.
      return (await window.ghost()) !== '' && shown().insertText.replaceAll('\r', '').endsWith(await window.ghost());
    });
    const parts = seen('part').length;
    await window.press(key);
    await window.expectGhost(rest);
    await until(`the part ${taken}`, () => seen('part').length > parts);
    assert.ok(seen('part').at(-1).taken.endsWith(taken), JSON.stringify(seen('part')));
  }
  // Tab indents where the suggestion begins with indentation: VS Code's own rule.
  await window.press('Alt+Enter');
  const accepted = () => seen('cinnabar.didAccept');
  await until('the acceptance', () => accepted().length > 0);
  const ids = seen('shown').map(({ item }) => item.command.arguments[0]);
  assert.deepEqual(accepted().map(({ id }) => ids.includes(id)), [true]);
});

test('typing what is suggested keeps the rest', async () => {
  await write('through.rs', 'let total');
  await window.expectGhost(INSERT);
  // What stays on the screen is not a new answer.
  stage.script({ rules: rules.map((rule) => ({ ...rule, held: true })) });
  for (let typed = 1; typed <= 8; typed++) {
    await window.type(INSERT[typed - 1]);
    await window.expectGhost(INSERT.slice(typed));
  }
  await window.press('Tab');
  assert.equal(await stage.saved(window, 'through.rs'), withLines('    let total = items.iter().sum();', '    println!("{total}");'));
});

test('Escape dismisses, and asking brings it back', async () => {
  await write('dismiss.rs', 'let total');
  await window.expectGhost(INSERT);
  await window.press('Escape');
  await window.expectNoGhost();
  await window.press('Alt+\\');
  await window.expectGhost(INSERT);
  assert.equal(stage.events().findLast(({ event }) => event === 'request').trigger, 1);
  await window.press('Escape');
  assert.equal(await stage.saved(window, 'dismiss.rs'), withLines('    let total'));
});

test('the next suggestion and the one before', async () => {
  await write('next.rs', 'let two', [{ after: 'let two', insert: ' = 1 + 1;', other: ' = 2;' }]);
  await window.expectGhost(' = 1 + 1;');
  await window.press('Alt+]');
  await window.expectGhost(' = 2;');
  await window.press('Alt+[');
  await window.expectGhost(' = 1 + 1;');
  await window.press('Alt+]');
  await window.expectGhost(' = 2;');
  await window.press('Tab');
  assert.equal(await stage.saved(window, 'next.rs'), withLines('    let two = 2;'));
});

test('typing on cancels what is being computed', async () => {
  const slow = [{ after: 'let slow', insert: ' = 1;', held: true }, { after: 'let slower', insert: ' = 2;' }];
  await write('cancel.rs', 'let slow', slow);
  const asked = await until('the request', () =>
    stage.events().find(({ event, line }) => event === 'request' && line === '    let slow'),
  );
  await window.type('er');
  await window.expectGhost(' = 2;');
  const cancelled = stage.events().filter(({ event }) => event === 'cancel').map(({ id }) => id);
  assert.ok(cancelled.includes(asked.id), `${asked.id} is not among ${cancelled}`);
  await window.press('Tab');
  assert.equal(await stage.saved(window, 'cancel.rs'), withLines('    let slower = 2;'));
});

test('characters outside ASCII before the cursor', async () => {
  stage.script({ rules: [{ after: '日本語🦀', insert: 'ß = "🎉";' }] });
  await window.open('unicode.rs', 1, 1);
  await window.press('End');
  await window.type(' 日本語🦀');
  await window.expectGhost('ß = "🎉";');
  const { line } = stage.events().findLast(({ event }) => event === 'request');
  assert.equal(line, '// größe 日本 🦀 日本語🦀');
  await window.press('Tab');
  assert.equal(await stage.saved(window, 'unicode.rs'), '// größe 日本 🦀 日本語🦀ß = "🎉";\nlet a = "";\n');
});

test('a file with CRLF keeps its line breaks', async () => {
  stage.script({ rules: [{ after: 'if x', insert: ':\r\n        return 1\r\n    return 2' }] });
  await window.open('crlf.py', 1, 1);
  await window.press('End', 'Enter');
  await window.type('if x');
  await window.expectGhost(':\n        return 1\n    return 2');
  await window.press('Tab');
  const text = 'def f():\r\n    if x:\r\n        return 1\r\n    return 2\r\n    pass\r\n';
  assert.equal(await stage.saved(window, 'crlf.py'), text);
});

test('a file indented with tabs keeps them', async () => {
  stage.script({ rules: [{ after: 'if ok', insert: ' {\n\t\th()\n\t}' }] });
  await window.open('tabs.go', 2, 1);
  await window.press('End', 'Enter');
  await window.type('if ok');
  await until('ghost text', () => window.ghost());
  await window.press('Tab');
  assert.equal(await stage.saved(window, 'tabs.go'), 'func f() {\n\tg()\n\tif ok {\n\t\th()\n\t}\n}\n');
});
