import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { beforeEach, test } from 'node:test';
import { insert, OWN } from '../scripts/insert.mjs';
import * as settings from '../src/settings';
import { defaults, set } from './vscode';

const read = (path: string) => JSON.parse(readFileSync(path, 'utf8'));
const manifest = read('package.json');
const schema = read('../settings.schema.json');

beforeEach(() => {
  for (const key of Object.keys(set)) delete set[key];
  for (const { properties } of manifest.contributes.configuration) {
    for (const [id, { default: value }] of Object.entries<{ default: unknown }>(properties)) {
      defaults[id.replace('cinnabar.', '')] = value;
    }
  }
});

test("the manifest has the server's settings, as they are defined", () => {
  assert.deepEqual(insert(manifest, schema), manifest, 'run `npm run settings`');
  const ids = manifest.contributes.configuration.flatMap((part: settings.Manifest['contributes']['configuration'][0]) =>
    Object.keys(part.properties),
  );
  const theirs = Object.keys(schema.properties).filter((key) => !OWN.includes(key));
  for (const key of theirs) assert.ok(ids.includes(`cinnabar.${key}`), key);
});

test('what is declared can be done: commands, and keys for commands', () => {
  const source = readFileSync('src/extension.ts', 'utf8');
  for (const { command } of manifest.contributes.commands) {
    assert.match(source, new RegExp(`\\n    ${command.replace('cinnabar.', '')}[:,]`), command);
  }
});

test('nothing set, nothing sent', () => {
  assert.deepEqual(settings.serverOptions(manifest), {});
});

test('only what was set is sent, the workspace first, and nothing of our own', () => {
  set.maxTokens = { globalValue: 32, workspaceValue: 16 };
  set.device = { globalValue: 'cpu' };
  set.model = { globalValue: '' };
  set.threads = { globalValue: null };
  set.path = { globalValue: '/bin/cinnabar' };
  set.enabled = { globalValue: true };
  assert.deepEqual(settings.serverOptions(manifest), { device: 'cpu', maxTokens: 16 });
});

test('languages: by name, else by the star', async () => {
  assert.equal(settings.suggestsIn('rust'), true);
  assert.equal(settings.suggestsIn('markdown'), false);
  await settings.setSuggestsIn('rust', false);
  assert.equal(settings.suggestsIn('rust'), false);
  set.languages = { globalValue: { '*': false, go: true } };
  assert.equal(settings.suggestsIn('rust'), false);
  assert.equal(settings.suggestsIn('go'), true);
});

test('a change of any setting but the languages asks for a new server', () => {
  const change = (...keys: string[]) => ({
    affectsConfiguration: (id: string) => keys.some((key) => `cinnabar.${key}` === id),
  });
  assert.equal(settings.needsRestart(change('maxTokens'), manifest), true);
  assert.equal(settings.needsRestart(change('path'), manifest), true);
  assert.equal(settings.needsRestart(change('languages'), manifest), false);
  assert.equal(settings.needsRestart(change('languages', 'enabled'), manifest), true);
});
