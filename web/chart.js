// An index through time: the mean of the clear pixels, one standard deviation either side, and a readout for mouse and keyboard.

import { h, s, table } from "./dom.js";
import * as words from "./words.js";

const HEIGHT = 260;
const EDGE = { left: 46, right: 14, top: 14, bottom: 30 };

// `missed` are the moments of acquisitions that gave nothing: small marks along the foot.
export function chart(observations, missed, index, chosen, choose) {
  const seen = observations.map((one) => ({ ...one, at: Date.parse(one.datetime) }));
  const readout = h("p", { class: "readout", "aria-live": "polite" });
  const box = h("div", { class: "plot", tabindex: "0", role: "group", "data-key": "chart",
    "aria-label": `${index} through time, ${words.many(seen.length, "observation")}; left and right arrow keys move from one to the next` });
  let current = Math.max(0, seen.findIndex((one) => one.job === chosen));
  if (!seen.some((one) => one.job === chosen)) current = seen.length - 1;

  const tell = () => {
    const one = seen[current];
    readout.replaceChildren(h("strong", {}, words.date(one.datetime)),
      ` ${index} ${words.value(one.mean)} ± ${words.value(one.std)}, ${words.percent(one.clear_fraction)} clear, ${words.many(one.count, "pixel")}`);
  };
  const draw = (width) => {
    box.replaceChildren(picture(seen, missed, Math.max(width, 240), current));
    tell();
  };
  const move = (to) => {
    const next = Math.min(seen.length - 1, Math.max(0, to));
    if (next === current) return;
    current = next;
    draw(box.clientWidth);
  };
  box.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: current - 1, ArrowRight: current + 1, Home: 0, End: seen.length - 1 };
    if (event.key in steps) {
      event.preventDefault();
      move(steps[event.key]);
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      choose(seen[current].job);
    }
  });
  box.addEventListener("pointermove", (event) => move(nearest(seen, missed, event.clientX - box.getBoundingClientRect().left, box.clientWidth)));
  box.addEventListener("click", () => choose(seen[current].job));
  new ResizeObserver(([entry]) => draw(entry.contentRect.width)).observe(box);
  draw(640);
  return [readout, box, fallback(seen, index)];
}

function picture(seen, missed, width, current) {
  const [first, last] = ends(seen, missed);
  const across = horizontal(first, last, width);
  const [low, high, step] = range(seen);
  const down = (value) => EDGE.top + ((high - value) / (high - low)) * (HEIGHT - EDGE.top - EDGE.bottom);
  const line = seen.map((one) => `${across(one.at)} ${down(one.mean)}`).join("L");
  const band = [...seen.map((one) => `${across(one.at)} ${down(one.mean + one.std)}`),
    ...[...seen].reverse().map((one) => `${across(one.at)} ${down(one.mean - one.std)}`)].join("L");
  const rows = [];
  for (let value = Math.ceil(low / step - 1e-9) * step; value <= high + 1e-9; value += step) rows.push(value);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return s("svg", { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, "aria-hidden": "true" },
    rows.map((value) => s("g", { class: "grid" },
      s("path", { d: `M${EDGE.left} ${down(value)}H${width - EDGE.right}` }),
      s("text", { x: EDGE.left - 8, y: down(value) + 4, "text-anchor": "end" }, words.value(value, digits)))),
    missed.map((at) => s("path", { d: `M${across(at)} ${HEIGHT - EDGE.bottom}v-7`, class: "missed" })),
    ticks(first, last, seen, width).map(([at, label]) => s("g", { class: "tick" },
      s("path", { d: `M${across(at)} ${HEIGHT - EDGE.bottom}v5` }),
      s("text", { x: across(at), y: HEIGHT - EDGE.bottom + 20, "text-anchor": "middle" }, label))),
    seen.length > 1 ? s("path", { d: `M${band}Z`, class: "deviation" }) : null,
    seen.length > 1 ? s("path", { d: `M${line}`, class: "line" }) : null,
    seen.map((one, place) => s("circle", { cx: across(one.at), cy: down(one.mean), r: place === current ? 6 : 3.5,
      class: place === current ? "dot current" : "dot" })));
}

function ends(seen, missed) {
  const all = [...seen.map((one) => one.at), ...missed];
  return [Math.min(...all), Math.max(...all)];
}

function horizontal(first, last, width) {
  const space = width - EDGE.left - EDGE.right - 16;
  return (at) => EDGE.left + 8 + (last > first ? ((at - first) / (last - first)) * space : space / 2);
}

function nearest(seen, missed, x, width) {
  const across = horizontal(...ends(seen, missed), Math.max(width, 240));
  let best = 0;
  seen.forEach((one, place) => {
    if (Math.abs(across(one.at) - x) < Math.abs(across(seen[best].at) - x)) best = place;
  });
  return best;
}

// Round ends around all that is drawn, and the step between lines.
function range(seen) {
  const low = Math.min(...seen.map((one) => one.mean - one.std));
  const high = Math.max(...seen.map((one) => one.mean + one.std));
  const reach = Math.max(high - low, 0.02);
  const power = 10 ** Math.floor(Math.log10(reach / 4));
  const step = [1, 2, 5, 10].map((times) => times * power).find((size) => reach / size <= 5);
  return [Math.floor(low / step) * step, Math.ceil(high / step) * step, step];
}

// Months, or days where the series is short, or years where it is long; as many as have room.
function ticks(begin, last, seen, width) {
  const first = new Date(begin);
  const days = (last - begin) / 86400000;
  const room = Math.max(2, Math.floor((width - EDGE.left - EDGE.right) / 76));
  const format = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...options });
  if (days < 62) {
    const label = format({ day: "numeric", month: "short" });
    const stride = Math.max(1, Math.ceil(seen.length / room));
    return seen.filter((_, place) => place % stride === 0).map((one) => [one.at, label.format(one.at)]);
  }
  const months = Math.ceil(days / 30.4);
  const stride = [1, 2, 3, 6, 12, 24, 60, 120].find((size) => months / size <= room) ?? 240;
  const year = format({ year: "numeric" });
  const label = format({ month: "short" });
  const marks = [];
  const start = stride >= 12 ? 0 : Math.ceil(first.getUTCMonth() / stride) * stride;
  for (let month = start; ; month += stride) {
    const at = Date.UTC(first.getUTCFullYear(), month, 1);
    if (at > last) return marks;
    if (at >= begin) marks.push([at, (new Date(at).getUTCMonth() ? label : year).format(at)]);
  }
}

function fallback(seen, index) {
  return h("details", {}, h("summary", { "data-key": "numbers" }, "The same as numbers"),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${index} as numbers` },
      table(`${index} over the clear pixels of the area`,
        [["Sensed"], ["Mean", "number"], ["Std", "number"], ["Min", "number"], ["Median", "number"], ["Max", "number"], ["Pixels", "number"], ["Clear", "number"]],
        seen.map((one) => h("tr", {}, h("th", { scope: "row" }, words.date(one.datetime)),
          [one.mean, one.std, one.min, one.median, one.max].map((value) => h("td", { class: "number" }, words.value(value))),
          h("td", { class: "number" }, words.count(one.count)), h("td", { class: "number" }, words.percent(one.clear_fraction)))))));
}
