// The language server's life, and what of its messages concerns the status.
import { createInterface } from 'node:readline';
import * as vscode from 'vscode';
import {
  CloseAction,
  ErrorAction,
  LanguageClient,
  MessageType,
  RevealOutputChannelOn,
  State,
  type CloseHandlerResult,
  type LanguageClientOptions,
  type Middleware,
  type ShowMessageParams,
  type WorkDoneProgressBegin,
  type WorkDoneProgressEnd,
  type WorkDoneProgressReport,
} from 'vscode-languageclient/node';
import type { Fix, Status } from './status';

/** Ends of the server that are answered with a new one, within `WINDOW_MS`. */
const RESTARTS = 3;
const WINDOW_MS = 3 * 60_000;

const SHOW_LOG: Fix = { title: 'Show Log', command: 'cinnabar.log' };
const RESTART: Fix = { title: 'Restart', command: 'cinnabar.restart' };

export interface Hooks {
  /** Whether the server is asked. */
  wanted(document: vscode.TextDocument, context: vscode.InlineCompletionContext): boolean;
  statusChanged(status: Status): void;
  /** How many requests wait for an answer. */
  askedChanged(asked: number): void;
}

/** One server at a time. */
export class Client {
  private running: LanguageClient | undefined;
  /** When the server ended without being asked to; `undefined` until it has once been up. */
  private ends: number[] | undefined;
  private asked = 0;

  constructor(
    private readonly log: vscode.LogOutputChannel,
    private readonly hooks: Hooks,
  ) {}

  async start(program: string, options: Record<string, unknown>): Promise<void> {
    this.ends = undefined;
    this.log.info(`starting ${program} lsp`, options);
    const client = new LanguageClient('cinnabar', 'Cinnabar', { command: program, args: ['lsp', '--verbose'] }, this.options(options));
    client.onNotification('window/showMessage', (params: ShowMessageParams) => this.told(params));
    client.onDidChangeState(({ newState }) => {
      if (newState === State.Running && this.running === client) this.up();
    });
    this.running = client;
    this.hooks.statusChanged({ kind: 'loading', detail: 'starting' });
    try {
      await client.start();
    } catch (error) {
      if (this.running === client) this.fail(`The server cannot be started: ${reason(error)}`, SHOW_LOG);
    }
  }

  async stop(): Promise<void> {
    const client = this.running;
    this.running = undefined;
    if (!client) return;
    try {
      await client.dispose(2000);
    } catch (error) {
      // A server that died or never came up cannot say goodbye.
      this.log.info(`stopped: ${reason(error)}`);
    }
  }

  private options(initializationOptions: Record<string, unknown>): LanguageClientOptions {
    return {
      documentSelector: ['file', 'untitled', 'vscode-notebook-cell', 'vscode-vfs'].map((scheme) => ({ scheme })),
      outputChannel: this.log,
      revealOutputChannelOn: RevealOutputChannelOn.Never,
      initializationOptions,
      initializationFailedHandler: () => false,
      errorHandler: { error: () => ({ action: ErrorAction.Continue, handled: true }), closed: () => this.closed() },
      middleware: this.middleware(),
      stdioOptions: {
        stdout: () => undefined,
        // What a server says there is its log, not an error.
        stderr: (input, log) => createInterface({ input }).on('line', (line) => log.info(line)),
      },
    };
  }

  private middleware(): Middleware {
    return {
      provideInlineCompletionItems: async (document, position, context, token, next) => {
        if (!this.hooks.wanted(document, context)) return [];
        this.hooks.askedChanged(++this.asked);
        try {
          return await next(document, position, context, token);
        } finally {
          this.hooks.askedChanged(--this.asked);
        }
      },
      handleWorkDoneProgress: (_token, step, next) => {
        this.progress(step);
        // The status bar shows it; the library only has to forget it.
        if (step.kind === 'end') next(_token, step);
      },
    };
  }

  private progress(step: WorkDoneProgressBegin | WorkDoneProgressReport | WorkDoneProgressEnd): void {
    const message = step.message ?? '';
    if (step.kind !== 'end') {
      const percentage = step.percentage === undefined ? '' : ` ${step.percentage} %`;
      this.hooks.statusChanged({ kind: 'loading', detail: `loading the model${percentage} ${message}`.trim() });
    } else if (message !== 'failed') {
      this.hooks.statusChanged({ kind: 'ready', device: message });
    }
  }

  private told({ type, message }: ShowMessageParams): void {
    if (type === MessageType.Error) this.fail(message, SHOW_LOG);
    else if (type === MessageType.Warning) void vscode.window.showWarningMessage(message);
    else void vscode.window.showInformationMessage(message);
  }

  /** The server listens. If it loads a model first, its progress says so next. */
  private up(): void {
    this.ends ??= [];
    this.hooks.statusChanged({ kind: 'ready', device: '' });
  }

  private closed(): CloseHandlerResult {
    // start() tells of a server that never came up.
    if (!this.ends) return { action: CloseAction.DoNotRestart, handled: true };
    const now = Date.now();
    this.ends = [...this.ends.filter((end) => now - end < WINDOW_MS), now];
    if (this.ends.length <= RESTARTS) {
      this.hooks.statusChanged({ kind: 'loading', detail: 'the server ended and is started again' });
      return { action: CloseAction.Restart, handled: true };
    }
    this.fail(`The server ended ${this.ends.length} times in ${WINDOW_MS / 60_000} minutes`, RESTART);
    return { action: CloseAction.DoNotRestart, handled: true };
  }

  private fail(message: string, fix: Fix): void {
    this.hooks.statusChanged({ kind: 'error', message, fix });
    void vscode.window.showErrorMessage(message, fix.title, ...(fix === SHOW_LOG ? [RESTART.title] : [])).then((title) => {
      const chosen = [fix, RESTART].find((choice) => choice.title === title);
      if (chosen) void vscode.commands.executeCommand(chosen.command);
    });
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
