// From a key to ghost text on the screen, over 50 keys: the median and the 95th percentile in milliseconds.
//   tests/editors/vscode/run latency.mjs          a script answers at once: VS Code, the extension and the protocol
//   tests/editors/vscode/run latency.mjs real     the real program, which has answered the same text before
import { real } from './program.mjs';
import { start } from './stage.mjs';
import { until } from './until.mjs';

const KEYS = 50;

const measure = process.argv[2] === 'real' ? ofProgram : ofScript;
const times = (await measure()).sort((a, b) => a - b);
const at = (share) => times[Math.floor(share * (times.length - 1))].toFixed(0);
console.log(`key to ghost text, ${times.length} keys: median ${at(0.5)} ms, 95 % ${at(0.95)} ms, ${at(0)} to ${at(1)} ms`);

/** `//` is answered anew after each `m`: the number in the answer tells which key it belongs to. */
async function ofScript() {
  const rules = Array.from({ length: KEYS }, (_, n) => ({ after: `// ${'m'.repeat(n + 1)}`, insert: ' <$n>' })).reverse();
  const stage = await start({ files: { 'a.rs': 'fn a() {\n    \n}\n' } });
  stage.script({ rules });
  return onStage(stage, async (window) => {
    await window.open('a.rs', 2, 1);
    await window.press('End');
    await window.type('// ');
    const times = [];
    for (let key = 0; key < KEYS; key++) {
      await window.page.waitForTimeout(150 + 5 * key);
      times.push(await time(window, 'm'));
    }
    return times;
  });
}

/** A key contradicts what is suggested, and is taken back. */
async function ofProgram() {
  const stage = await start({ ...real(), files: { 'a.py': 'def add(a, b):\n    ' }, settings: { 'cinnabar.deadlineMs': 20_000 } });
  return onStage(stage, async (window) => {
    await window.open('a.py', 2, 5);
    await window.type('return ');
    const suggested = await until('ghost text', () => window.ghost());
    const key = suggested.startsWith('b') ? 'a' : 'b';
    const times = [];
    // The first one is not from the cache.
    for (let n = 0; n <= KEYS; n++) {
      await window.expectGhost(suggested);
      await window.page.waitForTimeout(150 + 5 * n);
      const took = await time(window, key);
      if (n > 0) times.push(took);
      await window.press('Backspace');
    }
    return times;
  });
}

async function onStage(stage, measure) {
  try {
    const window = await stage.window();
    await window.expectStatus(/ready/);
    await window.page.evaluate(watch);
    return await measure(window);
  } finally {
    await stage.end();
  }
}

async function time(window, key) {
  await window.page.evaluate(() => globalThis.cinnabarArm());
  await window.press(key);
  return window.page.evaluate(() => globalThis.cinnabarSeen);
}

/** Runs in the page: measures from the next key to the first frame whose ghost text is there and new. */
function watch() {
  const text = () => [...document.querySelectorAll('.ghost-text-decoration')].map((span) => span.textContent).join('');
  globalThis.cinnabarArm = () => {
    const before = text();
    globalThis.cinnabarSeen = new Promise((resolve, reject) => {
      document.addEventListener(
        'keydown',
        () => {
          const pressed = performance.now();
          const look = () => {
            const now = text();
            const elapsed = performance.now() - pressed;
            // What is left of a suggestion that is typed is not new.
            if (now !== '' && !before.endsWith(now)) resolve(elapsed);
            else if (elapsed > 5000) reject(new Error(`no new ghost text: ${now}`));
            else requestAnimationFrame(look);
          };
          requestAnimationFrame(look);
        },
        { capture: true, once: true },
      );
    });
  };
}
