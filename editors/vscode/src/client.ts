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
  type LanguageClientOptions,
  type Middleware,
  type ShowMessageParams,
} from 'vscode-languageclient/node';
import { Reports } from './reports';
import { ofProgress, type Fix, type Status } from './status';

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

/** One server at a time. One that dies is replaced here, not by the library, which gives up if it dies early. */
export class Client {
  private running: LanguageClient | undefined;
  /** When servers ended without being asked to; `undefined` until one has been up. */
  private ends: number[] | undefined;
  private asked = 0;
  readonly reports = new Reports((method, params) => void this.running?.sendNotification(method, params));

  constructor(
    private readonly log: vscode.LogOutputChannel,
    private readonly hooks: Hooks,
  ) {}

  async start(program: string, options: Record<string, unknown>): Promise<void> {
    this.ends = undefined;
    await this.launch(program, options, 'starting');
  }

  async stop(): Promise<void> {
    const client = this.running;
    this.running = undefined;
    try {
      await client?.dispose(2000);
    } catch (error) {
      // A server that has not come up cannot say goodbye.
      this.log.info(`stopped: ${reason(error)}`);
    }
  }

  private async launch(program: string, options: Record<string, unknown>, detail: string): Promise<void> {
    this.log.info(`${detail}: ${program} lsp`, options);
    const ended = (why: string) => {
      if (this.running !== client) return;
      this.running = undefined;
      this.ended(why, () => void this.launch(program, options, 'the server ended and is started again'));
    };
    const client: LanguageClient = new Quiet(
      'cinnabar',
      'Cinnabar',
      { command: program, args: ['lsp', '--verbose'] },
      this.options(options, () => ended('The server ended')),
    );
    client.onDidChangeState(({ newState }) => {
      if (newState !== State.Running || this.running !== client) return;
      this.ends ??= [];
      // If it loads a model first, its progress says so next.
      this.hooks.statusChanged({ kind: 'ready', device: '' });
    });
    client.onNotification('window/showMessage', (params: ShowMessageParams) => this.told(params));
    this.running = client;
    this.hooks.statusChanged({ kind: 'loading', detail });
    try {
      await client.start();
    } catch (error) {
      ended(`The server cannot be started: ${reason(error)}`);
    }
  }

  private options(initializationOptions: Record<string, unknown>, closed: () => void): LanguageClientOptions {
    return {
      documentSelector: ['file', 'untitled', 'vscode-notebook-cell', 'vscode-vfs'].map((scheme) => ({ scheme })),
      outputChannel: this.log,
      revealOutputChannelOn: RevealOutputChannelOn.Never,
      initializationOptions,
      initializationFailedHandler: () => false,
      errorHandler: {
        error: () => ({ action: ErrorAction.Continue, handled: true }),
        closed: () => {
          // Once the library has put the old connection away.
          setImmediate(closed);
          return { action: CloseAction.DoNotRestart, handled: true };
        },
      },
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
          const answer = await next(document, position, context, token);
          const items = Array.isArray(answer) ? answer : (answer?.items ?? []);
          if (!token.isCancellationRequested) this.reports.answered(document, position, items);
          return answer;
        } finally {
          this.hooks.askedChanged(--this.asked);
        }
      },
      workspace: {
        // The server has what is set since its start; VS Code would tell its defaults as if the user had set them.
        configuration: ({ items }) => items.map(() => null),
      },
      handleWorkDoneProgress: (token, step, next) => {
        const status = ofProgress(step);
        if (status) this.hooks.statusChanged(status);
        // The status bar shows it; the library only has to forget it.
        if (step.kind === 'end') next(token, step);
      },
    };
  }

  private told({ type, message }: ShowMessageParams): void {
    if (type === MessageType.Error) this.fail(message, SHOW_LOG);
    else if (type === MessageType.Warning) void vscode.window.showWarningMessage(message);
    else void vscode.window.showInformationMessage(message);
  }

  private ended(why: string, again: () => void): void {
    if (!this.ends) return this.fail(why, SHOW_LOG);
    const now = Date.now();
    this.ends = [...this.ends.filter((end) => now - end < WINDOW_MS), now];
    if (this.ends.length <= RESTARTS) return again();
    this.fail(`The server ended ${this.ends.length} times in ${WINDOW_MS / 60_000} minutes`, RESTART);
  }

  private fail(message: string, fix: Fix): void {
    this.hooks.statusChanged({ kind: 'error', message, fix });
    void vscode.window.showErrorMessage(message, fix.title, ...(fix === SHOW_LOG ? [RESTART.title] : [])).then((title) => {
      const chosen = [fix, RESTART].find((choice) => choice.title === title);
      if (chosen) void vscode.commands.executeCommand(chosen.command);
    });
  }
}

/** Tells its errors to the log alone: what the user has to know is told here. */
class Quiet extends LanguageClient {
  override error(message: string, data?: unknown): void {
    super.error(message, data, false);
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
