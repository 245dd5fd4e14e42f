// Work that is repeated while somebody looks.

/** Longest pause after failures, in milliseconds. */
const MAX_PAUSE = 15000;

/**
 * Runs `task(signal)` every `pause` milliseconds, less often while it fails, not while the page is hidden.
 * Returns `now()`, which runs it at once and must be called once to begin, and `stop()`.
 */
export function repeat(pause, task) {
  let timer = null;
  let failures = 0;
  let running = null;

  async function run() {
    clearTimeout(timer);
    running?.abort();
    const mine = running = new AbortController();
    let next = pause;
    try {
      await task(mine.signal);
      failures = 0;
    } catch (error) {
      if (mine.signal.aborted) return;
      failures += 1;
      next = Math.max(Math.min(pause * 2 ** failures, MAX_PAUSE), (error.retryAfter ?? 0) * 1000);
      // Whatever is no failure of the API is a mistake of the page, and must be seen.
      if (!error.kind) console.error(error);
    }
    if (mine.signal.aborted) return;
    running = null;
    timer = setTimeout(due, next);
  }

  function due() {
    if (!document.hidden) run();
  }

  function visible() {
    if (!document.hidden && !running) run();
  }

  function stop() {
    clearTimeout(timer);
    running?.abort();
    document.removeEventListener('visibilitychange', visible);
    removeEventListener('audit-retry', run);
  }

  document.addEventListener('visibilitychange', visible);
  addEventListener('audit-retry', run);
  return { now: run, stop };
}

/** Lets everything that repeats run at once. */
export function retryNow() {
  dispatchEvent(new Event('audit-retry'));
}
