// The acquisitions of an order or a subscription as a table that also chooses the date shown.

import {
  cell,
  h,
  numberCell,
  replaceContent,
  replaceRows,
  rowHeader,
  scrollRegion,
  table,
} from "../lib/dom.js";
import * as format from "../lib/format.js";

// Show the table in `list`, or renew the rows of the one that it holds.
export function showAcquisitions(list, selection) {
  const [shown, next] = [list.querySelector("table"), acquisitionTable(selection)];
  const renewed = next.querySelector("table");
  if (shown?.tHead.isEqualNode(renewed.tHead)) replaceRows(shown.tBodies[0], [...renewed.tBodies[0].rows]);
  else replaceContent(list, next);
}

function acquisitionTable(selection) {
  const { job: chosen, jobs, statistic } = selection;
  const row = (job) => {
    const choose = h(
      "button",
      {
        type: "button",
        class: "plain",
        "data-key": job.job,
        "aria-pressed": String(job === chosen),
        onclick: () => selection.choose(job),
      },
      format.date(job.datetime),
    );
    return h(
      "tr",
      { class: job === chosen ? "looked" : null, "data-row": job.job },
      rowHeader(choose),
      numberCell(format.percent(job.coverage)),
      numberCell(format.percent(job.clear_fraction)),
      numberCell(format.decimal((job.indices[statistic] ?? job.bands[statistic])?.mean)),
      cell(h("span", { class: `state ${job.state}` }, job.state)),
      h("td", { class: "why" }, [job.reason, ...job.notes].filter(Boolean).join("; ")),
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
