// From a key to ghost text on the screen, over 50 keys. The answers come from a script at once, so what is measured is
// VS Code, the extension and the protocol. Prints the median and the 95th percentile in milliseconds.
//   tests/editors/vscode/run latency.mjs
import { start } from './stage.mjs';

const KEYS = 50;

const stage = await start({ files: { 'a.rs': 'fn a() {\n    \n}\n' } });
// `//` is answered anew after each `m`: the number in the answer tells which key it belongs to.
const rules = Array.from({ length: KEYS }, (_, n) => ({ after: `// ${'m'.repeat(n + 1)}`, insert: ' <$n>' })).reverse();
stage.script({ rules });
try {
  const window = await stage.window();
  await window.expectStatus(/ready/);
  await window.open('a.rs', 2, 1);
  await window.press('End');
  await window.type('// ');
  await window.page.evaluate(watch);
  const times = [];
  for (let key = 0; key < KEYS; key++) {
    await window.page.waitForTimeout(150 + 5 * key);
    await window.page.evaluate(() => globalThis.cinnabarArm());
    await window.press('m');
    times.push(await window.page.evaluate(() => globalThis.cinnabarSeen));
  }
  times.sort((a, b) => a - b);
  const at = (share) => times[Math.floor(share * (KEYS - 1))].toFixed(0);
  console.log(`key to ghost text, ${KEYS} keys: median ${at(0.5)} ms, 95 % ${at(0.95)} ms, ${at(0)} to ${at(1)} ms`);
} finally {
  await stage.end();
}

/** Runs in the page: measures from the next key to the first frame whose ghost text is new. */
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
            if (now.includes('<') && now !== before) resolve(elapsed);
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
