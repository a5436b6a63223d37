// The progress of an order: by its server-sent events, and by polling where or while there is no stream.

import { get, getIfChanged, Problem } from "./api.js";
import { serverEvents } from "./server_events.js";

const RECONNECT_MS = 5000;

export const isOpen = (order) => order.state === "running" || order.state === "selecting";

// Call `show(order)` with each change until the order ends or the view is left. Returns a function that takes
// over an order that another request returned.
export function followOrder(path, first, route, show) {
  let order = first;
  let streaming = false;
  const update = async (next) => {
    order = next;
    await show(order);
  };

  async function readStream(signal) {
    for await (const { event, data } of serverEvents(`${path}/events`, signal)) {
      if (!streaming) {
        // What changed before the stream began is not part of it.
        streaming = true;
        await update(await get(path, signal));
      } else if (event === "job") order = { ...order, jobs: mergeJob(order.jobs, data) };
      else if (event === "progress") await update({ ...order, ...data });
      else if (event === "end") await update(await get(path, signal));
    }
  }

  async function keepStreaming() {
    while (isOpen(order) && !route.signal.aborted) {
      await untilVisible(route.signal);
      const hidden = abortWhenHidden();
      const signal = AbortSignal.any([route.signal, hidden.signal]);
      const error = await readStream(signal).then(
        () => null,
        (reason) => reason,
      );
      streaming = false;
      // A deployment without streams answers 404: the order is polled.
      if (error?.status === 404) return;
      // A Problem, such as a lost connection or 503 while all streams are taken, is retried.
      if (error && !signal.aborted && !(error instanceof Problem)) throw error;
      hidden.abort();
      await new Promise((resume) => setTimeout(resume, RECONNECT_MS));
    }
  }

  route.onRefresh(async () => {
    if (streaming || !isOpen(order)) return;
    const next = await getIfChanged(path, route.signal);
    if (next) await update(next);
  });
  if (isOpen(order)) keepStreaming();
  return update;
}

function mergeJob(jobs, job) {
  const others = jobs.filter((each) => each.job !== job.job);
  return [...others, job].sort((first, second) => first.datetime.localeCompare(second.datetime));
}

// A stream holds a thread of the server, so it is closed while the page is hidden.
function abortWhenHidden() {
  const controller = new AbortController();
  const { signal } = controller;
  document.addEventListener("visibilitychange", () => document.hidden && controller.abort(), { signal });
  return controller;
}

function untilVisible(signal) {
  if (!document.hidden || signal.aborted) return Promise.resolve();
  return new Promise((resume) => {
    document.addEventListener("visibilitychange", resume, { once: true, signal });
    signal.addEventListener("abort", resume, { once: true });
  });
}
