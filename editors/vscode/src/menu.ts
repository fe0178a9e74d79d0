// The menu behind the status bar: what can be done now.
import * as vscode from 'vscode';
import * as settings from './settings';
import { MINUTES } from './snooze';
import type { Situation } from './status';

interface Choice extends vscode.QuickPickItem {
  command: string;
}

/** What is offered, the most pressing first. */
export function choices({ status, snooze, language }: Situation): Choice[] {
  const choice = (icon: string, label: string, command: string, description?: string): Choice => ({
    label: `$(${icon}) ${label}`,
    command,
    ...(description !== undefined && { description }),
  });
  const list: Choice[] = [];
  if (status.kind === 'error') list.push(choice('wrench', status.fix.title, status.fix.command, status.message));
  if (status.kind === 'off') {
    list.push(choice('play', 'Turn On', 'cinnabar.toggle'));
  } else {
    const pause = snooze > 0 ? choice('bell', 'End Snooze', 'cinnabar.resume') : choice('bell-slash', 'Snooze', 'cinnabar.snooze');
    list.push(choice('ruby', 'Suggest Here', 'cinnabar.suggest'), pause);
    if (language) {
      const title = `Turn ${language.on ? 'Off' : 'On'} for ${language.id}`;
      list.push(choice(language.on ? 'circle-slash' : 'play', title, 'cinnabar.toggleLanguage'));
    }
    if (language) list.push(choice('eye', 'Watch a Suggestion Being Denoised', 'cinnabar.watch'));
    list.push(choice('circle-slash', 'Turn Off', 'cinnabar.toggle'), choice('refresh', 'Restart', 'cinnabar.restart'));
  }
  list.push(
    choice('output', 'Show Log', 'cinnabar.log'),
    choice('gear', 'Settings', 'cinnabar.settings'),
    choice('book', 'Get Started', 'cinnabar.walkthrough'),
  );
  // A way out of an error stands at the top only.
  return list.filter((one, at) => list.findIndex(({ command }) => command === one.command) === at);
}

export async function show(situation: Situation): Promise<void> {
  const choice = await vscode.window.showQuickPick(choices(situation), { placeHolder: 'Cinnabar' });
  if (choice) await vscode.commands.executeCommand(choice.command);
}

/** Minutes to pause for, unless the user changes their mind. */
export async function askForMinutes(): Promise<number | undefined> {
  const items = MINUTES.map((minutes) => ({ label: `${minutes} minutes`, minutes }));
  return (await vscode.window.showQuickPick(items, { placeHolder: 'No suggestions for' }))?.minutes;
}

/** Asks for the program's file and remembers it. */
export async function locate(): Promise<void> {
  const [file] = (await vscode.window.showOpenDialog({ title: 'Where is the program cinnabar?', openLabel: 'Use It' })) ?? [];
  if (!file) return;
  // The same place again: the program may have been put there meanwhile.
  if (file.fsPath === settings.path()) await vscode.commands.executeCommand('cinnabar.restart');
  else await settings.setPath(file.fsPath);
}
