// Takes the picture of the extension's README: the real program's ghost text in a real file.
//   tests/editors/vscode/run screenshot.mjs
import { readFileSync } from 'node:fs';
import { at, real } from './program.mjs';
import { start } from './stage.mjs';
import { until } from './until.mjs';

const OUT = at('editors/vscode/media/ghost-text.png');
const FILE = 'lru_cache.py';

const text = readFileSync(at(`tests/data/samples/${FILE}`), 'utf8');
const line = text.split('\n').findIndex((line) => line === '            return') + 1;
const stage = await start({
  ...real(),
  files: { [FILE]: text },
  settings: {
    'cinnabar.deadlineMs': 20_000,
    'breadcrumbs.enabled': false,
    'workbench.colorTheme': 'Default Dark Modern',
    'editor.cursorBlinking': 'solid',
    'editor.inlineSuggest.showToolbar': 'never',
    'window.commandCenter': false,
  },
});
try {
  const window = await stage.window();
  await window.expectStatus(/ready/);
  await window.open(FILE, line, 1);
  await window.press('End', 'Backspace');
  await window.type('n');
  await until('ghost text', () => window.ghost(), 25_000);
  await window.press('Control+b');
  await window.page.mouse.move(550, 20);
  await window.expectStatus(/ready/);
  await window.page.waitForTimeout(500);
  await window.page.screenshot({ path: OUT });
  console.log(`${OUT}: ${JSON.stringify(await window.ghost())}`);
} finally {
  await stage.end();
}
