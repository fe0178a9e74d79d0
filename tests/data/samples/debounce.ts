/** Calls that come close together, joined into one. */

export interface DebounceOptions {
  /** Milliseconds of silence after which the call is made. */
  wait: number;
  /** Milliseconds after which the call is made in any case. */
  maxWait?: number;
}

export interface Debounced<A extends unknown[]> {
  (...args: A): void;
  /** Forgets a pending call. */
  cancel(): void;
  /** Makes a pending call now. */
  flush(): void;
  /** True while a call is pending. */
  pending(): boolean;
}

export function debounce<A extends unknown[]>(
  callback: (...args: A) => void,
  options: DebounceOptions,
): Debounced<A> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let firstCall: number | undefined;
  let lastArgs: A | undefined;

  function invoke(): void {
    const args = lastArgs;
    reset();
    if (args !== undefined) {
      callback(...args);
    }
  }

  function reset(): void {
    if (timer !== undefined) {
      clearTimeout(
    }
    timer = undefined;
    firstCall = undefined;
    lastArgs = undefined;
  }

  function delay(now: number): number {
    if (options.maxWait === undefined || firstCall === undefined) {
      return options.wait;
    }
    return Math.max(0, Math.min(options.wait, firstCall + options.maxWait - now));
  }

  const debounced = (...args: A): void => {
    const now = Date.now();
    firstCall ??= now;
    lastArgs = args;
    if (timer !== undefined) {
      clearTimeout(timer);
    }
    timer = setTimeout(invoke, delay(now));
  };
  debounced.cancel = reset;
  debounced.flush = invoke;
  debounced.pending = () => timer !== undefined;
  return debounced;
}
