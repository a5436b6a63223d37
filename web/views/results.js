// The results of an order or a subscription so far: a slider of dates, the pixels of a date on a map, a
// second date to compare with, the series as a chart, and the files.

import { get, Problem } from "../lib/api.js";
import { errorBox, h, replaceContent, updateContent } from "../lib/dom.js";
import * as format from "../lib/format.js";
import { attempt, latest } from "../lib/latest.js";
import { acquisitionTable } from "./acquisition_table.js";
import { DateSlider } from "./date_slider.js";
import { PixelView } from "./pixel_view.js";
import { resultFiles } from "./result_files.js";
import { hasPixels, noObservationText, Selection } from "./result_selection.js";
import { seriesChart } from "./series.js";

// `target` is { path, recipe, aoi }, path such as "orders/ID". Returns { element, update(jobs) }.
export function resultsPanel(target, route) {
  const panel = new ResultsPanel(target, route);
  route.onLeave(() => panel.close());
  return panel;
}

class ResultsPanel {
  constructor({ path, recipe, aoi }, route) {
    this.path = path;
    this.route = route;
    this.selection = new Selection(recipe, route, () => this.render());
    this.slider = new DateSlider(this.selection);
    this.pixels = new PixelView(this.selection, aoi, () => this.render());
    this.chart = null;
    this.chartKey = "";
    this.renderedKey = "";
    this.head = h("div", { class: "row apart" });
    this.files = h("div", { class: "stack" });
    this.chartBox = h("div", { class: "stack" });
    this.list = h("div", {});
    const { stage, swipe, readout, controls } = this.pixels;
    const left = [this.head, stage, swipe, this.slider.element, readout, controls, this.files];
    this.element = h(
      "div",
      { class: "results" },
      h("div", { class: "stack" }, left),
      h("div", { class: "stack" }, this.chartBox, this.list),
    );
    const onProblem = (problem) => this.showError(problem);
    this.drawPixels = latest(
      readable((signal) => this.pixels.show(signal)),
      onProblem,
      route.signal,
    );
    this.drawChart = latest(
      readable((signal) => this.showChart(signal)),
      onProblem,
      route.signal,
    );
  }

  async update(jobs) {
    this.selection.jobs = jobs.filter((job) => job.finished || job.state === "done");
    await this.render();
  }

  async render() {
    const { value, job, compared, jobs } = this.selection;
    const states = jobs.map((each) => [each.job, each.state]);
    const key = JSON.stringify([value, job?.job, compared?.job, this.pixels.display, states]);
    if (key === this.renderedKey) return;
    this.renderedKey = key;
    updateContent(this.head, job ? this.pickers() : "");
    this.pixels.stage.hidden = this.slider.element.hidden = !job;
    if (!job) {
      this.pixels.swipe.hidden = true;
      this.pixels.say("No results yet. The first one will appear here.");
      return;
    }
    this.slider.show();
    const copyLink = () => this.copyLink();
    updateContent(
      this.files,
      resultFiles(this.path, this.selection, (work) => this.guard(work), copyLink),
    );
    updateContent(this.list, acquisitionTable(this.selection));
    await Promise.all([this.drawPixels(), this.drawChart()]);
  }

  pickers() {
    const { selection } = this;
    const { jobs, compared, values, value } = selection;
    const chooseValue = (event) => {
      this.pixels.forgetLimits();
      selection.change({ value: event.target.value });
    };
    const chooseCompared = (event) => selection.change({ with: event.target.value || null });
    const dates = jobs.filter(hasPixels).map((job) => [job.job, format.date(job.datetime)]);
    const picker = (label, key, onchange, options, chosen) =>
      h(
        "label",
        { class: "inline" },
        label,
        h(
          "select",
          { "data-key": key, onchange },
          options.map(([id, text]) => h("option", { value: id, selected: id === chosen }, text)),
        ),
      );
    return [
      picker(
        "Show",
        "value",
        chooseValue,
        values.map((name) => [name, name]),
        value,
      ),
      picker("Compare with", "with", chooseCompared, [["", "none"], ...dates], compared?.job ?? ""),
    ];
  }

  // The chart is made again only where its series has changed.
  async showChart(signal) {
    const { selection } = this;
    const { statistic, jobs } = selection;
    const key = JSON.stringify([statistic, jobs.map((each) => [each.job, each.state])]);
    if (key !== this.chartKey) {
      const path = `${this.path}/series?index=${encodeURIComponent(statistic)}`;
      const { observations } = await get(path, signal);
      const chart = await this.makeChart(observations);
      if (signal.aborted) chart?.close();
      signal.throwIfAborted();
      this.chart?.close();
      this.chart = chart;
      this.chartKey = key;
      const empty = h("p", { class: "empty" }, noObservationText(jobs, statistic));
      replaceContent(
        this.chartBox,
        chart ? [h("h2", {}, `${statistic} over time`), ...chart.elements] : empty,
      );
    }
    this.chart?.mark(selection.job.job);
  }

  async makeChart(observations) {
    const { statistic, jobs } = this.selection;
    const seen = new Set(observations.filter(({ mean }) => mean !== null).map(({ job }) => job));
    if (!seen.size) return null;
    const missed = jobs.filter(({ job }) => !seen.has(job)).map(({ datetime }) => Date.parse(datetime));
    const choose = (job) => this.selection.change({ job });
    return seriesChart(observations, missed, statistic, choose, this.chart);
  }

  async copyLink() {
    const { job, value } = this.selection;
    this.selection.change({ job: job.job, value });
    try {
      await navigator.clipboard.writeText(location.href);
      const text = "Link copied. Opening it requires access to this result.";
      this.route.announce(text);
      this.pixels.say(text);
    } catch {
      this.pixels.say(h("span", {}, "Copy this link: ", h("code", {}, location.href)));
    }
  }

  guard(work) {
    return attempt(readable(work), (problem) => this.showError(problem));
  }

  showError(problem) {
    this.renderedKey = "";
    this.pixels.say(errorBox(problem, () => this.render()));
  }

  close() {
    this.slider.close();
    this.pixels.close();
    this.chart?.close();
  }
}

// The raster and chart libraries throw errors of many kinds; each becomes a Problem, and is logged.
function readable(work) {
  return async (signal) => {
    try {
      return await work(signal);
    } catch (error) {
      if (error instanceof Problem || error.name === "AbortError" || signal?.aborted) throw error;
      console.error(error);
      throw new Problem("The result could not be read. Try again.");
    }
  };
}
