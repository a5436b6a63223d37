// How the machine behind it does: what is queued, done and delivered, and how its sources answer.

import { getIfChanged } from "../lib/api.js";
import { h } from "../lib/dom.js";
import * as format from "../lib/format.js";

export const title = "Status";
export const wide = true;

let container = null;
let lastStatus = null;

export async function enter(element, route) {
  container = h("div", { class: "stack wide-apart" });
  element.append(h("h1", {}, "Status"), container);
  if (lastStatus) render();
  await refresh(route);
}

export async function refresh({ signal }) {
  const status = await getIfChanged("status", signal);
  if (status) lastStatus = status;
  render();
}

function render() {
  const key = JSON.stringify(lastStatus);
  if (!lastStatus || container.dataset.drawn === key) return;
  container.dataset.drawn = key;
  container.replaceChildren(
    h(
      "p",
      { class: "pulse" },
      h("span", {
        class: failingSources(lastStatus).length ? "dot lost" : isBusy(lastStatus) ? "dot busy" : "dot",
        "aria-hidden": "true",
      }),
      summaryLine(lastStatus),
    ),
    ...renderStatus(lastStatus),
  );
}

const isBusy = (status) => status.queue.ready + status.queue.leased > 0;

const failingSources = (status) => status.sources.filter((source) => source.error);

function summaryLine(status) {
  const silent = failingSources(status).length,
    queued = status.queue.ready + status.queue.leased;
  const work = silent
    ? `${format.plural(silent, "source")} cannot be asked: see below`
    : queued
      ? `${format.plural(queued, "message")} under way`
      : "nothing to do just now";
  return `${format.plural(status.subscriptions.active, "area")} watched, ${format.plural(status.alerts, "alert")} so far, ${work}`;
}

// The figures of the queue and of what came out of it, the sources, the version.
function renderStatus(status) {
  const { queue, jobs } = status;
  const waiting = queue.ready + queue.leased + queue.delayed;
  const figures = [
    [
      "In the queue",
      format.count(waiting),
      `${waiting ? `the oldest ${format.duration(queue.oldest_s)} old` : "empty"}${queue.as_of ? `, as of ${format.time(queue.as_of)}` : ""}`,
    ],
    [
      "Results",
      format.count(jobs.done),
      `${format.count(jobs.skipped)} skipped, ${format.count(jobs.failed)} failed`,
    ],
    [
      "Deliveries",
      format.count(status.deliveries.delivered),
      `${format.count(status.deliveries.due)} due, ${format.count(status.deliveries.failed)} failed`,
    ],
    [
      "Put aside",
      format.count(status.dead_letters),
      status.dead_letters ? "revisit dead-letters list" : "no message was lost",
    ],
  ];
  return [
    h(
      "dl",
      { class: "figures-row" },
      figures.map(([name, figure, note]) =>
        h("div", {}, h("dt", {}, name), h("dd", {}, h("b", {}, figure), h("span", {}, note))),
      ),
    ),
    queue.note ? h("p", { class: "note" }, format.toSentence(queue.note)) : null,
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "Sources" },
      h(
        "table",
        {},
        h("caption", {}, "Sources"),
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            h("th", { scope: "col" }, "Source"),
            h("th", { scope: "col", class: "number" }, "Products"),
            h("th", { scope: "col" }, "Latest sensing"),
            h("th", { scope: "col" }, "Asked"),
            h("th", { scope: "col" }, "State"),
          ),
        ),
        h(
          "tbody",
          {},
          status.sources.length
            ? status.sources.map((one) =>
                h(
                  "tr",
                  {},
                  h("th", { scope: "row", class: "path" }, one.source),
                  h("td", { class: "number" }, format.count(one.products)),
                  h("td", {}, format.date(one.last_sensing)),
                  h("td", {}, format.time(one.refreshed)),
                  h(
                    "td",
                    { class: one.error ? "wrong" : "" },
                    one.error ?? (one.refreshed ? "fine" : "not asked yet"),
                  ),
                ),
              )
            : h("tr", {}, h("td", { colspan: 5 }, "No source yet: revisit serve --source folder:PATH")),
        ),
      ),
    ),
    h("p", { class: "note" }, `Revisit ${status.version}`),
  ].filter(Boolean);
}
