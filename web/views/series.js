// The chart of a series: mean and standard deviation of an index over time, the clear share below, and ticks
// for acquisitions without a value. The same numbers are in a table; for the keyboard, the date slider
// replaces the chart.

import { h, numberCell, rowHeader, scrollRegion, table } from "../lib/dom.js";
import * as format from "../lib/format.js";
import { loadUPlot } from "../lib/lazy_vendor.js";

const HEIGHT = 260;
const MIN_WIDTH = 240;
const DAY_S = 86_400;
// A chart of one observation, or of few days, shows at least this period.
const MIN_PERIOD_S = 30 * DAY_S;
// A mean over less of the area is shown apart: it says little about the whole.
const MIN_CLEAR_OF_AREA = 0.1;
const NOTE =
  "Line: mean over the clear pixels; band: one standard deviation; bars: share of the area that was clear; " +
  "short ticks: no value.";

const clearOfArea = ({ coverage, clear_fraction: clear }) => (coverage ?? 1) * (clear ?? 0);
const isWeak = (each) => clearOfArea(each) < MIN_CLEAR_OF_AREA;

// Args: `missed` are the times (ms) of acquisitions without a value; `onChoose(job)` is called when an
// observation is clicked; `before` is the chart that this one replaces. Returns { elements, mark(job), close() }.
export async function seriesChart(observations, missed, index, onChoose, before) {
  const Plot = await loadUPlot();
  const observed = observations
    .filter(({ mean }) => mean !== null)
    .map((each) => ({ ...each, at: Date.parse(each.datetime) / 1000 }));
  return new SeriesChart(Plot, observed, missed, index, onChoose, before);
}

class SeriesChart {
  constructor(Plot, observed, missed, index, onChoose, before) {
    Object.assign(this, { Plot, observed, missed, index });
    this.current = null;
    this.plot = null;
    const weak = observed.filter(isWeak).length;
    this.showsWeak = before?.showsWeak ?? false;
    // Where all values are weak, they are shown.
    this.canHideWeak = weak > 0 && weak < observed.length;
    this.readout = h("p", { class: "readout" });
    const label =
      `${index} over time, ${format.plural(observed.length, "observation")}; ` +
      "the table below has the same numbers";
    this.box = h("div", { class: "plot", role: "img", "aria-label": label });
    this.box.addEventListener("click", () => {
      const clicked = this.shown[this.plot?.cursor.idx];
      if (clicked) onChoose(clicked.job);
    });
    this.draw = this.draw.bind(this);
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.dark.addEventListener("change", this.draw);
    this.resizes = new ResizeObserver(this.draw);
    this.resizes.observe(this.box);
    this.table = valueTable(observed, index);
    this.table.open = before?.table.open ?? false;
    this.elements = [
      this.readout,
      this.box,
      this.canHideWeak ? this.weakSwitch(weak) : null,
      h("p", { class: "note" }, NOTE),
      this.table,
    ].filter(Boolean);
  }

  get hideWeak() {
    return this.canHideWeak && !this.showsWeak;
  }

  // The observations that the chart draws.
  get shown() {
    return this.hideWeak ? this.observed.filter((each) => !isWeak(each)) : this.observed;
  }

  weakSwitch(count) {
    const onchange = (event) => {
      this.showsWeak = !event.target.checked;
      this.draw();
    };
    const limit = `${100 * MIN_CLEAR_OF_AREA} %`;
    return h(
      "label",
      { class: "check" },
      h("input", { type: "checkbox", "data-key": "hide-weak", checked: this.hideWeak, onchange }),
      h("span", {}, `Hide ${format.plural(count, "value")} from less than ${limit} of the area`),
    );
  }

  // The times (s) of acquisitions that the chart draws no value of.
  get ticks() {
    const hidden = this.hideWeak ? this.observed.filter(isWeak).map(({ at }) => at) : [];
    return [...this.missed.map((at) => at / 1000), ...hidden];
  }

  get times() {
    return [...this.ticks, ...this.shown.map(({ at }) => at)];
  }

  get marked() {
    return this.observed.find(({ job }) => job === this.current);
  }

  mark(job) {
    this.current = job;
    this.showObservation(this.marked);
    this.plot?.redraw(false);
  }

  close() {
    this.resizes.disconnect();
    this.dark.removeEventListener("change", this.draw);
    this.plot?.destroy();
  }

  draw() {
    this.plot?.destroy();
    const { shown } = this;
    const strong = (value) => shown.map((each) => (isWeak(each) ? null : value(each)));
    const data = [
      shown.map(({ at }) => at),
      strong(({ mean, std }) => mean + std),
      strong(({ mean, std }) => mean - std),
      strong(({ mean }) => mean),
      shown.map((each) => (isWeak(each) ? each.mean : null)),
      shown.map(clearOfArea),
    ];
    this.plot = new this.Plot(this.options(Math.max(this.box.clientWidth, MIN_WIDTH)), data, this.box);
  }

  showObservation(each) {
    if (!each) {
      this.readout.replaceChildren("No observation on this date.");
      return;
    }
    const value = `${this.index} ${format.decimal(each.mean)} ± ${format.decimal(each.std)}`;
    const from = `${format.coverText(each)}, ${format.plural(each.count, "pixel")}`;
    this.readout.replaceChildren(h("strong", {}, format.date(each.datetime)), ` ${value}; ${from}`);
  }

  options(width) {
    const { Plot } = this;
    const [soft, line, accent, wash, paper] = ["--soft", "--line", "--accent", "--wash", "--paper"].map(
      cssColour,
    );
    // Fonts scale with those of the page, which are larger on a large screen.
    const em = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
    const font = `${Math.round(12 * em)}px system-ui, sans-serif`;
    const axis = { stroke: soft, font, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
    const hidden = { stroke: "transparent", points: { show: false }, spanGaps: true };
    const points = { show: true, size: 7, fill: accent, stroke: accent };
    const bars = { stroke: soft, fill: line, width: 1, paths: Plot.paths.bars({ size: [0.6, 8] }) };
    const timeLabels = (_, splits, __, ___, step) => splits.map((at) => tickLabel(at, step));
    const digits = (splits) => (splits.length > 1 && splits[1] - splits[0] < 0.1 ? 2 : 1);
    const valueLabels = (_, splits) => splits.map((value) => format.decimal(value, digits(splits)));
    return {
      width,
      height: Math.round(HEIGHT * em),
      tzDate: (at) => Plot.tzDate(new Date(at * 1000), "Etc/UTC"),
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
      scales: {
        x: { time: true, range: () => timeRange(this.times) },
        share: { range: [0, 4] },
        y: { range: (_, low, high) => valueRange(low, high) },
      },
      series: [
        {},
        hidden,
        hidden,
        { stroke: accent, width: 2, points, spanGaps: true },
        { stroke: accent, paths: () => null, points: { ...points, fill: paper } },
        { scale: "share", points: { show: false }, ...bars },
      ],
      bands: [{ series: [1, 2], fill: wash }],
      axes: [
        { ...axis, size: 50 * em, space: 70 * em, values: timeLabels },
        { ...axis, size: 52 * em, values: valueLabels },
      ],
      hooks: {
        draw: [(plot) => this.drawMarks(plot)],
        setCursor: [
          ({ cursor: { idx, left } }) => this.showObservation((left >= 0 && this.shown[idx]) || this.marked),
        ],
      },
    };
  }

  // The ticks of acquisitions without a value, and a ring around the marked observation.
  drawMarks(plot) {
    const { ctx, bbox } = plot;
    const bottom = bbox.top + bbox.height;
    ctx.save();
    ctx.strokeStyle = cssColour("--soft");
    for (const at of this.ticks) {
      const x = plot.valToPos(at, "x", true);
      ctx.beginPath();
      ctx.moveTo(x, bottom);
      ctx.lineTo(x, bottom - 8 * devicePixelRatio);
      ctx.stroke();
    }
    const { marked } = this;
    if (marked && this.shown.includes(marked)) {
      const [x, y] = [plot.valToPos(marked.at, "x", true), plot.valToPos(marked.mean, "y", true)];
      ctx.strokeStyle = cssColour("--ink");
      ctx.lineWidth = 2 * devicePixelRatio;
      ctx.beginPath();
      ctx.arc(x, y, 6 * devicePixelRatio, 0, 2 * Math.PI);
      ctx.stroke();
    }
    ctx.restore();
  }
}

const cssColour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// The range of times (s) with a margin of 3 %, and at least `MIN_PERIOD_S`. uPlot's own limits are not used:
// for one observation they span three years.
export function timeRange(times) {
  const [first, last] = [Math.min(...times), Math.max(...times)];
  const margin = Math.max((last - first) * 0.03, (MIN_PERIOD_S - (last - first)) / 2);
  return [first - margin, last + margin];
}

// Leaves room for the bars below the line.
function valueRange(low, high) {
  if (low === null || high === null) return [0, 1];
  const span = Math.max(high - low, 0.02);
  return [low - 0.35 * span, high + 0.08 * span];
}

// Labels of days, months or years, by the distance of the ticks (s).
const DAY_FORMAT = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
const MONTH_FORMAT = new Intl.DateTimeFormat("en-GB", { month: "short", timeZone: "UTC" });
function tickLabel(at, step) {
  const date = new Date(at * 1000);
  if (step < 25 * DAY_S) return DAY_FORMAT.format(date);
  return date.getUTCMonth() ? MONTH_FORMAT.format(date) : String(date.getUTCFullYear());
}

function valueTable(observed, index) {
  const columns = ["Mean", "Std", "Min", "Median", "Max", "Pixels", "Seen", "Clear"].map((name) => [
    name,
    "number",
  ]);
  const row = (each) =>
    h(
      "tr",
      {},
      rowHeader(format.date(each.datetime)),
      [each.mean, each.std, each.min, each.median, each.max].map((value) =>
        numberCell(format.decimal(value)),
      ),
      numberCell(format.count(each.count)),
      numberCell(format.percent(each.coverage)),
      numberCell(format.percent(each.clear_fraction)),
    );
  const caption = `${index} over the clear pixels of the area`;
  return h(
    "details",
    {},
    h("summary", { "data-key": "numbers" }, "Show as table"),
    scrollRegion(`${index} as a table`, [table(caption, [["Sensed"], ...columns], observed.map(row))]),
  );
}
