// The chart of a series: mean and standard deviation of an index through time, the clear fraction beneath, and what was passed over.
// The same numbers stand in a table, and the slider of dates is the chart for the keyboard.

import { h, table } from "../lib/dom.js";
import * as format from "../lib/format.js";
import { loadUPlot } from "../lib/lazy_vendor.js";

const HEIGHT = 260;
const cssColour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// `missed` are the moments (ms) of acquisitions that gave no value; `choose(job)` is called when one that did is clicked.
// Returns { elements, mark(job), end() }.
export async function seriesChart(observations, missed, index, onChoose) {
  const Plot = await loadUPlot();
  const seen = observations
    .filter((one) => one.mean !== null)
    .map((one) => ({ ...one, at: Date.parse(one.datetime) / 1000 }));
  const readout = h("p", { class: "readout" });
  const box = h("div", {
    class: "plot",
    role: "img",
    "aria-label": `${index} through time, ${format.plural(seen.length, "observation")}; the table below has the same numbers`,
  });
  let current = null;
  let plot = null;

  const tell = (one) =>
    readout.replaceChildren(
      ...(one
        ? [
            h("strong", {}, format.date(one.datetime)),
            ` ${index} ${format.decimal(one.mean)} ± ${format.decimal(one.std)}, ${format.percent(one.clear_fraction)} clear, ${format.plural(one.count, "pixel")}`,
          ]
        : ["No observation on this date."]),
    );
  const data = [
    seen.map((one) => one.at),
    seen.map((one) => one.mean + one.std),
    seen.map((one) => one.mean - one.std),
    seen.map((one) => one.mean),
    seen.map((one) => one.clear_fraction),
  ];
  const draw = () => {
    plot?.destroy();
    plot = new Plot(options(Math.max(box.clientWidth, 240)), data, box);
  };
  const options = (width) => {
    const [ink, soft, line, accent, wash] = ["--ink", "--soft", "--line", "--accent", "--wash"].map(
      cssColour,
    );
    // Letters grow with those of the page, which are larger on a large screen.
    const em = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
    const font = `${Math.round(12 * em)}px system-ui, sans-serif`;
    const axis = { stroke: soft, font, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
    return {
      width,
      height: Math.round(HEIGHT * em),
      tzDate: (at) => Plot.tzDate(new Date(at * 1000), "Etc/UTC"),
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
      scales: {
        x: { time: true, range: (_, low, high) => timeRange(low, high, missed) },
        share: { range: [0, 4] },
        y: { range: (_, low, high) => valueRange(low, high) },
      },
      series: [
        {},
        { stroke: "transparent", points: { show: false } },
        { stroke: "transparent", points: { show: false } },
        { stroke: accent, width: 2, points: { show: true, size: 7, fill: accent, stroke: accent } },
        {
          scale: "share",
          stroke: soft,
          fill: line,
          width: 1,
          points: { show: false },
          paths: Plot.paths.bars({ size: [0.6, 8] }),
        },
      ],
      bands: [{ series: [1, 2], fill: wash }],
      axes: [
        {
          ...axis,
          size: 50 * em,
          space: 70 * em,
          values: (_, splits, __, ___, step) => splits.map((at) => tickLabel(at, step)),
        },
        {
          ...axis,
          size: 52 * em,
          values: (_, splits) =>
            splits.map((value) =>
              format.decimal(value, splits.length > 1 && splits[1] - splits[0] < 0.1 ? 2 : 1),
            ),
        },
      ],
      hooks: {
        draw: [
          (shown) => {
            const { ctx, bbox } = shown;
            ctx.save();
            ctx.strokeStyle = soft;
            for (const at of missed) {
              const x = shown.valToPos(at / 1000, "x", true);
              ctx.beginPath();
              ctx.moveTo(x, bbox.top + bbox.height);
              ctx.lineTo(x, bbox.top + bbox.height - 8 * devicePixelRatio);
              ctx.stroke();
            }
            const one = seen.find(({ job }) => job === current);
            if (one) {
              ctx.strokeStyle = ink;
              ctx.lineWidth = 2 * devicePixelRatio;
              ctx.beginPath();
              ctx.arc(
                shown.valToPos(one.at, "x", true),
                shown.valToPos(one.mean, "y", true),
                6 * devicePixelRatio,
                0,
                7,
              );
              ctx.stroke();
            }
            ctx.restore();
          },
        ],
        setCursor: [
          ({ cursor }) =>
            tell(
              seen[cursor.idx] && cursor.left >= 0
                ? seen[cursor.idx]
                : seen.find(({ job }) => job === current),
            ),
        ],
      },
    };
  };
  box.addEventListener("click", () => {
    const one = seen[plot?.cursor.idx];
    if (one) onChoose(one.job);
  });
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", draw);
  const watching = new ResizeObserver(draw);
  watching.observe(box);
  return {
    elements: [
      readout,
      box,
      h(
        "p",
        { class: "note" },
        "The line is the mean over the clear pixels, the band one standard deviation. Bars beneath are the clear fraction; short strokes are acquisitions that gave no value.",
      ),
      valueTable(seen, index),
    ],
    mark(job) {
      current = job;
      tell(seen.find((one) => one.job === job));
      plot?.redraw(false);
    },
    end() {
      watching.disconnect();
      dark.removeEventListener("change", draw);
      plot?.destroy();
    },
  };
}

// A little room on either side; whatever was passed over is inside.
function timeRange(low, high, missed) {
  const all = [low, high, ...missed.map((at) => at / 1000)].filter((at) => at !== null && at !== undefined);
  if (!all.length) return [0, 1];
  const [first, last] = [Math.min(...all), Math.max(...all)];
  const more = Math.max((last - first) * 0.03, 43_200);
  return [first - more, last + more];
}

// Days, months or years, as far apart as there is room.
const DAY_FORMAT = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
const MONTH_FORMAT = new Intl.DateTimeFormat("en-GB", { month: "short", timeZone: "UTC" });
function tickLabel(at, step) {
  const date = new Date(at * 1000);
  if (step < 25 * 86_400) return DAY_FORMAT.format(date);
  return date.getUTCMonth() ? MONTH_FORMAT.format(date) : String(date.getUTCFullYear());
}

// Room for the bars beneath.
function valueRange(low, high) {
  if (low === null || high === null) return [0, 1];
  const reach = Math.max(high - low, 0.02);
  return [low - 0.35 * reach, high + 0.08 * reach];
}

function valueTable(seen, index) {
  return h(
    "details",
    {},
    h("summary", { "data-key": "numbers" }, "The same as numbers"),
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": `${index} as numbers` },
      table(
        `${index} over the clear pixels of the area`,
        [
          ["Sensed"],
          ["Mean", "number"],
          ["Std", "number"],
          ["Min", "number"],
          ["Median", "number"],
          ["Max", "number"],
          ["Pixels", "number"],
          ["Clear", "number"],
        ],
        seen.map((one) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, format.date(one.datetime)),
            [one.mean, one.std, one.min, one.median, one.max].map((value) =>
              h("td", { class: "number" }, format.decimal(value)),
            ),
            h("td", { class: "number" }, format.count(one.count)),
            h("td", { class: "number" }, format.percent(one.clear_fraction)),
          ),
        ),
      ),
    ),
  );
}
