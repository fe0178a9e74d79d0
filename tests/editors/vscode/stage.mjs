// The stage: VS Code with the extension installed, a browser before it, and hands on the keyboard.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, readlinkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Window } from './window.mjs';
import { until } from './until.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const home = process.env.CINNABAR_EDITORS ?? join(here, '../../../target/editors/vscode');
const { chromium } = createRequire(join(home, 'tools/'))('playwright-core');

/** The server that answers from a script. */
export const SCRIPTED = join(here, 'scripted/cinnabar');

const SETTINGS = {
  'chat.disableAIFeatures': true,
  'editor.autoClosingBrackets': 'never',
  'editor.autoClosingQuotes': 'never',
  'editor.detectIndentation': true,
  'editor.fontSize': 15,
  'editor.minimap.enabled': false,
  'editor.occurrencesHighlight': 'off',
  'editor.quickSuggestions': { other: 'off', comments: 'off', strings: 'off' },
  'editor.suggestOnTriggerCharacters': false,
  'editor.wordBasedSuggestions': 'off',
  'extensions.autoCheckUpdates': false,
  'extensions.autoUpdate': false,
  'extensions.ignoreRecommendations': true,
  'files.autoSave': 'off',
  'git.enabled': false,
  'security.workspace.trust.enabled': false,
  'telemetry.telemetryLevel': 'off',
  // Else its text is on a canvas.
  'terminal.integrated.gpuAcceleration': 'off',
  'update.mode': 'none',
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'workbench.startupEditor': 'none',
  'workbench.tips.enabled': false,
  'workbench.welcomePage.walkthroughs.openOnInstall': false,
};

/** Starts VS Code on a folder with `files` (name to text). */
export async function start({ files, program = SCRIPTED, settings = {}, environment = {} }) {
  const folder = mkdtempSync(join(tmpdir(), 'cinnabar-vscode-'));
  const at = (name) => join(folder, name);
  for (const name of ['user/User', 'user/Machine', 'work/.vscode']) mkdirSync(at(name), { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(at(`work/${name}`), text);
  const script = { path: at('script.json'), record: at('record.jsonl') };
  writeFileSync(script.path, '{"rules": []}');
  writeFileSync(script.record, '');
  function configure(more) {
    const { 'cinnabar.path': path, ...rest } = { 'cinnabar.path': program, ...more };
    // Where the program lies is a setting of the machine that VS Code runs on.
    writeFileSync(at('user/Machine/settings.json'), JSON.stringify(path === '' ? {} : { 'cinnabar.path': path }));
    writeFileSync(at('work/.vscode/settings.json'), JSON.stringify(rest));
  }
  writeFileSync(at('user/User/settings.json'), JSON.stringify({ ...SETTINGS, ...settings }));
  configure({});
  if (program === SCRIPTED) chmodSync(program, 0o755);

  const port = await freePort();
  const log = openSync(join(home, 'code-server.log'), 'w');
  const code = spawn(
    join(home, 'node/bin/node'),
    [
      join(home, 'code/node_modules/code-server/out/node/entry.js'),
      ...['--auth', 'none', '--bind-addr', `127.0.0.1:${port}`, '--config', at('config.yaml')],
      ...['--user-data-dir', at('user'), '--extensions-dir', join(home, 'extensions')],
      ...['--disable-telemetry', '--disable-update-check', '--disable-workspace-trust', '--disable-getting-started-override'],
    ],
    {
      env: {
        ...process.env,
        CINNABAR_MODEL: undefined,
        CINNABAR_SCRIPT: script.path,
        CINNABAR_RECORD: script.record,
        // Where the real program counts.
        XDG_STATE_HOME: at('state'),
        ...environment,
      },
      stdio: ['ignore', log, log],
      detached: true,
    },
  );
  const url = `http://127.0.0.1:${port}`;
  await until('code-server', () => fetch(`${url}/healthz`).then((answer) => answer.ok, () => false), 120_000);
  const browser = await chromium.launch({
    executablePath: join(home, 'chromium'),
    args: [
      ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
      ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
    ],
  });
  const events = () => readFileSync(script.record, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
  return {
    folder: at('work'),
    /** Sets the program's path, if it is given, and the folder's settings. */
    configure,
    /** What the scripted server answers from now on. */
    script(value) {
      // As a whole: the server reads it at any time.
      writeFileSync(`${script.path}.new`, JSON.stringify(value));
      renameSync(`${script.path}.new`, script.path);
    },
    /** What the scripted server saw. */
    events,
    /** Saves a window's file and gives its text; what the scripted server has of it must be the same. */
    async saved(window, name) {
      const saves = () => events().filter(({ event, uri }) => event === 'save' && uri.endsWith(`/${name}`));
      const before = saves().length;
      const text = await window.save(name);
      await until('the server to hear of it', () => saves().length > before);
      assert.ok(saves().at(-1).same, 'the mirror differs');
      return text;
    },
    /** The servers that run. */
    servers() {
      const name = basename(program || 'cinnabar');
      return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && runs(pid, name, script.record)).map(Number);
    },
    /** What the real program has counted, by language and kind of suggestion. */
    counts() {
      const [server] = this.servers();
      const program = readlinkSync(`/proc/${server}/exe`);
      const counted = spawnSync(program, ['stats', '--json'], { env: { ...process.env, XDG_STATE_HOME: at('state') } });
      return JSON.parse(counted.stdout).counts;
    },
    /** A window on the folder, or on another one. */
    async window(path = at('work')) {
      const context = await browser.newContext({ viewport: { width: 1100, height: 620 }, deviceScaleFactor: 1 });
      await context.grantPermissions(['clipboard-read', 'clipboard-write']);
      const page = await context.newPage();
      await page.goto(`${url}/?folder=${encodeURIComponent(path)}`);
      await page.waitForSelector('.monaco-workbench .statusbar', { timeout: 180_000 });
      await page.waitForSelector('[id="cinnabar.cinnabar.cinnabar"]', { timeout: 180_000 });
      page.setDefaultTimeout(60_000);
      return new Window(page, at('work'));
    },
    async end() {
      if (code.exitCode !== null || code.signalCode !== null) return;
      await browser.close();
      process.kill(-code.pid, 'SIGTERM');
      await new Promise((resolve) => code.once('exit', resolve));
      rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    },
  };
}

/** Whether a process is one of a program, and of this stage: its environment tells. */
function runs(pid, name, mark) {
  try {
    const [command] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return basename(command) === name && readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`CINNABAR_RECORD=${mark}`);
  } catch {
    // It has ended meanwhile.
    return false;
  }
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
