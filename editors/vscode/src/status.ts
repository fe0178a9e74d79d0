// What the status bar says.
import * as vscode from 'vscode';

/** Where the server stands. */
export type Status =
  | { kind: 'off' }
  | { kind: 'loading'; detail: string }
  /** `device`: the model and where it runs; empty while that is not known. */
  | { kind: 'ready'; device: string }
  | { kind: 'error'; message: string; fix: Fix };

/** A way out of an error: a button and its command. */
export interface Fix {
  title: string;
  command: string;
}

/** All that decides how the item looks. */
export interface Situation {
  status: Status;
  /** Requests that the server has not answered yet. */
  asked: number;
  /** Minutes left of a pause. */
  snooze: number;
  /** The language of the active editor, and whether Cinnabar suggests in it. */
  language: { id: string; on: boolean } | undefined;
}

export interface Look {
  text: string;
  tooltip: string;
  severity: 'error' | undefined;
}

export function look({ status, asked, snooze, language }: Situation): Look {
  const plain = (icon: string, tooltip: string, more = ''): Look => ({
    text: `$(${icon}) Cinnabar${more}`,
    tooltip: `Cinnabar: ${tooltip}`,
    severity: undefined,
  });
  switch (status.kind) {
    case 'off':
      return plain('circle-slash', 'off');
    case 'loading':
      return plain('loading~spin', status.detail || 'loading the model');
    case 'error':
      return { ...plain('warning', status.message), severity: 'error' };
    case 'ready':
  }
  if (snooze > 0) return plain('bell-slash', `snoozed for ${snooze} more min`, ` ${snooze} min`);
  if (language && !language.on) return plain('circle-slash', `off for ${language.id}`);
  const ready = status.device === '' ? 'ready' : `ready, ${status.device}`;
  return plain(asked > 0 ? 'sync~spin' : 'ruby', ready);
}

/** A step of the server's progress, as the protocol has it. */
export interface Step {
  kind: 'begin' | 'report' | 'end';
  message?: string;
  percentage?: number;
}

/** What the loading of the model says; nothing where it failed, which a message explains. */
export function ofProgress({ kind, message = '', percentage }: Step): Status | undefined {
  if (kind === 'end') return message === 'failed' ? undefined : { kind: 'ready', device: message };
  const parts = ['loading the model', percentage === undefined ? '' : `${percentage} %`, message];
  return { kind: 'loading', detail: parts.filter(Boolean).join(' ') };
}

/** The item in the status bar; a click opens the menu. */
export class StatusBar {
  private readonly item: vscode.StatusBarItem;

  constructor() {
    this.item = vscode.window.createStatusBarItem('cinnabar', vscode.StatusBarAlignment.Right, 100);
    this.item.name = 'Cinnabar';
    this.item.command = 'cinnabar.menu';
    this.item.show();
  }

  show(situation: Situation): void {
    const { text, tooltip, severity } = look(situation);
    this.item.text = text;
    this.item.tooltip = tooltip;
    this.item.accessibilityInformation = { label: tooltip, role: 'button' };
    this.item.backgroundColor = severity && new vscode.ThemeColor('statusBarItem.errorBackground');
  }

  dispose(): void {
    this.item.dispose();
  }
}
