// What an order or a subscription has brought so far: dates on a slider, the pixels of each on a map, two dates side by side, the series as
// a chart, and the files. Which date and value are looked at stands in the address, so that it can be shared and outlives a reload.
//
//   const shown = results({ path, recipe, aoi, name }, route);      path such as "orders/ID"
//   place.append(shown.element); await shown.update(jobs); shown.end();

import { downloadFile, get, Problem, resolveFile } from "../lib/api.js";
import { errorBox, h, replaceContent, table } from "../lib/dom.js";
import * as format from "../lib/format.js";
import { load, store } from "../lib/state.js";
import { Raster } from "../map/cog_reader.js";
import { legend } from "../map/colormap.js";
import { resultMap } from "../map/result_map.js";
import { recipeNames } from "./recipe_input.js";
import { seriesChart } from "./series.js";

const TRUE_COLOUR = "True colour";
const RED_GREEN_BLUE = ["B04", "B03", "B02"];
const MIN_CLEAR_SHARE = 0.02;
const MAX_OPEN_RASTERS = 16;

export function resultsPanel(target, route) {
  const all = recipeNames(target.recipe);
  const choices = RED_GREEN_BLUE.every((band) => target.recipe.bands.includes(band))
    ? [...all, TRUE_COLOUR]
    : all;
  const rasters = new Map();
  let jobs = [];
  let map = null;
  let graph = null;
  let chartKey = "";
  let renderedKey = "";
  let display = { ramp: "Earth", ...load("looks") };
  // Counts what was drawn: an answer to an earlier question is not drawn over a later one's.
  let renderTurn = 0;

  const value = () => (choices.includes(route.params.get("value")) ? route.params.get("value") : choices[0]);
  const hasPixels = (one) => one.state === "done" && one.clear_pixels > 0;
  const selectedJob = () =>
    jobs.find((one) => one.job === route.params.get("job")) ?? jobs.findLast(hasPixels) ?? jobs.at(-1);
  const comparedJob = () =>
    jobs.find((one) => one.job === route.params.get("with") && hasPixels(one)) ?? null;
  const change = (changes) => {
    const params = Object.fromEntries(route.params);
    for (const [key, text] of Object.entries(changes)) {
      if (text === null) delete params[key];
      else params[key] = text;
    }
    route.replaceParams(params);
    render().catch(showError);
  };

  const head = h("div", { class: "row apart" });
  const field = h("div", {
    class: "result-map",
    tabindex: "0",
    role: "application",
    "aria-describedby": "result-help",
    "aria-label":
      "The result's pixels; arrow keys move, plus and minus zoom, Enter reads the value in the middle",
  });
  const stage = h("div", { class: "stage" }, field);
  const said = h("p", { class: "readout", role: "status" });
  const swipe = h("input", {
    type: "range",
    min: 0,
    max: 100,
    value: 50,
    "aria-label": "Where the second date begins",
    oninput: (event) => map?.swipe(event.target.value / 100),
  });
  const opacity = h("input", {
    type: "range",
    min: 0,
    max: 100,
    value: 100,
    oninput: (event) => map?.opacity(event.target.value / 100),
  });
  const slider = h("input", {
    type: "range",
    min: 0,
    step: 1,
    "aria-label": "Date",
    "data-key": "date",
    oninput: (event) => change({ job: jobs[event.target.value].job }),
  });
  const ticks = h("canvas", { class: "ticks", height: 10, "aria-hidden": "true" });
  const when = h("output", { class: "when", "aria-live": "polite" });
  const dates = h(
    "div",
    { class: "dates" },
    stepButton(-1, "Earlier"),
    h("div", {}, slider, ticks),
    stepButton(1, "Later"),
    when,
  );
  const under = h("div", { class: "row under" });
  const chart = h("div", { class: "stack" });
  const files = h("div", { class: "stack" });
  const list = h("div", {});
  const left = h("div", { class: "stack" }, head, stage, swipe, dates, said, under, files);
  const element = h("div", { class: "results" }, left, h("div", { class: "stack" }, chart, list));
  const wide = new ResizeObserver(() => drawTicks());
  wide.observe(ticks);

  function stepButton(by, label) {
    return h(
      "button",
      {
        type: "button",
        "aria-label": label,
        "data-key": label,
        onclick: () => {
          const next = jobs[jobs.indexOf(selectedJob()) + by];
          if (next) change({ job: next.job });
        },
      },
      by < 0 ? "‹" : "›",
    );
  }

  // One stroke a date under the slider: high where there is a result, low and pale where it was passed over.
  function drawTicks() {
    const width = ticks.clientWidth;
    if (!width) return;
    const scale = devicePixelRatio;
    ticks.width = width * scale;
    ticks.height = 10 * scale;
    const context = ticks.getContext("2d");
    const style = getComputedStyle(document.documentElement);
    jobs.forEach((one, place) => {
      const x = jobs.length > 1 ? 9 + (place / (jobs.length - 1)) * (width - 18) : width / 2;
      context.fillStyle = style.getPropertyValue(
        hasPixels(one) ? "--accent" : one.state === "failed" ? "--warn" : "--edge",
      );
      context.fillRect((x - 1) * scale, 0, 2 * scale, (hasPixels(one) ? 10 : 5) * scale);
    });
  }

  async function update(next) {
    jobs = next.filter((one) => one.finished || one.state === "done");
    await render();
  }

  async function render() {
    const one = selectedJob();
    const state = JSON.stringify([
      value(),
      one?.job,
      comparedJob()?.job,
      display,
      jobs.map((each) => [each.job, each.state]),
    ]);
    if (state === renderedKey) return;
    renderedKey = state;
    renderTurn += 1;
    const mine = renderTurn;
    const stale = () => mine !== renderTurn;
    const unlessStale = (error) => stale() || showError(error);
    replaceContent(head, one ? picker() : "");
    stage.hidden = dates.hidden = !one;
    if (!one) {
      swipe.hidden = true;
      replaceContent(said, "Nothing has been worked yet; the first result shows here by itself.");
      return;
    }
    slider.max = Math.max(jobs.length - 1, 0);
    slider.value = jobs.indexOf(one);
    slider.setAttribute("aria-valuetext", `${format.date(one.datetime)}, ${outcomeText(one)}`);
    replaceContent(when, h("strong", {}, format.date(one.datetime)), ` ${outcomeText(one)}`);
    drawTicks();
    renderAcquisitions(one);
    await Promise.all([
      renderPixels(one, stale).catch(unlessStale),
      renderChart(one, stale).catch(unlessStale),
    ]);
  }

  function outcomeText(one) {
    if (hasPixels(one)) return `${format.percent(one.clear_fraction)} clear`;
    if (one.state === "done")
      return one.clear_fraction === null || one.clear_fraction < MIN_CLEAR_SHARE
        ? "no clear pixel"
        : "nothing to see";
    return `${one.state}: ${one.reason ?? "no reason is known"}`;
  }

  function picker() {
    return [
      h(
        "label",
        { class: "inline" },
        "Show",
        h(
          "select",
          {
            "data-key": "value",
            onchange: (event) => {
              delete display.low;
              delete display.high;
              change({ value: event.target.value });
            },
          },
          choices.map((name) => h("option", { value: name, selected: name === value() }, name)),
        ),
      ),
      h(
        "label",
        { class: "inline" },
        "Compare with",
        h(
          "select",
          { "data-key": "with", onchange: (event) => change({ with: event.target.value || null }) },
          h("option", { value: "" }, "nothing"),
          jobs
            .filter(hasPixels)
            .map((each) =>
              h("option", { value: each.job, selected: each === comparedJob() }, format.date(each.datetime)),
            ),
        ),
      ),
    ];
  }

  async function openRaster(one) {
    const shown = value();
    const key = `${one.job} ${shown}`;
    if (!rasters.has(key) || rasters.get(key).isStale?.()) {
      const item = await get(one.item);
      const single = target.recipe.indices.includes(shown);
      const name = single ? shown : "bands";
      const wanted = shown === TRUE_COLOUR ? RED_GREEN_BLUE : [shown];
      const asset = item.assets[name];
      if (!asset) throw new Problem(`This result has no ${shown}; its notes say why.`);
      const bands = single ? [0] : wanted.map((band) => asset.bands.findIndex((each) => each.name === band));
      const made = await Raster.open(one.assets[name].href, asset, bands);
      rasters.delete(key);
      rasters.set(key, made);
      // Each keeps the blocks that were read of it.
      if (rasters.size > MAX_OPEN_RASTERS) rasters.delete(rasters.keys().next().value);
      return made;
    }
    return rasters.get(key);
  }

  async function renderPixels(one, stale) {
    const compared = comparedJob();
    // It keeps its room on a date that was passed over, so that the buttons below stay under the pointer.
    swipe.hidden = !compared;
    swipe.disabled = !hasPixels(one);
    field.classList.toggle("void", !hasPixels(one));
    if (!hasPixels(one)) {
      map?.show(null, null, null, target.aoi);
      replaceContent(said, `${format.date(one.datetime)}: ${outcomeText(one)}.`);
      replaceContent(under);
      renderFiles(one, []);
      return;
    }
    const [first, second] = await Promise.all([openRaster(one), compared ? openRaster(compared) : null]);
    if (stale()) return;
    map ??= resultMap(field, (text) => replaceContent(said, text));
    const look = {
      ...valueRange(),
      ...display,
      opacity: opacity.value / 100,
      names: value() === TRUE_COLOUR ? ["red", "green", "blue"] : [value()],
    };
    if (value() === TRUE_COLOUR) look.high = 0.3;
    map.show(first, second, look, target.aoi);
    map.swipe(swipe.value / 100);
    replaceContent(said, "Click a pixel, or press Enter on the map, for its value.");
    replaceContent(
      under,
      value() === TRUE_COLOUR
        ? null
        : legend(value(), look, (changes) => {
            display = { ...display, ...changes };
            store("looks", { ramp: display.ramp });
            render().catch(showError);
          }),
      h("label", { class: "inline" }, "Opacity", opacity),
      h("button", { type: "button", class: "small", onclick: () => map.value() }, "Value in the middle"),
    );
    renderFiles(
      one,
      Object.entries(one.assets).filter(([, asset]) => asset.type.startsWith("image/tiff")),
    );
  }

  // The same colours mean the same on every date: two standard deviations around the means, within what occurs.
  function valueRange() {
    const seen = jobs
      .filter(hasPixels)
      .map((one) => one.indices[value()] ?? one.bands[value()])
      .filter((one) => one?.count);
    if (!seen.length) return { low: 0, high: 1 };
    const low = Math.max(
      Math.min(...seen.map((one) => one.min)),
      Math.min(...seen.map((one) => one.mean - 2 * one.std)),
    );
    const high = Math.min(
      Math.max(...seen.map((one) => one.max)),
      Math.max(...seen.map((one) => one.mean + 2 * one.std)),
    );
    const unit = high - low > 0.2 ? 20 : 100;
    return {
      low: Math.floor(low * unit) / unit,
      high: Math.max(Math.ceil(high * unit), Math.floor(low * unit) + 1) / unit,
    };
  }

  // The files of a date, none of one that was passed over, and what there is of all of them.
  function renderFiles(one, tiffs) {
    const stem = `${one.acquisition}`;
    const index = value() === TRUE_COLOUR ? all[0] : value();
    replaceContent(
      files,
      h(
        "p",
        { class: "row" },
        tiffs.map(([name, asset]) =>
          h(
            "button",
            {
              type: "button",
              class: "small",
              onclick: () => downloadAsset(asset.href, `${stem}-${name}.tif`),
            },
            `${name}.tif`,
            h("span", { class: "note" }, ` ${format.fileSize(asset.size)}`),
          ),
        ),
        tiffs.length
          ? h(
              "button",
              {
                type: "button",
                class: "small",
                onclick: () => downloadFile(one.item, `${stem}.json`).catch(showError),
              },
              "STAC item",
            )
          : null,
        h(
          "button",
          {
            type: "button",
            class: "small",
            onclick: () =>
              downloadFile(
                `${target.path}/series?index=${encodeURIComponent(index)}&format=csv`,
                `${index}.csv`,
              ).catch(showError),
          },
          "Series as CSV",
        ),
        h("button", { type: "button", class: "small", onclick: copyLink }, "Copy link"),
      ),
      one.notes.length ? h("p", { class: "note" }, one.notes.join(" ")) : null,
    );
  }

  async function downloadAsset(path, name) {
    try {
      const file = await resolveFile(path);
      if (file.sameServer) await downloadFile(path, name);
      else location.assign(file.href);
    } catch (error) {
      showError(error);
    }
  }

  async function copyLink() {
    change({ job: selectedJob().job, value: value() });
    try {
      await navigator.clipboard.writeText(location.href);
      route.announce("The link is copied. Whoever opens it needs the right to see this result.");
      replaceContent(said, "The link is copied. Whoever opens it needs the right to see this result.");
    } catch {
      replaceContent(said, h("span", {}, "Copy it from here: ", h("code", {}, location.href)));
    }
  }

  async function renderChart(one, stale) {
    const index = value() === TRUE_COLOUR ? all[0] : value();
    const key = JSON.stringify([index, jobs.map((each) => [each.job, each.state])]);
    if (key !== chartKey) {
      const { observations } = await get(
        `${target.path}/series?index=${encodeURIComponent(index)}`,
        route.signal,
      );
      if (stale()) return;
      const seen = new Set(observations.filter((each) => each.mean !== null).map((each) => each.job));
      const made = seen.size
        ? await seriesChart(
            observations,
            jobs.filter((each) => !seen.has(each.job)).map((each) => Date.parse(each.datetime)),
            index,
            (job) => change({ job }),
          )
        : null;
      if (stale()) {
        made?.end();
        return;
      }
      graph?.end();
      graph = made;
      chartKey = key;
      replaceContent(
        chart,
        made
          ? [h("h2", {}, `${index} through time`), ...made.elements]
          : h("p", { class: "empty" }, `No clear observation of ${index} yet.`),
      );
    }
    graph?.mark(one.job);
  }

  function renderAcquisitions(one) {
    const index = value() === TRUE_COLOUR ? all[0] : value();
    const rows = [...jobs]
      .reverse()
      .map((each) =>
        h(
          "tr",
          { class: each === one ? "looked" : null },
          h(
            "th",
            { scope: "row" },
            h(
              "button",
              {
                type: "button",
                class: "plain",
                "data-key": each.job,
                "aria-pressed": String(each === one),
                onclick: () => change({ job: each.job }),
              },
              format.date(each.datetime),
            ),
          ),
          h("td", { class: "number" }, format.percent(each.clear_fraction)),
          h("td", { class: "number" }, format.decimal((each.indices[index] ?? each.bands[index])?.mean)),
          h("td", {}, h("span", { class: `state ${each.state}` }, each.state)),
          h("td", { class: "why" }, [each.reason, ...each.notes].filter(Boolean).join("; ")),
        ),
      );
    replaceContent(
      list,
      h(
        "div",
        { class: "scroll tall", tabindex: "0", role: "region", "aria-label": "Acquisitions" },
        table(
          "Acquisitions, the newest first",
          [["Sensed"], ["Clear", "number"], [index, "number"], ["State"], ["Why"]],
          rows,
        ),
      ),
    );
  }

  function showError(error) {
    if (error.name === "AbortError") return;
    renderedKey = "";
    if (!(error instanceof Problem)) console.error(error);
    replaceContent(
      said,
      errorBox(
        error instanceof Problem ? error : new Problem("The result could not be read; try again."),
        () => render().catch(showError),
      ),
    );
  }

  return {
    element,
    update: (next) => update(next).catch(showError),
    end() {
      renderTurn += 1;
      wide.disconnect();
      map?.end();
      graph?.end();
    },
  };
}
