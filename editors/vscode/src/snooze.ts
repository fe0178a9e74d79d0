// A pause that ends by itself.

/** Minutes offered. */
export const MINUTES = [5, 15, 60];

export class Snooze {
  private end = 0;
  private timer: NodeJS.Timeout | undefined;

  /** `changed` is called when a pause begins, each minute of it, and when it ends. */
  constructor(private readonly changed: () => void) {}

  start(minutes: number): void {
    this.end = Date.now() + minutes * 60_000;
    this.tick();
  }

  stop(): void {
    this.end = 0;
    this.tick();
  }

  /** Whole minutes left, rounded up; 0 if there is no pause. */
  minutesLeft(): number {
    return Math.max(0, Math.ceil((this.end - Date.now()) / 60_000));
  }

  dispose(): void {
    clearTimeout(this.timer);
  }

  private tick(): void {
    clearTimeout(this.timer);
    const left = this.end - Date.now();
    if (left > 0) this.timer = setTimeout(() => this.tick(), left % 60_000 || 60_000);
    this.changed();
  }
}
