// Installs the extension and the program as the extension's README says, word for word, into a home of its own, with
// the VS Code of the lane as `code`. With CINNABAR_BIN the program is not built.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { at } from './program.mjs';

const lane = process.env.CINNABAR_EDITORS;
const home = join(lane, 'home');
const bin = join(lane, 'bin');

const [, section] = readFileSync(at('editors/vscode/README.md'), 'utf8').split('## Install');
const steps = [...section.split('\n## ')[0].matchAll(/```sh\n(.*?)```/gs)].map(([, step]) => step);
assert.ok(steps.length > 0 && steps.length <= 3, `${steps.length} steps`);

for (const folder of [join(lane, 'extensions'), home, bin]) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
}
const code = `#!/bin/sh
exec "${lane}/node/bin/node" "${lane}/code/node_modules/code-server/out/node/entry.js" --config "${lane}/config.yaml" \\
  --user-data-dir "${lane}/user" --extensions-dir "${lane}/extensions" "$@"
`;
writeFileSync(join(bin, 'code'), code);
chmodSync(join(bin, 'code'), 0o755);

// Only what is installed is to land in the new home; toolchains stay where they are.
const { CARGO_HOME = join(homedir(), '.cargo'), RUSTUP_HOME = join(homedir(), '.rustup') } = process.env;
const { npm_config_cache = join(homedir(), '.npm') } = process.env;
const env = { ...process.env, HOME: home, CARGO_HOME, RUSTUP_HOME, npm_config_cache, PATH: `${bin}:${process.env.PATH}` };

for (const step of steps) {
  if (step.startsWith('cargo') && process.env.CINNABAR_BIN) continue;
  console.log(`$ ${step.trim()}`);
  const { status } = spawnSync('bash', ['-e', '-c', step], { cwd: at('.'), env, stdio: 'inherit' });
  assert.equal(status, 0, step);
}

const size = statSync(at('editors/vscode/cinnabar.vsix')).size;
assert.ok(size < 1_000_000, `the extension has ${size} bytes`);
