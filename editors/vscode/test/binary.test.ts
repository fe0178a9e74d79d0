import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { buildCommand, find, runs, type Surroundings } from '../src/binary';

function surroundings(there: string[], more: Partial<Surroundings> = {}): Surroundings {
  const path = ['/usr/bin', 'relative', '/opt/bin'].join(delimiter);
  return { setting: '', path, home: '/users/ada', windows: false, runs: (file) => there.includes(file), ...more };
}

test('PATH comes before the folder of cargo, in its order', () => {
  const cargo = '/users/ada/.cargo/bin/cinnabar';
  assert.deepEqual(find(surroundings([cargo])), { program: cargo });
  assert.deepEqual(find(surroundings([cargo, '/opt/bin/cinnabar'])), { program: '/opt/bin/cinnabar' });
  const both = ['/opt/bin/cinnabar', '/usr/bin/cinnabar'];
  assert.deepEqual(find(surroundings(both)), { program: '/usr/bin/cinnabar' });
});

test('a relative folder in PATH is not looked into: it would be the open repository', () => {
  assert.ok('missing' in find(surroundings(['relative/cinnabar'])));
});

test('the setting is used or reported, never passed over', () => {
  const there = ['/usr/bin/cinnabar', '/users/ada/bin/mine'];
  assert.deepEqual(find(surroundings(there, { setting: ' /users/ada/bin/mine ' })), { program: '/users/ada/bin/mine' });
  assert.deepEqual(find(surroundings(there, { setting: '~/bin/mine' })), { program: '/users/ada/bin/mine' });
  const gone = find(surroundings(there, { setting: '/gone/cinnabar' }));
  assert.deepEqual(gone, { missing: 'There is no program at /gone/cinnabar (setting cinnabar.path)' });
  const relative = find(surroundings(there, { setting: 'bin/mine' }));
  assert.deepEqual(relative, { missing: 'The setting cinnabar.path must be an absolute path, not bin/mine' });
});

test('nowhere is told', () => {
  assert.deepEqual(find(surroundings([])), { missing: 'The program cinnabar is neither in PATH nor in ~/.cargo/bin' });
});

test('on Windows the program ends in .exe', () => {
  assert.deepEqual(find(surroundings(['/opt/bin/cinnabar.exe'], { windows: true })), { program: '/opt/bin/cinnabar.exe' });
});

test('only a file with the right to run it is a program', { skip: process.platform === 'win32' }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'cinnabar-binary-'));
  const file = join(folder, 'cinnabar');
  assert.equal(runs(file), false);
  writeFileSync(file, '#!/bin/sh\n');
  chmodSync(file, 0o644);
  assert.equal(runs(file), false);
  chmodSync(file, 0o755);
  assert.equal(runs(file), true);
  mkdirSync(join(folder, 'sub'));
  assert.equal(runs(join(folder, 'sub')), false);
});

test('the build ends with the program where it is looked for', () => {
  assert.match(buildCommand(false), /^cargo build --release && .*ln -sf "\$PWD\/target\/release\/cinnabar" ~\/\.cargo\/bin\/cinnabar$/);
  assert.equal(buildCommand(true), 'cargo build --release');
});
