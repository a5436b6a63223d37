// Searching the catalog for products over the AOI in hand; the conditions are in the address, so that it can be kept and shared.

import { downloadFile, Problem, post } from "../lib/api.js";
import { appendError, errorBox, h, replaceContent } from "../lib/dom.js";
import * as format from "../lib/format.js";
import { aoi, geometryOf, setAoi } from "../lib/state.js";
import { addLayer, fillLayer, removeLayers, styles, zoomTo } from "../map/map.js";
import { areaLine, ensureSummary } from "./aoi_summary.js";
import { monthHistogram } from "./histogram.js";
import { productList } from "./product_list.js";

export const title = "Search";

const PAGE = 50;
const COLLECTIONS = { L2A: "sentinel-2-l2a", L1C: "sentinel-2-l1c" };
const FORMATS = { csv: ["CSV", "csv"], geojson: ["GeoJSON", "geojson"], parquet: ["GeoParquet", "parquet"] };
let elements = null;

export async function enter(place, route) {
  const tile = route.params.get("tile");
  if (tile && aoi()?.tile !== tile) setAoi({ given: null, name: "", tile, seen: null });
  const area = addLayer(() => (aoi()?.tile ? styles.tile() : styles.aoi()), 3);
  elements = {
    route,
    area,
    list: null,
    summary: h("div", { class: "stack" }),
    results: h("div", { class: "stack" }),
    searching: null,
  };
  place.append(
    h("h1", {}, "Search"),
    areaLine("everything known, wherever it is"),
    conditionForm(route.params),
    elements.summary,
    elements.results,
  );
  drawArea();
  await runSearch();
}

function drawArea() {
  fillLayer(elements.area, geometryOf(aoi()));
  if (geometryOf(aoi())) zoomTo(geometryOf(aoi()), { calm: true });
}

export function leave() {
  // Where the map could not be had, nothing was put on it.
  elements?.list?.end();
  removeLayers(elements?.area);
}

function conditionForm(params) {
  const cloud = h("input", {
    name: "cloud",
    type: "range",
    min: 0,
    max: 100,
    step: 5,
    value: params.get("cloud") ?? 100,
  });
  const said = h("span", {});
  const tell = () => {
    said.textContent = cloud.value === "100" ? "any" : `at most ${cloud.value} %`;
    cloud.setAttribute("aria-valuetext", said.textContent);
  };
  cloud.addEventListener("input", tell);
  tell();
  const choice = (name, label, options) =>
    h(
      "label",
      { class: "field" },
      h("span", {}, label),
      h(
        "select",
        { name },
        options.map(([value, text]) =>
          h("option", { value, selected: (params.get(name) ?? options[0][0]) === value }, text),
        ),
      ),
    );
  const day = (name, label) =>
    h(
      "label",
      { class: "field" },
      h("span", {}, label),
      h("input", { name, type: "date", value: params.get(name) ?? "", min: "2015-06-23" }),
    );
  return h(
    "form",
    {
      class: "conditions",
      onsubmit: (event) => {
        event.preventDefault();
        const given = Object.fromEntries([...new FormData(event.target)].filter(([, value]) => value));
        if (given.cloud === "100") delete given.cloud;
        if (given.level === "L2A") delete given.level;
        if (!event.target.elements.newest.checked) given.newest = "no";
        else delete given.newest;
        elements.route.replaceParams(given);
        runSearch().catch(showSearchError);
      },
    },
    day("from", "From"),
    day("to", "To"),
    choice("level", "Level", [
      ["L2A", "L2A, surface"],
      ["L1C", "L1C, top of atmosphere"],
    ]),
    choice("platform", "Platform", [
      ["", "Any"],
      ...["A", "B", "C"].map((letter) => [`sentinel-2${letter.toLowerCase()}`, `Sentinel-2${letter}`]),
    ]),
    h(
      "label",
      { class: "field whole" },
      h("span", { class: "row apart" }, h("span", {}, "Cloud over the product"), said),
      cloud,
    ),
    aoi()
      ? h(
          "label",
          { class: "field" },
          h("span", {}, "Covers my area, %"),
          h("input", {
            name: "coverage",
            type: "number",
            min: 0,
            max: 100,
            value: params.get("coverage") ?? "",
            placeholder: "any",
          }),
        )
      : null,
    h(
      "label",
      { class: "check whole" },
      h("input", { name: "newest", type: "checkbox", checked: params.get("newest") !== "no" }),
      "Only the best processing of each acquisition",
    ),
    h(
      "p",
      { class: "row whole" },
      h("button", { class: "first" }, "Search"),
      h("button", { type: "button", onclick: resetConditions }, "Any time, any cloud"),
    ),
  );
}

function resetConditions() {
  elements.route.replaceParams({});
  elements.route.navigate(elements.route.name);
}

// The conditions as the body of a search.
function searchBody(params) {
  const filters = [];
  if (params.get("cloud"))
    filters.push({ op: "<=", args: [{ property: "eo:cloud_cover" }, Number(params.get("cloud"))] });
  if (params.get("platform"))
    filters.push({ op: "=", args: [{ property: "platform" }, params.get("platform")] });
  const wanted = { collections: [COLLECTIONS[params.get("level")] ?? COLLECTIONS.L2A] };
  if (params.get("from") || params.get("to")) {
    wanted.datetime = `${params.get("from") ? `${params.get("from")}T00:00:00Z` : ".."}/${params.get("to") ? `${params.get("to")}T23:59:59Z` : ".."}`;
  }
  if (aoi()?.tile) wanted.tiles = [aoi().tile];
  else if (aoi()) wanted.intersects = geometryOf(aoi());
  if (filters.length) wanted.filter = filters.length > 1 ? { op: "and", args: filters } : filters[0];
  if (params.get("coverage") && aoi()) wanted.coverage = Number(params.get("coverage"));
  if (params.get("newest") !== "no") wanted.newest = true;
  return wanted;
}

// A search ends the one before it, whose answer must not be drawn over its own.
async function runSearch() {
  const { route } = elements;
  elements.searching?.abort();
  elements.searching = new AbortController();
  const signal = AbortSignal.any([route.signal, elements.searching.signal]);
  if (aoi() && !aoi().seen) {
    await ensureSummary(signal);
    drawArea();
  }
  const wanted = searchBody(route.params);
  elements.list?.end();
  elements.list = null;
  replaceContent(elements.summary);
  replaceContent(elements.results, h("p", { class: "empty", "aria-busy": "true" }, "Searching …"));
  const counting = post("stac/search/statistics", wanted, { signal }).then(
    (counted) => renderSummary(counted, wanted),
    showCountError,
  );
  // Links to files are asked for with the one product that is opened: sources take their time.
  const page = await post(
    "stac/search",
    {
      ...wanted,
      limit: PAGE,
      sortby: [{ field: "properties.datetime", direction: "desc" }],
      fields: { exclude: ["assets"] },
    },
    { signal },
  ).finally(() => signal.aborted || elements.results.replaceChildren());
  await counting;
  signal.throwIfAborted();
  if (!page.features.length) return showNoResults();
  elements.list = productList(
    elements.results,
    page,
    (next) => post("stac/search", next.body, { signal }),
    route,
    !aoi(),
  );
  return route.announce(`${format.plural(page.numberMatched ?? page.features.length, "product")} found.`);
}

// Counting may fail where finding does not; then what was found is shown without.
function showCountError(error) {
  if (error.name === "AbortError" || error.status === 0) return;
  if (!(error instanceof Problem)) throw error;
  replaceContent(
    elements.summary,
    h("p", { class: "note" }, `What was found could not be counted: ${error.message}`),
  );
}

function showSearchError(error) {
  if (error.name === "AbortError") return;
  if (!(error instanceof Problem)) throw error;
  replaceContent(
    elements.results,
    errorBox(error, () => runSearch().catch(showSearchError)),
  );
}

function renderSummary(counted, wanted) {
  if (!counted.count) return;
  const { revisit, cloud_cover: cloud } = counted;
  const facts = [
    ["Products", `${format.count(counted.count)}${counted.complete === false ? " and more" : ""}`],
    [
      "Cloud, mean",
      cloud?.mean === null || cloud?.mean === undefined ? "not known" : `${format.decimal(cloud.mean, 0)} %`,
    ],
    counted.size ? ["Size", format.fileSize(counted.size)] : null,
    revisit?.median_days ? ["Revisited every", `${Number(revisit.median_days.toFixed(1))} days`] : null,
    revisit?.longest_days
      ? [
          "Longest gap",
          `${format.decimal(revisit.longest_days, 0)} days, from ${format.date(revisit.longest_from)}`,
        ]
      : null,
  ].filter(Boolean);
  replaceContent(
    elements.summary,
    h(
      "section",
      { class: "card", "aria-label": "What was found" },
      h(
        "dl",
        { class: "facts" },
        facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
      ),
      monthHistogram(counted.months ?? []),
      canOrder(elements.route.params)
        ? h(
            "p",
            { class: "row" },
            h(
              "a",
              { class: "button small first", href: `#order?${orderParams(elements.route.params)}` },
              "Order these",
            ),
          )
        : null,
      h(
        "p",
        { class: "row" },
        h("span", { class: "note" }, "Export"),
        Object.entries(FORMATS).map(([format, [label]]) =>
          h(
            "button",
            {
              type: "button",
              class: "small",
              onclick: (event) => exportProducts(event.target, format, wanted),
            },
            label,
          ),
        ),
      ),
    ),
  );
}

// An order knows a place, a period and the cloud; it chooses the best of each acquisition itself.
const canOrder = (params) =>
  aoi() && !["level", "platform", "coverage", "newest"].some((name) => params.has(name));
const orderParams = (params) =>
  new URLSearchParams(
    [
      ["start", "from"],
      ["end", "to"],
      ["max_cloud", "cloud"],
    ].map(([name, here]) => [name, params.get(here) ?? ""]),
  );

async function exportProducts(button, format, wanted) {
  button.disabled = true;
  try {
    const query = new URLSearchParams({ format });
    for (const [name, value] of Object.entries(wanted))
      query.set(
        name,
        Array.isArray(value) ? value.join(",") : typeof value === "object" ? JSON.stringify(value) : value,
      );
    if (wanted.filter) query.set("filter-lang", "cql2-json");
    await downloadFile(
      `stac/search/export?${query}`,
      `products.${FORMATS[format][1]}`,
      elements.route.signal,
    );
    elements.route.announce(`Saved as ${FORMATS[format][0]}.`);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof Problem)) throw error;
    appendError(elements.summary, error);
  } finally {
    button.disabled = false;
  }
}

function showNoResults() {
  replaceContent(
    elements.results,
    h(
      "div",
      { class: "empty stack" },
      h("p", {}, "Nothing known meets these conditions."),
      h(
        "ul",
        {},
        h(
          "li",
          {},
          "Take a longer period, or allow more cloud: a product can be cloudy where your area is clear.",
        ),
        h("li", {}, "Try the other level: not every source has both."),
        h("li", {}, h("a", { href: "#status" }, "Status"), " tells which sources have been asked, and when."),
      ),
      h(
        "p",
        { class: "row" },
        h("button", { type: "button", onclick: resetConditions }, "Any time, any cloud"),
      ),
    ),
  );
  elements.route.announce("Nothing found.");
}
