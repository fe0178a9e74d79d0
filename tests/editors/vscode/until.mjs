// Waiting. The limits are far more than a test takes: on a busy machine, what is waited for comes late.

/** Until `condition` gives something, which is returned; fails with what it last saw. */
export async function until(what, condition, ms = 60_000) {
  const end = Date.now() + ms;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited ${ms} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
