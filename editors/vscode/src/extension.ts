// Puts the parts together: settings and commands on one side, the server on the other.
import { homedir } from 'node:os';
import * as vscode from 'vscode';
import * as binary from './binary';
import { Client } from './client';
import * as menu from './menu';
import * as settings from './settings';
import { Snooze } from './snooze';
import { watch } from './watch';
import { StatusBar, type Situation, type Status } from './status';

const WINDOWS = process.platform === 'win32';

let client: Client | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const log = vscode.window.createOutputChannel('Cinnabar', { log: true });
  const manifest: settings.Manifest = context.extension.packageJSON;
  const bar = new StatusBar();
  const snooze = new Snooze(show);
  let status: Status = { kind: 'off' };
  let asked = 0;

  function situation(): Situation {
    const id = vscode.window.activeTextEditor?.document.languageId;
    const language = id === undefined ? undefined : { id, on: settings.suggestsIn(id) };
    return { status, asked, snooze: snooze.minutesLeft(), language };
  }

  function show(): void {
    bar.show(situation());
  }

  function set(next: Status): void {
    if (next.kind === 'error') log.error(next.message);
    status = next;
    show();
  }

  const server = new Client(log, {
    wanted: (document, { triggerKind }) =>
      triggerKind === vscode.InlineCompletionTriggerKind.Invoke ||
      (snooze.minutesLeft() === 0 && settings.suggestsIn(document.languageId)),
    statusChanged: set,
    askedChanged: (now) => {
      asked = now;
      show();
    },
  });
  client = server;

  function program(): binary.Found {
    const { PATH: path = '' } = process.env;
    return binary.find({ setting: settings.path(), path, home: homedir(), windows: WINDOWS, runs: binary.runs });
  }

  // One start or stop at a time, in the order in which they were asked for.
  let last = Promise.resolve();
  function restart(): Promise<void> {
    last = last.then(async () => {
      await server.stop();
      if (!settings.enabled()) return set({ kind: 'off' });
      const found = program();
      if ('program' in found) return server.start(found.program, settings.serverOptions(manifest));
      set({ kind: 'error', message: found.missing, fix: { title: 'Locate', command: 'cinnabar.locate' } });
      offerProgram(found.missing);
    });
    return last;
  }

  const language = () => vscode.window.activeTextEditor?.document.languageId;
  const commands: Record<string, () => unknown> = {
    menu: () => menu.show(situation()),
    suggest: () => vscode.commands.executeCommand('editor.action.inlineSuggest.trigger'),
    toggle: () => settings.setEnabled(!settings.enabled()),
    toggleLanguage: () => {
      const id = language();
      return id === undefined ? undefined : settings.setSuggestsIn(id, !settings.suggestsIn(id));
    },
    snooze: async () => {
      const minutes = await menu.askForMinutes();
      if (minutes !== undefined) snooze.start(minutes);
    },
    resume: () => snooze.stop(),
    watch: () => {
      const found = program();
      return 'program' in found ? watch(found.program, settings.serverOptions(manifest).model) : offerProgram(found.missing);
    },
    restart,
    log: () => log.show(),
    locate: menu.locate,
    build,
    settings: () => vscode.commands.executeCommand('workbench.action.openSettings', `@ext:${context.extension.id}`),
    walkthrough: () =>
      vscode.commands.executeCommand('workbench.action.openWalkthrough', `${context.extension.id}#start`, false),
  };
  context.subscriptions.push(
    log,
    bar,
    snooze,
    server.reports,
    ...Object.entries(commands).map(([name, run]) => vscode.commands.registerCommand(`cinnabar.${name}`, run)),
    vscode.window.onDidChangeActiveTextEditor(show),
    vscode.workspace.onDidChangeConfiguration((change) => {
      if (settings.needsRestart(change, manifest)) void restart();
      show();
    }),
  );
  await restart();
}

export async function deactivate(): Promise<void> {
  await client?.stop();
}

function offerProgram(missing: string): void {
  const fixes = { Locate: 'cinnabar.locate', Build: 'cinnabar.build' } as const;
  void vscode.window.showWarningMessage(`Cinnabar: ${missing}.`, 'Locate', 'Build').then((chosen) => {
    if (chosen) void vscode.commands.executeCommand(fixes[chosen]);
  });
}

/** Types the build command into a terminal in the chosen checkout; it runs when the user presses Enter. */
async function build(): Promise<void> {
  const title = 'The folder with the source of Cinnabar';
  const [folder] = (await vscode.window.showOpenDialog({ title, canSelectFolders: true, canSelectFiles: false })) ?? [];
  if (!folder) return;
  const terminal = vscode.window.createTerminal({ name: 'Build Cinnabar', cwd: folder });
  terminal.show();
  terminal.sendText(binary.buildCommand(WINDOWS), false);
  const fixes = { Restart: 'cinnabar.restart', Locate: 'cinnabar.locate' } as const;
  const told = 'Press Enter in the terminal. When the build has ended, restart Cinnabar; or locate target/release/cinnabar.';
  const chosen = await vscode.window.showInformationMessage(told, 'Restart', ...(WINDOWS ? (['Locate'] as const) : []));
  if (chosen) await vscode.commands.executeCommand(fixes[chosen]);
}
