// Shows in a terminal how the model denoises what it suggests at the cursor.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as vscode from 'vscode';

/** Runs `cinnabar complete --watch` on the active editor's text, saved or not. */
export async function watch(program: string, model: unknown): Promise<void> {
  const editor = vscode.window.activeTextEditor;
  if (!editor) return;
  const { document, selection } = editor;
  const { line, character } = selection.active;
  // The program counts characters, VS Code UTF-16 units.
  const column = [...document.lineAt(line).text.slice(0, character)].length + 1;
  const folder = mkdtempSync(join(tmpdir(), 'cinnabar-watch-'));
  const file = join(folder, 'text');
  writeFileSync(file, document.getText());
  const path = vscode.workspace.asRelativePath(document.uri, false);
  const args = ['complete', file, '--cursor', `${line + 1}:${column}`, '--path', path, '--watch'];
  if (typeof model === 'string') args.push('--model', model);
  const run = new vscode.ProcessExecution(program, args);
  const task = new vscode.Task({ type: 'process' }, vscode.TaskScope.Global, 'watch a suggestion', 'cinnabar', run, []);
  task.presentationOptions = { panel: vscode.TaskPanelKind.Dedicated, clear: true, echo: false, focus: false };
  const execution = await vscode.tasks.executeTask(task);
  const ends = vscode.tasks.onDidEndTask((end) => {
    if (end.execution !== execution) return;
    ends.dispose();
    rmSync(folder, { recursive: true, force: true });
  });
}
