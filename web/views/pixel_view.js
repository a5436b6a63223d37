// The pixels of a result on a map, a second date to swipe over them, the legend, and the value under the
// pointer.

import { get } from "../lib/api.js";
import { button, h, replaceContent, updateContent } from "../lib/dom.js";
import * as format from "../lib/format.js";
import { load, store } from "../lib/state.js";
import { Raster } from "../map/cog_reader.js";
import { legend } from "../map/colormap.js";
import { ResultMap } from "../map/result_map.js";
import { indexNames } from "./recipe_input.js";
import { hasPixels, hasValue, missingText, RED_GREEN_BLUE, TRUE_COLOUR } from "./result_selection.js";

const MAX_OPEN_RASTERS = 16;
// Reflectance that is white in true colour.
const TRUE_COLOUR_WHITE = 0.3;
const MAP_LABEL =
  "The result's pixels; arrow keys move, plus and minus zoom, Enter reads the value at the centre";

export class PixelView {
  // `onChange()` is called when colours or their limits were changed.
  constructor(selection, aoi, onChange) {
    this.selection = selection;
    this.aoi = aoi;
    this.onChange = onChange;
    this.map = null;
    // The value that the map shows.
    this.shownValue = null;
    this.rasters = new RasterCache(selection.recipe);
    this.display = { ramp: "Earth", ...load("looks") };
    this.field = h("div", {
      class: "result-map",
      tabindex: "0",
      role: "application",
      "aria-describedby": "result-help",
      "aria-label": MAP_LABEL,
    });
    this.stage = h("div", { class: "stage" }, this.field);
    const range = (attributes) => h("input", { type: "range", min: 0, max: 100, ...attributes });
    this.swipe = range({
      value: 50,
      "aria-label": "Where the second date begins",
      oninput: (event) => this.map?.swipe(event.target.value / 100),
    });
    this.opacity = range({ value: 100, oninput: (event) => this.map?.setOpacity(event.target.value / 100) });
    this.readout = h("p", { class: "readout", role: "status" });
    this.colours = h("span", { class: "colours" });
    this.tools = [
      this.colours,
      h("label", { class: "inline" }, "Opacity", this.opacity),
      button("Value at centre", () => this.map.reportCentre(), { class: "small" }),
    ];
    this.controls = h("div", { class: "row under" });
  }

  say(...content) {
    replaceContent(this.readout, ...content);
  }

  // The limits of the legend belong to one value.
  forgetLimits() {
    delete this.display.low;
    delete this.display.high;
  }

  // The map is emptied for another value, and where a result lacks the value or cannot be read: what it showed
  // before must not stand under another name.
  async show(signal) {
    try {
      await this.showSelection(signal);
    } catch (error) {
      if (error.name !== "AbortError" && !signal.aborted) this.clear();
      throw error;
    }
  }

  clear() {
    this.map?.show(null, null, null, this.aoi);
    this.field.classList.add("void");
    this.swipe.disabled = true;
    updateContent(this.controls);
    this.colours.replaceChildren();
    this.legendKey = "";
  }

  async showSelection(signal) {
    const { job, compared, value } = this.selection;
    const reason = missingText(job, this.selection);
    if (value !== this.shownValue) this.clear();
    // The slider keeps its place on dates without pixels, so that the buttons below it do not move.
    this.swipe.hidden = !compared;
    if (reason) {
      this.clear();
      this.say(`${format.date(job.datetime)}: ${reason}`);
      return;
    }
    const [first, second] = await Promise.all([
      this.rasters.open(job, value),
      compared && hasValue(compared, this.selection) ? this.rasters.open(compared, value) : null,
    ]);
    signal.throwIfAborted();
    this.field.classList.remove("void");
    this.swipe.disabled = !second;
    this.shownValue = value;
    this.map ??= new ResultMap(this.field, (text) => this.say(text));
    const display = this.currentDisplay(value);
    this.map.show(first, second, display, this.aoi);
    this.map.swipe(this.swipe.value / 100);
    const hint = matchMedia("(any-pointer: fine)").matches
      ? "Click a pixel for its value, or press Enter on the map for the one at the centre."
      : "Tap a pixel for its value.";
    this.say(compared && !second ? `${format.date(compared.datetime)} has no ${value}. ${hint}` : hint);
    this.showLegend(value, display);
    updateContent(this.controls, this.tools);
  }

  // The legend is made again only where it differs, so that a limit can be typed while results arrive.
  showLegend(value, display) {
    const key = JSON.stringify([value, display.ramp, display.low, display.high]);
    if (key === this.legendKey) return;
    this.legendKey = key;
    replaceContent(
      this.colours,
      value === TRUE_COLOUR ? null : legend(value, display, (changes) => this.changeDisplay(changes)),
    );
  }

  currentDisplay(value) {
    const opacity = this.opacity.value / 100;
    const display = { ...valueRange(this.selection.jobs, value), ...this.display, opacity };
    return value === TRUE_COLOUR
      ? { ...display, high: TRUE_COLOUR_WHITE, names: ["red", "green", "blue"] }
      : { ...display, names: [value] };
  }

  changeDisplay(changes) {
    this.display = { ...this.display, ...changes };
    store("looks", { ramp: this.display.ramp });
    this.onChange();
  }

  close() {
    this.map?.close();
  }
}

// The open rasters by job and value, the oldest dropped first: each keeps the blocks that were read from it.
class RasterCache {
  constructor(recipe) {
    this.recipe = recipe;
    this.rasters = new Map();
  }

  async open(job, value) {
    const key = `${job.job} ${value}`;
    if (this.rasters.has(key) && !this.rasters.get(key).isStale()) return this.rasters.get(key);
    const raster = await this.read(job, value);
    this.rasters.delete(key);
    this.rasters.set(key, raster);
    if (this.rasters.size > MAX_OPEN_RASTERS) this.rasters.delete(this.rasters.keys().next().value);
    return raster;
  }

  async read(job, value) {
    const item = await get(job.item);
    const isIndex = indexNames(this.recipe).includes(value);
    const name = isIndex ? value : "bands";
    const asset = item.assets[name];
    const names = value === TRUE_COLOUR ? RED_GREEN_BLUE : [value];
    const bands = isIndex ? [0] : names.map((band) => asset.bands.findIndex((each) => each.name === band));
    return Raster.open(job.assets[name].href, asset, bands);
  }
}

// Limits of the colours, the same for all dates: two standard deviations around the means, within the values
// that occur.
function valueRange(jobs, value) {
  const statistics = jobs
    .filter(hasPixels)
    .map((job) => job.indices[value] ?? job.bands[value])
    .filter((each) => each?.count);
  if (!statistics.length) return { low: 0, high: 1 };
  const least = (of) => Math.min(...statistics.map(of));
  const most = (of) => Math.max(...statistics.map(of));
  const low = Math.max(
    least(({ min }) => min),
    least(({ mean, std }) => mean - 2 * std),
  );
  const high = Math.min(
    most(({ max }) => max),
    most(({ mean, std }) => mean + 2 * std),
  );
  const steps = high - low > 0.2 ? 20 : 100;
  const first = Math.floor(low * steps);
  return { low: first / steps, high: Math.max(Math.ceil(high * steps), first + 1) / steps };
}
