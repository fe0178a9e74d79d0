// The extension's own settings, and those that are only handed on to the server.
import * as vscode from 'vscode';

/** Settings that the server never sees. */
const OWN = ['enabled', 'languages', 'path'];

type Languages = Record<string, boolean>;

export function enabled(): boolean {
  return configuration().get('enabled', true);
}

export function path(): string {
  return configuration().get('path', '');
}

/** Whether Cinnabar suggests in a language by itself. */
export function suggestsIn(language: string): boolean {
  const languages = configuration().get<Languages>('languages', {});
  return languages[language] ?? languages['*'] ?? true;
}

export async function setEnabled(value: boolean): Promise<void> {
  await configuration().update('enabled', value, vscode.ConfigurationTarget.Global);
}

export async function setSuggestsIn(language: string, value: boolean): Promise<void> {
  const own = configuration().inspect<Languages>('languages')?.globalValue;
  await configuration().update('languages', { ...own, [language]: value }, vscode.ConfigurationTarget.Global);
}

export async function setPath(value: string): Promise<void> {
  await configuration().update('path', value, vscode.ConfigurationTarget.Global);
}

/** `initializationOptions`: what the user or the workspace has set. Everything else is the server's to choose. */
export function serverOptions(manifest: Manifest): Record<string, unknown> {
  const options: Record<string, unknown> = {};
  for (const key of keys(manifest).filter((key) => !OWN.includes(key))) {
    const set = configuration().inspect(key);
    const value = set?.workspaceFolderValue ?? set?.workspaceValue ?? set?.globalValue;
    if (value !== undefined && value !== null && value !== '') options[key] = value;
  }
  return options;
}

/** Whether a change asks for a new server: each does but that of the languages, which are looked up as one types. */
export function needsRestart(change: vscode.ConfigurationChangeEvent, manifest: Manifest): boolean {
  return keys(manifest).some((key) => key !== 'languages' && change.affectsConfiguration(`cinnabar.${key}`));
}

/** The part of package.json that declares the settings. */
export interface Manifest {
  contributes: { configuration: { properties: Record<string, unknown> }[] };
}

function keys(manifest: Manifest): string[] {
  const ids = manifest.contributes.configuration.flatMap((section) => Object.keys(section.properties));
  return ids.map((id) => id.replace(/^cinnabar\./, ''));
}

function configuration(): vscode.WorkspaceConfiguration {
  return vscode.workspace.getConfiguration('cinnabar');
}
