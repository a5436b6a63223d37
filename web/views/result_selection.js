// What a results panel shows: the value, the date, and a date to compare with. The choice is part of the
// address, so that it can be shared and survives a reload.

import * as format from "../lib/format.js";
import { indexNames, recipeNames } from "./recipe_input.js";

export const TRUE_COLOUR = "True colour";
export const RED_GREEN_BLUE = ["B04", "B03", "B02"];
const MIN_CLEAR_SHARE = 0.02;

export const hasPixels = (job) => job.state === "done" && job.clear_pixels > 0;

// Such as "36 % of your area was seen, 98 % of that clear", or why there is nothing to show.
export function outcomeText(job) {
  if (hasPixels(job)) return format.coverText(job);
  if (job.state !== "done") return `${job.state}: ${job.reason ?? "no reason recorded"}`;
  return job.clear_fraction === null || job.clear_fraction < MIN_CLEAR_SHARE ? "no clear pixel" : "no data";
}

// Whether a result has pixels of the selected value; an index or band whose source bands are missing has none.
export function hasValue(job, { recipe, value }) {
  if (!hasPixels(job)) return false;
  if (indexNames(recipe).includes(value)) return Boolean(job.assets[value]);
  const names = value === TRUE_COLOUR ? RED_GREEN_BLUE : [value];
  return Boolean(job.assets.bands) && names.every((name) => job.bands[name]);
}

// Why the selected value of a result cannot be shown, as sentences; "" where it can.
export function missingText(job, selection) {
  if (!hasPixels(job)) return `${outcomeText(job)}.`;
  if (hasValue(job, selection)) return "";
  const notes = job.notes.map(format.toSentence);
  return [`This result has no ${selection.value}.`, ...notes].join(" ");
}

// Why no result has an observation of an index or a band: none could be computed, or none is clear.
export function noObservationText(jobs, name) {
  const notes = jobs.filter(hasPixels).flatMap((job) => job.notes);
  const bands = notes
    .filter((note) => note.startsWith(`${name} is not computed`))
    .flatMap((note) => note.match(/\bB\w\w\b/g) ?? []);
  const reasons = notes.filter((note) => [name, ...bands].some((each) => note.startsWith(`${each} `)));
  if (!reasons.length) return `No clear observation of ${name} yet.`;
  return [`No result has ${name}.`, ...new Set(reasons.map(format.toSentence))].join(" ");
}

export class Selection {
  // `onChange()` is called after the address has changed.
  constructor(recipe, route, onChange) {
    this.recipe = recipe;
    this.route = route;
    this.onChange = onChange;
    // The finished jobs by sensing time.
    this.jobs = [];
  }

  get values() {
    const names = recipeNames(this.recipe);
    return RED_GREEN_BLUE.every((band) => this.recipe.bands.includes(band)) ? [...names, TRUE_COLOUR] : names;
  }

  get value() {
    const value = this.route.params.get("value");
    return this.values.includes(value) ? value : this.values[0];
  }

  // The index or band whose statistics go with the value: the first one for true colour.
  get statistic() {
    return this.value === TRUE_COLOUR ? this.values[0] : this.value;
  }

  get job() {
    const id = this.route.params.get("job");
    return this.jobs.find(({ job }) => job === id) ?? this.jobs.findLast(hasPixels) ?? this.jobs.at(-1);
  }

  get compared() {
    const id = this.route.params.get("with");
    return this.jobs.find((each) => each.job === id && hasPixels(each)) ?? null;
  }

  // Change params of the address; null removes one.
  change(changes) {
    const params = { ...Object.fromEntries(this.route.params), ...changes };
    this.route.replaceParams(Object.fromEntries(Object.entries(params).filter(([, text]) => text !== null)));
    this.onChange();
  }

  choose(job) {
    this.change({ job: job.job });
  }

  step(by) {
    const next = this.jobs[this.jobs.indexOf(this.job) + by];
    if (next) this.choose(next);
  }
}
