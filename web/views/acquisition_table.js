// The acquisitions of an order or a subscription as a table that also chooses the date shown.

import { cell, h, numberCell, rowHeader, scrollRegion, table } from "../lib/dom.js";
import * as format from "../lib/format.js";

const noteText = (job) =>
  [
    job.state === "done" && job.reflectance === "top-of-atmosphere"
      ? "top-of-atmosphere reflectance (L1C)"
      : null,
    job.reason,
    ...job.notes,
  ]
    .filter(Boolean)
    .join("; ");

export function acquisitionTable(selection) {
  const { job: chosen, jobs, statistic } = selection;
  const row = (job) => {
    const choose = h(
      "button",
      {
        type: "button",
        class: "plain",
        "aria-pressed": String(job === chosen),
        onclick: () => selection.choose(job),
      },
      format.date(job.datetime),
    );
    return h(
      "tr",
      { class: job === chosen ? "looked" : null, "data-key": job.job },
      rowHeader(choose),
      numberCell(format.percent(job.coverage)),
      numberCell(format.percent(job.clear_fraction)),
      numberCell(format.decimal((job.indices[statistic] ?? job.bands[statistic])?.mean)),
      cell(h("span", { class: `state ${job.state}` }, job.state)),
      h("td", { class: "why" }, noteText(job)),
    );
  };
  const columns = [
    ["Sensed"],
    ["Seen", "number"],
    ["Clear", "number"],
    [statistic, "number"],
    ["State"],
    ["Note"],
  ];
  const rows = [...jobs].reverse().map(row);
  return scrollRegion("Acquisitions", [table("Acquisitions (newest first)", columns, rows)], "scroll tall");
}
