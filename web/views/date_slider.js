// A slider over the dates of the results, with a tick for each: high where there are pixels, low where there
// are none.

import { button, h, replaceContent } from "../lib/dom.js";
import * as format from "../lib/format.js";
import { hasPixels, outcomeText } from "./result_selection.js";

const TICKS_HEIGHT = 10;
// The thumb's centre stays this far from the ends of the slider.
const THUMB_RADIUS = 9;

export class DateSlider {
  constructor(selection) {
    this.selection = selection;
    this.slider = h("input", {
      type: "range",
      min: 0,
      step: 1,
      "aria-label": "Date",
      "data-key": "date",
      oninput: (event) => selection.choose(selection.jobs[event.target.value]),
    });
    this.ticks = h("canvas", { class: "ticks", height: TICKS_HEIGHT, "aria-hidden": "true" });
    this.label = h("output", { class: "when", "aria-live": "polite" });
    const step = (sign, by, name) =>
      button(sign, () => selection.step(by), { "aria-label": name, "data-key": name });
    this.element = h(
      "div",
      { class: "dates" },
      step("‹", -1, "Earlier"),
      h("div", {}, this.slider, this.ticks),
      step("›", 1, "Later"),
      this.label,
    );
    this.resizes = new ResizeObserver(() => this.drawTicks());
    this.resizes.observe(this.ticks);
  }

  show() {
    const { jobs, job } = this.selection;
    this.slider.max = Math.max(jobs.length - 1, 0);
    this.slider.value = jobs.indexOf(job);
    const [date, outcome] = [format.date(job.datetime), outcomeText(job)];
    this.slider.setAttribute("aria-valuetext", `${date}, ${outcome}`);
    replaceContent(this.label, h("strong", {}, date), ` ${outcome}`);
    this.drawTicks();
  }

  drawTicks() {
    const { ticks } = this;
    const { jobs } = this.selection;
    const width = ticks.clientWidth;
    if (!width) return;
    const scale = devicePixelRatio;
    ticks.width = width * scale;
    ticks.height = TICKS_HEIGHT * scale;
    const context = ticks.getContext("2d");
    const style = getComputedStyle(document.documentElement);
    const colour = (job) => (hasPixels(job) ? "--accent" : job.state === "failed" ? "--warn" : "--edge");
    jobs.forEach((job, index) => {
      const share = jobs.length > 1 ? index / (jobs.length - 1) : 0.5;
      const x = THUMB_RADIUS + share * (width - 2 * THUMB_RADIUS);
      const height = hasPixels(job) ? TICKS_HEIGHT : TICKS_HEIGHT / 2;
      context.fillStyle = style.getPropertyValue(colour(job));
      context.fillRect((x - 1) * scale, 0, 2 * scale, height * scale);
    });
  }

  close() {
    this.resizes.disconnect();
  }
}
