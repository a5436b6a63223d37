// How many products each month has, as bars; the stronger their colour, the less cloud.

import { h, svg, table } from "../lib/dom.js";
import * as format from "../lib/format.js";

const HEIGHT = 64;
const WIDTH = 360;
const MAX_MONTHS = 120;
const MIN_BARS = 12;

export function monthHistogram(all) {
  if (all.length < 2) return null;
  const filled = fillMissingMonths(all).slice(-MAX_MONTHS);
  const most = Math.max(...filled.map((one) => one.count));
  const step = WIDTH / Math.max(filled.length, MIN_BARS);
  const bars = filled.map((one, place) =>
    svg(
      "g",
      {},
      svg("title", {}, `${one.month}: ${format.plural(one.count, "product")}${cloudText(one)}`),
      svg("rect", {
        x: (place * step + step * 0.1).toFixed(2),
        y: (HEIGHT - (one.count / most) * HEIGHT).toFixed(2),
        width: (step * 0.8).toFixed(2),
        height: ((one.count / most) * HEIGHT).toFixed(2),
        class: `bar-${cloudClass(one)}`,
      }),
    ),
  );
  return h(
    "figure",
    { class: "months" },
    h("figcaption", {}, "Products a month; the stronger the colour, the less cloud"),
    svg(
      "svg",
      {
        viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
        preserveAspectRatio: "none",
        role: "img",
        "aria-label": `Bars of ${format.plural(filled.length, "month")} from ${filled[0].month} to ${filled.at(-1).month}, at most ${format.plural(most, "product")} in one`,
      },
      bars,
    ),
    h(
      "p",
      { class: filled.length < MIN_BARS ? "ends near" : "ends", "aria-hidden": "true" },
      h("span", {}, filled[0].month),
      h("span", {}, filled.at(-1).month),
    ),
    h(
      "details",
      {},
      h("summary", {}, "The same as numbers"),
      h(
        "div",
        { class: "scroll", tabindex: "0", role: "region", "aria-label": "Products a month as numbers" },
        table(
          "Products a month",
          [["Month"], ["Products", "number"], ["Cloud, mean", "number"]],
          all.map((one) =>
            h(
              "tr",
              {},
              h("th", { scope: "row" }, one.month),
              h("td", { class: "number" }, format.count(one.count)),
              h(
                "td",
                { class: "number" },
                one.cloud_cover === null ? "–" : `${format.decimal(one.cloud_cover, 0)} %`,
              ),
            ),
          ),
        ),
      ),
    ),
  );
}

const cloudText = (one) =>
  one.cloud_cover === null || one.cloud_cover === undefined ? "" : `, ${Math.round(one.cloud_cover)} % cloud`;

const cloudClass = (one) =>
  one.cloud_cover === null || one.cloud_cover === undefined
    ? "unknown"
    : one.cloud_cover < 25
      ? "clear"
      : one.cloud_cover < 60
        ? "some"
        : "cloudy";

// Months in which nothing was sensed are there as well.
function fillMissingMonths(all) {
  const known = new Map(all.map((one) => [one.month, one]));
  const names = [...known.keys()].sort();
  const made = [];
  let [year, month] = names[0].split("-").map(Number);
  for (let name = names[0]; name <= names.at(-1) && made.length < 1200; ) {
    made.push(known.get(name) ?? { month: name, count: 0, cloud_cover: null });
    [year, month] = month === 12 ? [year + 1, 1] : [year, month + 1];
    name = `${year}-${String(month).padStart(2, "0")}`;
  }
  return made;
}
