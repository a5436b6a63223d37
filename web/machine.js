// The machine's own state as elements: figures, sources, version.

import { h } from "./dom.js";
import * as words from "./words.js";

export function machine(status) {
  const { queue, jobs } = status;
  const waiting = queue.ready + queue.leased + queue.delayed;
  const figures = [
    ["In the queue", words.count(waiting), `${waiting ? `the oldest ${words.span(queue.oldest_s)} old` : "empty"}${queue.as_of ? `, as of ${words.time(queue.as_of)}` : ""}`],
    ["Results", words.count(jobs.done), `${words.count(jobs.skipped)} skipped, ${words.count(jobs.failed)} failed`],
    ["Deliveries", words.count(status.deliveries.delivered), `${words.count(status.deliveries.due)} due, ${words.count(status.deliveries.failed)} failed`],
    ["Put aside", words.count(status.dead_letters), status.dead_letters ? "revisit dead-letters list" : "no message was lost"],
  ];
  return [
    h("dl", { class: "figures-row" }, figures.map(([name, figure, note]) => h("div", {}, h("dt", {}, name), h("dd", {}, h("b", {}, figure), h("span", {}, note))))),
    queue.note ? h("p", { class: "note" }, words.sentence(queue.note)) : null,
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Sources" }, h("table", {}, h("caption", {}, "Sources"),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Source"), h("th", { scope: "col", class: "number" }, "Products"),
        h("th", { scope: "col" }, "Latest sensing"), h("th", { scope: "col" }, "Asked"), h("th", { scope: "col" }, "State"))),
      h("tbody", {}, status.sources.length ? status.sources.map((one) => h("tr", {},
        h("th", { scope: "row", class: "path" }, one.source), h("td", { class: "number" }, words.count(one.products)),
        h("td", {}, words.date(one.last_sensing)), h("td", {}, words.time(one.refreshed)),
        h("td", { class: one.error ? "wrong" : "" }, one.error ?? (one.refreshed ? "fine" : "not asked yet"))))
        : h("tr", {}, h("td", { colspan: 5 }, "No source yet: revisit serve --source folder:PATH"))))),
    h("p", { class: "note" }, `Revisit ${status.version}`),
  ].filter(Boolean);
}
