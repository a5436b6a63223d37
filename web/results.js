// What an order or a subscription has brought so far: dates on a slider, the pixels of each on a map, two dates side by side, the series as
// a chart, and the files. Which date and value are looked at stands in the address, so that it can be shared and outlives a reload.
//
//   const shown = results({ path, recipe, aoi, name }, route);      path such as "orders/ID"
//   place.append(shown.element); await shown.update(jobs); shown.end();

import { Problem, address, fileAt, get, save } from "./api.js";
import { h, show, table, trouble } from "./dom.js";
import { legend } from "./ramp.js";
import { Raster } from "./raster.js";
import { names } from "./recipes.js";
import { resultMap } from "./resultmap.js";
import { series } from "./series.js";
import { keep, kept } from "./state.js";
import * as words from "./words.js";

const TRUE_COLOUR = "True colour";
const RED_GREEN_BLUE = ["B04", "B03", "B02"];
const OVERCAST = 0.02;
const MOST_OPEN = 16;

export function results(asker, route) {
  const all = names(asker.recipe);
  const choices = RED_GREEN_BLUE.every((band) => asker.recipe.bands.includes(band)) ? [...all, TRUE_COLOUR] : all;
  const rasters = new Map();
  let jobs = [];
  let map = null;
  let graph = null;
  let graphed = "";
  let drawn = "";
  let looks = { ramp: "Earth", ...kept("looks") };
  // Counts what was drawn: an answer to an earlier question is not drawn over a later one's.
  let turn = 0;

  const value = () => (choices.includes(route.params.get("value")) ? route.params.get("value") : choices[0]);
  const usable = (one) => one.state === "done" && one.clear_pixels > 0;
  const chosen = () => jobs.find((one) => one.job === route.params.get("job")) ?? jobs.findLast(usable) ?? jobs.at(-1);
  const other = () => jobs.find((one) => one.job === route.params.get("with") && usable(one)) ?? null;
  const change = (changes) => {
    const params = Object.fromEntries(route.params);
    for (const [key, text] of Object.entries(changes)) {
      if (text === null) delete params[key];
      else params[key] = text;
    }
    route.keep(params);
    draw().catch(told);
  };

  const head = h("div", { class: "row apart" });
  const field = h("div", { class: "result-map", tabindex: "0", role: "application", "aria-describedby": "result-help",
    "aria-label": "The result's pixels; arrow keys move, plus and minus zoom, Enter reads the value in the middle" });
  const stage = h("div", { class: "stage" }, field);
  const said = h("p", { class: "readout", role: "status" });
  const swipe = h("input", { type: "range", min: 0, max: 100, value: 50, "aria-label": "Where the second date begins", oninput: (event) => map?.swipe(event.target.value / 100) });
  const opacity = h("input", { type: "range", min: 0, max: 100, value: 100, oninput: (event) => map?.opacity(event.target.value / 100) });
  const slider = h("input", { type: "range", min: 0, step: 1, "aria-label": "Date", "data-key": "date", oninput: (event) => change({ job: jobs[event.target.value].job }) });
  const ticks = h("canvas", { class: "ticks", height: 10, "aria-hidden": "true" });
  const when = h("output", { class: "when", "aria-live": "polite" });
  const dates = h("div", { class: "dates" }, step(-1, "Earlier"), h("div", {}, slider, ticks), step(1, "Later"), when);
  const under = h("div", { class: "row under" });
  const chart = h("div", { class: "stack" });
  const files = h("div", { class: "stack" });
  const list = h("div", {});
  const left = h("div", { class: "stack" }, head, stage, swipe, dates, said, under, files);
  const element = h("div", { class: "results" }, left, h("div", { class: "stack" }, chart, list));
  const wide = new ResizeObserver(() => mark());
  wide.observe(ticks);

  function step(by, label) {
    return h("button", { type: "button", "aria-label": label, "data-key": label, onclick: () => {
      const next = jobs[jobs.indexOf(chosen()) + by];
      if (next) change({ job: next.job });
    } }, by < 0 ? "‹" : "›");
  }

  // One stroke a date under the slider: high where there is a result, low and pale where it was passed over.
  function mark() {
    const width = ticks.clientWidth;
    if (!width) return;
    const scale = devicePixelRatio;
    ticks.width = width * scale;
    ticks.height = 10 * scale;
    const context = ticks.getContext("2d");
    const style = getComputedStyle(document.documentElement);
    jobs.forEach((one, place) => {
      const x = jobs.length > 1 ? 9 + (place / (jobs.length - 1)) * (width - 18) : width / 2;
      context.fillStyle = style.getPropertyValue(usable(one) ? "--accent" : one.state === "failed" ? "--warn" : "--edge");
      context.fillRect((x - 1) * scale, 0, 2 * scale, (usable(one) ? 10 : 5) * scale);
    });
  }

  async function update(next) {
    jobs = next.filter((one) => one.finished || one.state === "done");
    await draw();
  }

  async function draw() {
    const one = chosen();
    const state = JSON.stringify([value(), one?.job, other()?.job, looks, jobs.map((each) => [each.job, each.state])]);
    if (state === drawn) return;
    drawn = state;
    turn += 1;
    const mine = turn;
    const stale = () => mine !== turn;
    const unlessStale = (error) => stale() || told(error);
    show(head, one ? picker() : "");
    stage.hidden = dates.hidden = !one;
    if (!one) {
      swipe.hidden = true;
      show(said, "Nothing has been worked yet; the first result shows here by itself.");
      return;
    }
    slider.max = Math.max(jobs.length - 1, 0);
    slider.value = jobs.indexOf(one);
    slider.setAttribute("aria-valuetext", `${words.date(one.datetime)}, ${fate(one)}`);
    show(when, h("strong", {}, words.date(one.datetime)), ` ${fate(one)}`);
    mark();
    acquisitions(one);
    await Promise.all([pixels(one, stale).catch(unlessStale), graphs(one, stale).catch(unlessStale)]);
  }

  function fate(one) {
    if (usable(one)) return `${words.percent(one.clear_fraction)} clear`;
    if (one.state === "done") return one.clear_fraction === null || one.clear_fraction < OVERCAST ? "no clear pixel" : "nothing to see";
    return `${one.state}: ${one.reason ?? "no reason is known"}`;
  }

  function picker() {
    return [h("label", { class: "inline" }, "Show", h("select", { "data-key": "value", onchange: (event) => {
      delete looks.low;
      delete looks.high;
      change({ value: event.target.value });
    } }, choices.map((name) => h("option", { value: name, selected: name === value() }, name)))),
    h("label", { class: "inline" }, "Compare with", h("select", { "data-key": "with", onchange: (event) => change({ with: event.target.value || null }) },
      h("option", { value: "" }, "nothing"), jobs.filter(usable).map((each) => h("option", { value: each.job, selected: each === other() }, words.date(each.datetime)))))];
  }

  async function raster(one) {
    const shown = value();
    const key = `${one.job} ${shown}`;
    if (!rasters.has(key) || rasters.get(key).stale?.()) {
      const item = await get(one.item);
      const single = asker.recipe.indices.includes(shown);
      const name = single ? shown : "bands";
      const wanted = shown === TRUE_COLOUR ? RED_GREEN_BLUE : [shown];
      const asset = item.assets[name];
      if (!asset) throw new Problem(`This result has no ${shown}; its notes say why.`);
      const bands = single ? [0] : wanted.map((band) => asset.bands.findIndex((each) => each.name === band));
      const made = await Raster.open(one.assets[name].href, asset, bands);
      rasters.delete(key);
      rasters.set(key, made);
      // Each keeps the blocks that were read of it.
      if (rasters.size > MOST_OPEN) rasters.delete(rasters.keys().next().value);
      return made;
    }
    return rasters.get(key);
  }

  async function pixels(one, stale) {
    const compared = other();
    // It keeps its room on a date that was passed over, so that the buttons below stay under the pointer.
    swipe.hidden = !compared;
    swipe.disabled = !usable(one);
    field.classList.toggle("void", !usable(one));
    if (!usable(one)) {
      map?.see(null, null, null, asker.aoi);
      show(said, `${words.date(one.datetime)}: ${fate(one)}.`);
      show(under);
      download(one, []);
      return;
    }
    const [first, second] = await Promise.all([raster(one), compared ? raster(compared) : null]);
    if (stale()) return;
    map ??= resultMap(field, (text) => show(said, text));
    const look = { ...limits(), ...looks, opacity: opacity.value / 100, names: value() === TRUE_COLOUR ? ["red", "green", "blue"] : [value()] };
    if (value() === TRUE_COLOUR) look.high = 0.3;
    map.see(first, second, look, asker.aoi);
    map.swipe(swipe.value / 100);
    show(said, "Click a pixel, or press Enter on the map, for its value.");
    show(under, value() === TRUE_COLOUR ? null : legend(value(), look, (changes) => {
      looks = { ...looks, ...changes };
      keep("looks", { ramp: looks.ramp });
      draw().catch(told);
    }), h("label", { class: "inline" }, "Opacity", opacity), h("button", { type: "button", class: "small", onclick: () => map.value() }, "Value in the middle"));
    download(one, Object.entries(one.assets).filter(([, asset]) => asset.type.startsWith("image/tiff")));
  }

  // The same colours mean the same on every date: two standard deviations around the means, within what occurs.
  function limits() {
    const seen = jobs.filter(usable).map((one) => one.indices[value()] ?? one.bands[value()]).filter((one) => one?.count);
    if (!seen.length) return { low: 0, high: 1 };
    const low = Math.max(Math.min(...seen.map((one) => one.min)), Math.min(...seen.map((one) => one.mean - 2 * one.std)));
    const high = Math.min(Math.max(...seen.map((one) => one.max)), Math.max(...seen.map((one) => one.mean + 2 * one.std)));
    const unit = high - low > 0.2 ? 20 : 100;
    return { low: Math.floor(low * unit) / unit, high: Math.max(Math.ceil(high * unit), Math.floor(low * unit) + 1) / unit };
  }

  // The files of a date, none of one that was passed over, and what there is of all of them.
  function download(one, tiffs) {
    const stem = `${one.acquisition}`;
    const index = value() === TRUE_COLOUR ? all[0] : value();
    show(files, h("p", { class: "row" }, tiffs.map(([name, asset]) => h("button", { type: "button", class: "small", onclick: () => fetched(asset.href, `${stem}-${name}.tif`) }, `${name}.tif`, h("span", { class: "note" }, ` ${words.size(asset.size)}`))),
      tiffs.length ? h("button", { type: "button", class: "small", onclick: () => save(one.item, `${stem}.json`).catch(told) }, "STAC item") : null,
      h("button", { type: "button", class: "small", onclick: () => save(`${asker.path}/series?index=${encodeURIComponent(index)}&format=csv`, `${index}.csv`).catch(told) }, "Series as CSV"),
      h("button", { type: "button", class: "small", onclick: share }, "Copy link")),
    one.notes.length ? h("p", { class: "note" }, one.notes.join(" ")) : null);
  }

  async function fetched(path, name) {
    try {
      const file = await fileAt(path);
      if (file.ours) await save(path, name);
      else location.assign(file.href);
    } catch (error) {
      told(error);
    }
  }

  async function share() {
    change({ job: chosen().job, value: value() });
    try {
      await navigator.clipboard.writeText(location.href);
      route.say("The link is copied. Whoever opens it needs the right to see this result.");
      show(said, "The link is copied. Whoever opens it needs the right to see this result.");
    } catch {
      show(said, h("span", {}, "Copy it from here: ", h("code", {}, location.href)));
    }
  }

  async function graphs(one, stale) {
    const index = value() === TRUE_COLOUR ? all[0] : value();
    const key = JSON.stringify([index, jobs.map((each) => [each.job, each.state])]);
    if (key !== graphed) {
      const { observations } = await get(`${asker.path}/series?index=${encodeURIComponent(index)}`, route.signal);
      if (stale()) return;
      const seen = new Set(observations.filter((each) => each.mean !== null).map((each) => each.job));
      const made = seen.size ? await series(observations, jobs.filter((each) => !seen.has(each.job)).map((each) => Date.parse(each.datetime)), index, (job) => change({ job })) : null;
      if (stale()) {
        made?.end();
        return;
      }
      graph?.end();
      graph = made;
      graphed = key;
      show(chart, made ? [h("h2", {}, `${index} through time`), ...made.elements] : h("p", { class: "empty" }, `No clear observation of ${index} yet.`));
    }
    graph?.mark(one.job);
  }

  function acquisitions(one) {
    const index = value() === TRUE_COLOUR ? all[0] : value();
    const rows = [...jobs].reverse().map((each) => h("tr", { class: each === one ? "looked" : null },
      h("th", { scope: "row" }, h("button", { type: "button", class: "plain", "data-key": each.job, "aria-pressed": String(each === one), onclick: () => change({ job: each.job }) }, words.date(each.datetime))),
      h("td", { class: "number" }, words.percent(each.clear_fraction)),
      h("td", { class: "number" }, words.value((each.indices[index] ?? each.bands[index])?.mean)),
      h("td", {}, h("span", { class: `state ${each.state}` }, each.state)),
      h("td", { class: "why" }, [each.reason, ...each.notes].filter(Boolean).join("; "))));
    show(list, h("div", { class: "scroll tall", tabindex: "0", role: "region", "aria-label": "Acquisitions" },
      table("Acquisitions, the newest first", [["Sensed"], ["Clear", "number"], [index, "number"], ["State"], ["Why"]], rows)));
  }

  function told(error) {
    if (error.name === "AbortError") return;
    drawn = "";
    if (!(error instanceof Problem)) console.error(error);
    show(said, trouble(error instanceof Problem ? error : new Problem("The result could not be read; try again."), () => draw().catch(told)));
  }

  return {
    element,
    update: (next) => update(next).catch(told),
    end() {
      turn += 1;
      wide.disconnect();
      map?.end();
      graph?.end();
    },
  };
}
