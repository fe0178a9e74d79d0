// One window of VS Code: what a user does in it and what they see.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from './until.mjs';

export class Window {
  constructor(page, folder) {
    this.page = page;
    this.folder = folder;
  }

  /** Opens a file of the folder and puts the cursor at a line and column, counted from 1. */
  async open(name, line, column) {
    await this.page.keyboard.press('Control+p');
    await this.fill(name);
    await this.page.locator(`.quick-input-list [role=option][aria-label^="${name}"]`).first().click();
    await this.page.waitForSelector(`.tab.active[data-resource-name="${name}"]`);
    await this.page.waitForSelector('.editor-instance .monaco-editor .view-line');
    await this.goTo(line, column);
  }

  async goTo(line, column) {
    await this.page.keyboard.press('Control+g');
    await this.fill(`:${line}:${column}`);
    await this.page.keyboard.press('Enter');
    await this.page.locator('.quick-input-widget').waitFor({ state: 'hidden' });
    await until(`the cursor at ${line}:${column}`, async () => {
      const label = await this.page.locator('[id="status.editor.selection"]').textContent();
      return label?.includes(`Ln ${line}, Col`);
    });
  }

  /** Runs a command by its title. */
  async command(title) {
    await this.page.keyboard.press('F1');
    await this.fill(`>${title}`);
    await this.pick(title);
  }

  /** Chooses an entry of the open list. */
  async pick(label) {
    await this.page.locator('.quick-input-list [role=option] .label-name', { hasText: exactly(label) }).click();
  }

  async fill(text) {
    await this.input().waitFor();
    await this.input().fill(text);
  }

  /** Chooses a file in the dialog that is being opened. */
  async choose(path) {
    await this.input().waitFor();
    // The dialog puts its own folder into the field when it has listed it, and takes Enter when it has looked a file up.
    await until('the dialog to close', async () => {
      if ((await this.input().count()) === 0) return true;
      if ((await this.input().inputValue()) === path) await this.press('Enter');
      else await this.fill(path);
      await this.page.waitForTimeout(300);
      return false;
    });
  }

  input() {
    return this.page.locator('.quick-input-widget:visible .quick-input-filter input');
  }

  async type(text) {
    await this.page.keyboard.type(text, { delay: 30 });
  }

  async press(...keys) {
    for (const key of keys) await this.page.keyboard.press(key);
  }

  /** The ghost text on the screen, line by line; empty if there is none. */
  ghost() {
    return this.page.evaluate(readGhost);
  }

  async expectGhost(text) {
    let seen;
    await until(`ghost text ${JSON.stringify(text)}`, async () => (seen = await this.ghost()) === text).catch(() =>
      assert.equal(seen, text),
    );
  }

  /** No ghost text, now and for a while. */
  async expectNoGhost(ms = 400) {
    await until('the ghost text to go', async () => (await this.ghost()) === '');
    const end = Date.now() + ms;
    while (Date.now() < end) {
      assert.equal(await this.ghost(), '');
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
  }

  /** Saves the active file and reads it back. */
  async save(name) {
    await this.page.keyboard.press('Control+s');
    await this.page.waitForSelector('.tab.active:not(.dirty)');
    return readFileSync(join(this.folder, name), 'utf8');
  }

  /** Text anywhere in the window. */
  async expectText(text) {
    const all = () => document.body.innerText.replaceAll('\u00a0', ' ');
    await until(`the text ${text}`, async () => (await this.page.evaluate(all)).includes(text));
  }

  /** What the status bar says of Cinnabar, as a screen reader would. */
  async status() {
    return (await this.item().getAttribute('aria-label')) ?? '';
  }

  async expectStatus(pattern, ms) {
    await until(`the status ${pattern}`, async () => pattern.test(await this.status()), ms).catch(async () =>
      assert.match(await this.status(), pattern),
    );
  }

  /** Opens the menu behind the status and chooses from it. */
  async menu(label) {
    await this.item().click();
    await this.pick(label);
  }

  item() {
    return this.page.locator('[id="cinnabar.cinnabar.cinnabar"] a');
  }

  /** Closes what lies over the editor. */
  async clear() {
    await this.command('Notifications: Clear All Notifications');
    await this.page.locator('.notification-toast').first().waitFor({ state: 'detached' });
  }
}

function exactly(text) {
  return new RegExp(`^\\s*${text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}\\s*$`);
}

/** Runs in the page. */
function readGhost() {
  const lines = new Map();
  for (const span of document.querySelectorAll('.ghost-text, .ghost-text-decoration')) {
    const { top, left, width } = span.getBoundingClientRect();
    if (width === 0) continue;
    const line = lines.get(Math.round(top)) ?? [];
    lines.set(Math.round(top), [...line, { left, text: span.textContent.replaceAll('\u00a0', ' ') }]);
  }
  const byTop = [...lines].sort(([a], [b]) => a - b);
  return byTop.map(([, spans]) => spans.sort((a, b) => a.left - b.left).map(({ text }) => text).join('')).join('\n');
}
