// Runs the unit tests with Node alone: a stand-in takes the place of the editor's interface.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';

const folder = mkdtempSync(join(tmpdir(), 'cinnabar-test-'));
const tests = readdirSync('test').filter((name) => name.endsWith('.test.ts'));
await build({
  entryPoints: tests.map((name) => join('test', name)),
  outdir: folder,
  bundle: true,
  platform: 'node',
  format: 'cjs',
  alias: { vscode: './test/vscode.ts' },
  logLevel: 'warning',
  // The stand-in has only what the tests meet.
  logOverride: { 'import-is-undefined': 'silent' },
});
const built = tests.map((name) => join(folder, name.replace(/ts$/, 'js')));
const { status } = spawnSync(process.execPath, ['--test', '--test-reporter=spec', ...built], { stdio: 'inherit' });
rmSync(folder, { recursive: true });
process.exit(status ?? 1);
