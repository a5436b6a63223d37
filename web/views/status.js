// The view of the service's state: queue, results, deliveries and sources.

import { getIfChanged } from "../lib/api.js";
import { cell, h, numberCell, scrollRegion, table, updateContent } from "../lib/dom.js";
import * as format from "../lib/format.js";

export const title = "Status";
export const wide = true;

// Shown while the first request of a visit is open, or while it fails.
let lastStatus = null;

export async function enter(place, route) {
  const container = h("div", { class: "stack wide-apart" });
  place.append(h("h1", {}, "Status"), container);
  let shown = null;
  const show = () => {
    const key = JSON.stringify(lastStatus);
    if (!lastStatus || shown === key) return;
    shown = key;
    updateContent(container, renderStatus(lastStatus));
  };
  const refresh = async () => {
    lastStatus = (await getIfChanged("status", route.signal)) ?? lastStatus;
    show();
  };
  route.onRefresh(refresh);
  show();
  await refresh();
}

function renderStatus(status) {
  return [
    summaryLine(status),
    h("dl", { class: "figures-row" }, figures(status).map(figure)),
    status.queue.note ? h("p", { class: "note" }, format.toSentence(status.queue.note)) : null,
    scrollRegion("Sources", [sourceTable(status.sources)]),
    h("p", { class: "note" }, `Revisit ${status.version}`),
  ].filter(Boolean);
}

function summaryLine({ sources, queue, subscriptions, alerts }) {
  const failing = sources.filter(({ error }) => error).length;
  const queued = queue.ready + queue.leased;
  const dot = failing ? "dot lost" : queued ? "dot busy" : "dot";
  const work = failing
    ? `${format.plural(failing, "source")} with errors (see below)`
    : queued
      ? `${format.plural(queued, "message")} in progress`
      : "idle";
  const watched = `${format.plural(subscriptions.active, "area")} watched`;
  const text = `${watched}, ${format.plural(alerts, "alert")} so far, ${work}`;
  return h("p", { class: "pulse" }, h("span", { class: dot, "aria-hidden": "true" }), text);
}

// Name, figure, note.
function figures({ queue, jobs, deliveries, dead_letters: deadLetters }) {
  const waiting = queue.ready + queue.leased + queue.delayed;
  const oldest = waiting ? `the oldest ${format.duration(queue.oldest_s)} old` : "empty";
  return [
    [
      "In the queue",
      format.count(waiting),
      `${oldest}${queue.as_of ? `, as of ${format.time(queue.as_of)}` : ""}`,
    ],
    [
      "Results",
      format.count(jobs.done),
      `${format.count(jobs.skipped)} skipped, ${format.count(jobs.failed)} failed`,
    ],
    [
      "Deliveries",
      format.count(deliveries.delivered),
      `${format.count(deliveries.due)} due, ${format.count(deliveries.failed)} failed`,
    ],
    ["Failed messages", format.count(deadLetters), deadLetters ? "see revisit dead-letters list" : "none"],
  ];
}

const figure = ([name, value, note]) =>
  h("div", {}, h("dt", {}, name), h("dd", {}, h("b", {}, value), h("span", {}, note)));

function sourceTable(sources) {
  const columns = [["Source"], ["Products", "number"], ["Latest sensing"], ["Last checked"], ["State"]];
  const empty = h(
    "tr",
    {},
    h("td", { colspan: 5 }, "No sources yet. Add one: revisit serve --source folder:PATH"),
  );
  return table("Sources", columns, sources.length ? sources.map(sourceRow) : [empty]);
}

const sourceRow = ({ source, products, last_sensing: sensed, refreshed, error }) =>
  h(
    "tr",
    { "data-key": source },
    h("th", { scope: "row", class: "path" }, source),
    numberCell(format.count(products)),
    cell(format.date(sensed)),
    cell(format.time(refreshed)),
    h("td", { class: error ? "wrong" : "" }, error ?? (refreshed ? "OK" : "not checked yet")),
  );
