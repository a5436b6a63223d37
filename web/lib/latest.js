// Outcomes of requests in one place: an aborted request is ignored, a Problem is shown, anything else is a
// bug and is thrown.

import { Problem } from "./api.js";

// Await `work()`. Returns its value, or what `onProblem(problem)` returns; undefined when the request was
// aborted.
export async function attempt(work, onProblem) {
  try {
    return await work();
  } catch (error) {
    if (error.name === "AbortError") return undefined;
    if (!(error instanceof Problem)) throw error;
    return onProblem(error);
  }
}

// A function of which only the latest call counts: each call aborts the previous one.
//
// Args: `work(signal, ...args)` hands `signal` to its requests, and calls `signal.throwIfAborted()` before it
// draws what it waited for in several steps; `onProblem(problem, retry)`; `outer`, a signal that ends all
// calls. The function has a method `abort()`.
export function latest(work, onProblem, outer = null) {
  let current = new AbortController();
  const run = (...args) => {
    current.abort();
    current = new AbortController();
    const { signal } = current;
    return attempt(
      async () => {
        try {
          return await work(outer ? AbortSignal.any([outer, signal]) : signal, ...args);
        } catch (error) {
          // The answer to a call that was overtaken does not matter, whatever it is.
          if (signal.aborted || outer?.aborted) throw new DOMException("overtaken", "AbortError");
          throw error;
        }
      },
      (problem) => onProblem(problem, () => run(...args)),
    );
  };
  run.abort = () => current.abort();
  return run;
}
