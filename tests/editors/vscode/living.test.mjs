// The extension beside the typing: status, pauses, settings, two windows, a server that dies or is not there.
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { SCRIPTED, start } from './stage.mjs';
import { until } from './until.mjs';

const DEVICE = 'scripted model on CPU';
const RULE = { after: 'let a', insert: ' = 1;' };

let stage;
let window;

before(async () => {
  stage = await start({ files: { 'a.rs': 'fn a() {\n    \n}\n', 'b.rs': 'fn b() {\n    \n}\n', 'c.md': '\n' } });
  stage.script({ rules: [RULE], loading: true, device: DEVICE });
  window = await stage.window();
});
after(() => stage?.end());

const starts = () => stage.events().filter(({ event }) => event === 'start');
const requests = () => stage.events().filter(({ event }) => event === 'request').length;
const alive = (pid) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

/** A fresh line in the function of a file, and `text` in it. */
async function write(name, text, at = window) {
  await at.open(name, 2, 1);
  await at.press('End', 'Enter');
  await at.type(text);
}

/** Writes and sees ghost text. */
async function works(name = 'a.rs', at = window) {
  await write(name, 'let a', at);
  await at.expectGhost(' = 1;');
  await at.press('Escape');
}

/** Writes, sees nothing, and the server was not even asked. */
async function silent(name = 'a.rs') {
  const before = requests();
  await write(name, 'let a');
  await window.expectNoGhost(600);
  assert.equal(requests(), before);
}

test('the status tells loading, then the device', async () => {
  await window.expectStatus(/loading the model/);
  stage.script({ rules: [RULE], device: DEVICE });
  await window.expectStatus(/ready, scripted model on CPU/);
  const [{ capability, options }] = starts();
  assert.ok(capability, 'the client shows inline completions');
  assert.deepEqual(options, {});
  await works();
});

test('the status tells that the server is at work', async () => {
  stage.script({ rules: [{ ...RULE, held: true }] });
  await write('a.rs', 'let a');
  await window.page.waitForSelector('[id="cinnabar.cinnabar.cinnabar"] .codicon-sync');
  stage.script({ rules: [RULE] });
  await window.expectGhost(' = 1;');
  await window.page.waitForSelector('[id="cinnabar.cinnabar.cinnabar"] .codicon-ruby');
  await window.press('Escape');
});

test('a snooze is silent, counts its minutes, and ends when told to', async () => {
  await window.menu('Snooze');
  await window.pick('15 minutes');
  await window.expectStatus(/snoozed for 15 more min/);
  await silent();
  await window.press('Alt+\\');
  await window.expectGhost(' = 1;');
  await window.press('Escape');
  await window.menu('End Snooze');
  await window.expectStatus(/ready/);
  await works();
});

test('off for one language, and on again', async () => {
  await silent('c.md');
  await window.expectStatus(/off for markdown/);
  await window.open('a.rs', 1, 1);
  await window.expectStatus(/ready/);
  await window.menu('Turn Off for rust');
  await window.expectStatus(/off for rust/);
  await silent();
  await window.menu('Turn On for rust');
  await window.expectStatus(/ready/);
  await works();
});

test('off altogether ends the program; on starts it', async () => {
  const { pid } = starts().at(-1);
  await window.menu('Turn Off');
  await window.expectStatus(/off$/);
  await until('the end of the program', () => !alive(pid));
  await silent();
  await window.menu('Turn On');
  await window.expectStatus(/ready/);
  await works();
});

test('a setting reaches the server', async () => {
  stage.configure({ 'cinnabar.maxTokens': 7, 'cinnabar.mode': 'causal' });
  await until('a server with the settings', () => starts().at(-1).options.maxTokens === 7);
  assert.deepEqual(starts().at(-1).options, { maxTokens: 7, mode: 'causal' });
  stage.configure({});
  await until('a server without it', () => starts().at(-1).options.maxTokens === undefined);
  await window.expectStatus(/ready/);
});

test('a killed server is started again, with the documents as they are', async () => {
  for (let n = 0; n < 2; n++) {
    const { pid } = starts().at(-1);
    process.kill(pid, 'SIGKILL');
    await until('another server', () => starts().at(-1).pid !== pid);
    await window.expectStatus(/ready/);
    await works();
    await stage.saved(window, 'a.rs');
  }
});

test('a server that keeps dying is an error with a way out', async () => {
  for (;;) {
    const { pid } = starts().at(-1);
    process.kill(pid, 'SIGKILL');
    await until('its end', () => !alive(pid));
    await until('what follows', async () => starts().at(-1).pid !== pid || /ended \d times/.test(await window.status()));
    if (/ended \d times/.test(await window.status())) break;
  }
  await window.clear();
  await window.menu('Restart');
  await window.expectStatus(/ready/);
  await works();
});

test('a missing program is an error that leads to locating it', async () => {
  const program = join(stage.folder, '..', 'bin', 'cinnabar');
  stage.configure({ 'cinnabar.path': program });
  await window.expectStatus(/There is no program at/);
  await window.clear();
  mkdirSync(join(program, '..'));
  copyFileSync(SCRIPTED, program);
  chmodSync(program, 0o755);
  const before = starts().length;
  await window.menu('Locate');
  await window.choose(program);
  await until('the program to be started', () => starts().length > before);
  await window.expectStatus(/ready/);
  await works();
});

test('a program that is no server is an error that leads to the log', async () => {
  stage.configure({ 'cinnabar.path': '/bin/false' });
  await window.expectStatus(/The server cannot be started/);
  stage.configure({});
  await window.expectStatus(/ready/);
});

test('the log and the walkthrough open', async () => {
  await window.command('Cinnabar: Show Log');
  await window.expectText('[info] starting: ');
  await window.press('Control+j');
  await window.command('Cinnabar: Get Started');
  await window.expectText('Get started with Cinnabar');
  for (const step of ['The program', 'Type, and take what fits', 'Quiet, when you want it']) {
    await window.expectText(step);
  }
});

test('two windows have a server each and do not disturb one another', async () => {
  const other = await stage.window();
  await other.open('b.rs', 1, 1);
  await other.expectStatus(/ready/);
  const [one, two] = starts().slice(-2);
  assert.notEqual(one.pid, two.pid);
  assert.ok(alive(one.pid) && alive(two.pid));
  await write('a.rs', 'let a');
  await window.expectGhost(' = 1;');
  await write('b.rs', 'let a', other);
  await other.expectGhost(' = 1;');
  await window.expectGhost(' = 1;');
  await window.press('Tab');
  await other.expectGhost(' = 1;');
  await other.press('Tab');
  assert.match(await stage.saved(window, 'a.rs'), /let a = 1;/);
  assert.match(await stage.saved(other, 'b.rs'), /let a = 1;/);
});
