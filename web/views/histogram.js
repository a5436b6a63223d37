// Products per month as bars whose shade shows the mean cloud cover, with the same numbers as a table.

import { h, numberCell, rowHeader, scrollRegion, svg, table } from "../lib/dom.js";
import * as format from "../lib/format.js";

const HEIGHT = 64;
const WIDTH = 360;
const MAX_MONTHS = 120;
const MIN_BARS = 12;

// `all` are { month: "2024-05", count, cloud_cover }, cloud cover in percent or null; null below two months.
export function monthHistogram(all) {
  if (all.length < 2) return null;
  const months = fillMissingMonths(all).slice(-MAX_MONTHS);
  const highest = Math.max(...months.map(({ count }) => count));
  const ends = [months[0].month, months.at(-1).month];
  const label =
    `Bars of ${format.plural(months.length, "month")} from ${ends[0]} to ${ends[1]}, ` +
    `at most ${format.plural(highest, "product")} per month`;
  return h(
    "figure",
    { class: "months" },
    h("figcaption", {}, "Products per month (darker = less cloud)"),
    svg(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
      bars(months, highest),
    ),
    h(
      "p",
      { class: months.length < MIN_BARS ? "ends near" : "ends", "aria-hidden": "true" },
      ends.map((month) => h("span", {}, month)),
    ),
    h(
      "details",
      {},
      h("summary", {}, "Show as table"),
      scrollRegion("Products per month as a table", [monthTable(all)]),
    ),
  );
}

function bars(months, highest) {
  const step = WIDTH / Math.max(months.length, MIN_BARS);
  return months.map((month, index) => {
    const height = (month.count / highest) * HEIGHT;
    return svg(
      "g",
      {},
      svg("title", {}, `${month.month}: ${format.plural(month.count, "product")}${cloudText(month)}`),
      svg("rect", {
        x: (index * step + step * 0.1).toFixed(2),
        y: (HEIGHT - height).toFixed(2),
        width: (step * 0.8).toFixed(2),
        height: height.toFixed(2),
        class: `bar-${cloudClass(month)}`,
      }),
    );
  });
}

const monthTable = (months) =>
  table(
    "Products per month",
    [["Month"], ["Products", "number"], ["Mean cloud cover", "number"]],
    months.map(({ month, count, cloud_cover: cloud }) =>
      h(
        "tr",
        {},
        rowHeader(month),
        numberCell(format.count(count)),
        numberCell(cloud === null ? "–" : `${format.decimal(cloud, 0)} %`),
      ),
    ),
  );

const isUnknown = ({ cloud_cover: cloud }) => cloud === null || cloud === undefined;

const cloudText = (month) => (isUnknown(month) ? "" : `, ${Math.round(month.cloud_cover)} % cloud`);

function cloudClass(month) {
  if (isUnknown(month)) return "unknown";
  if (month.cloud_cover < 25) return "clear";
  return month.cloud_cover < 60 ? "some" : "cloudy";
}

// Add the months without products.
function fillMissingMonths(all) {
  const known = new Map(all.map((each) => [each.month, each]));
  const names = [...known.keys()].sort();
  const months = [];
  let [year, month] = names[0].split("-").map(Number);
  for (let name = names[0]; name <= names.at(-1) && months.length < 1200; ) {
    months.push(known.get(name) ?? { month: name, count: 0, cloud_cover: null });
    [year, month] = month === 12 ? [year + 1, 1] : [year, month + 1];
    name = `${year}-${String(month).padStart(2, "0")}`;
  }
  return months;
}
