// Tells the server what became of its suggestions, so that `cinnabar stats` can count. Of a whole one VS Code itself
// tells, by running its command. For what is shown and what is taken in pieces VS Code has no interface that an
// extension may use: an answer that nobody took back counts as shown, and a piece is told apart from typing by the kind
// of the cursor's move.
import * as vscode from 'vscode';

type Send = (method: string, params: object) => void;

/** A suggestion, and how many of its characters (UTF-16) stand in the document. */
interface Shown {
  uri: string;
  item: vscode.InlineCompletionItem;
  text: string;
  range: vscode.Range;
  inText: number;
}

export class Reports {
  private shown: Shown | undefined;
  private readonly moves = vscode.window.onDidChangeTextEditorSelection((move) => this.moved(move));

  constructor(private readonly send: Send) {}

  /** The server has answered, and the answer is still wanted. */
  answered(document: vscode.TextDocument, position: vscode.Position, items: vscode.InlineCompletionItem[]): void {
    this.shown = undefined;
    const [item] = items;
    if (!item || typeof item.insertText !== 'string') return;
    const range = item.range ?? new vscode.Range(position, position);
    this.shown = { uri: document.uri.toString(), item, text: item.insertText, range, inText: 0 };
    this.send('textDocument/didShowCompletion', { item: protocol(this.shown) });
  }

  dispose(): void {
    this.moves.dispose();
  }

  private moved({ textEditor: { document }, selections, kind }: vscode.TextEditorSelectionChangeEvent): void {
    const { shown } = this;
    const [{ active, isEmpty }] = selections as [vscode.Selection];
    if (shown?.uri !== document.uri.toString() || !isEmpty || active.isBefore(shown.range.start)) return;
    const inText = document.getText(new vscode.Range(shown.range.start, active));
    if (!shown.text.startsWith(inText)) return;
    const more = inText.length > shown.inText && inText.length < shown.text.length;
    shown.inText = inText.length;
    if (kind !== undefined || !more) return;
    this.send('textDocument/didPartiallyAcceptCompletion', { item: protocol(shown), acceptedLength: inText.length });
  }
}

/** An item as the protocol has it. */
function protocol({ text, range, item }: Shown): object {
  const at = ({ line, character }: vscode.Position) => ({ line, character });
  return { insertText: text, range: { start: at(range.start), end: at(range.end) }, command: item.command };
}
