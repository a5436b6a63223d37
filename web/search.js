// Searching the catalog for products over the AOI in hand; the conditions are in the address, so that it can be kept and shared.

import { Problem, post, save } from "./api.js";
import { complain, h, show, trouble } from "./dom.js";
import { known, over } from "./extent.js";
import { found } from "./found.js";
import { drop, fillLayer, layer, look, looks } from "./map.js";
import { months } from "./months.js";
import { aoi, shape, take } from "./state.js";
import * as words from "./words.js";

export const title = "Search";

const PAGE = 50;
const COLLECTIONS = { L2A: "sentinel-2-l2a", L1C: "sentinel-2-l1c" };
const FORMATS = { csv: ["CSV", "csv"], geojson: ["GeoJSON", "geojson"], parquet: ["GeoParquet", "parquet"] };
let parts = null;

export async function enter(place, route) {
  const tile = route.params.get("tile");
  if (tile && aoi()?.tile !== tile) take({ given: null, name: "", tile, seen: null });
  const area = layer(() => (aoi()?.tile ? looks.tile() : looks.aoi()), 3);
  parts = { route, area, list: null, summary: h("div", { class: "stack" }), results: h("div", { class: "stack" }), searching: null };
  place.append(h("h1", {}, "Search"), over("everything known, wherever it is"), conditions(route.params), parts.summary, parts.results);
  seen();
  await search();
}

function seen() {
  fillLayer(parts.area, shape(aoi()));
  if (shape(aoi())) look(shape(aoi()), { calm: true });
}

export function leave() {
  // Where the map could not be had, nothing was put on it.
  parts?.list?.end();
  drop(parts?.area);
}

function conditions(params) {
  const cloud = h("input", { name: "cloud", type: "range", min: 0, max: 100, step: 5, value: params.get("cloud") ?? 100 });
  const said = h("span", {});
  const tell = () => {
    said.textContent = cloud.value === "100" ? "any" : `at most ${cloud.value} %`;
    cloud.setAttribute("aria-valuetext", said.textContent);
  };
  cloud.addEventListener("input", tell);
  tell();
  const choice = (name, label, options) => h("label", { class: "field" }, h("span", {}, label),
    h("select", { name }, options.map(([value, text]) => h("option", { value, selected: (params.get(name) ?? options[0][0]) === value }, text))));
  const day = (name, label) => h("label", { class: "field" }, h("span", {}, label), h("input", { name, type: "date", value: params.get(name) ?? "", min: "2015-06-23" }));
  return h("form", { class: "conditions", onsubmit: (event) => {
    event.preventDefault();
    const given = Object.fromEntries([...new FormData(event.target)].filter(([, value]) => value));
    if (given.cloud === "100") delete given.cloud;
    if (given.level === "L2A") delete given.level;
    if (!event.target.elements.newest.checked) given.newest = "no";
    else delete given.newest;
    parts.route.keep(given);
    search().catch(refused);
  } },
  day("from", "From"), day("to", "To"),
  choice("level", "Level", [["L2A", "L2A, surface"], ["L1C", "L1C, top of atmosphere"]]),
  choice("platform", "Platform", [["", "Any"], ...["A", "B", "C"].map((letter) => [`sentinel-2${letter.toLowerCase()}`, `Sentinel-2${letter}`])]),
  h("label", { class: "field whole" }, h("span", { class: "row apart" }, h("span", {}, "Cloud over the product"), said), cloud),
  aoi() ? h("label", { class: "field" }, h("span", {}, "Covers my area, %"), h("input", { name: "coverage", type: "number", min: 0, max: 100, value: params.get("coverage") ?? "", placeholder: "any" })) : null,
  h("label", { class: "check whole" }, h("input", { name: "newest", type: "checkbox", checked: params.get("newest") !== "no" }), "Only the best processing of each acquisition"),
  h("p", { class: "row whole" }, h("button", { class: "first" }, "Search"), h("button", { type: "button", onclick: anything }, "Any time, any cloud")));
}

function anything() {
  parts.route.keep({});
  parts.route.go(parts.route.name);
}

// The conditions as the body of a search.
function body(params) {
  const filters = [];
  if (params.get("cloud")) filters.push({ op: "<=", args: [{ property: "eo:cloud_cover" }, Number(params.get("cloud"))] });
  if (params.get("platform")) filters.push({ op: "=", args: [{ property: "platform" }, params.get("platform")] });
  const wanted = { collections: [COLLECTIONS[params.get("level")] ?? COLLECTIONS.L2A] };
  if (params.get("from") || params.get("to")) {
    wanted.datetime = `${params.get("from") ? `${params.get("from")}T00:00:00Z` : ".."}/${params.get("to") ? `${params.get("to")}T23:59:59Z` : ".."}`;
  }
  if (aoi()?.tile) wanted.tiles = [aoi().tile];
  else if (aoi()) wanted.intersects = shape(aoi());
  if (filters.length) wanted.filter = filters.length > 1 ? { op: "and", args: filters } : filters[0];
  if (params.get("coverage") && aoi()) wanted.coverage = Number(params.get("coverage"));
  if (params.get("newest") !== "no") wanted.newest = true;
  return wanted;
}

// A search ends the one before it, whose answer must not be drawn over its own.
async function search() {
  const { route } = parts;
  parts.searching?.abort();
  parts.searching = new AbortController();
  const signal = AbortSignal.any([route.signal, parts.searching.signal]);
  if (aoi() && !aoi().seen) {
    await known(signal);
    seen();
  }
  const wanted = body(route.params);
  parts.list?.end();
  parts.list = null;
  show(parts.summary);
  show(parts.results, h("p", { class: "empty", "aria-busy": "true" }, "Searching …"));
  const counting = post("stac/search/statistics", wanted, { signal }).then((counted) => summary(counted, wanted), quiet);
  // Links to files are asked for with the one product that is opened: sources take their time.
  const page = await post("stac/search", { ...wanted, limit: PAGE, sortby: [{ field: "properties.datetime", direction: "desc" }], fields: { exclude: ["assets"] } }, { signal })
    .finally(() => signal.aborted || parts.results.replaceChildren());
  await counting;
  signal.throwIfAborted();
  if (!page.features.length) return nothing();
  parts.list = found(parts.results, page, (next) => post("stac/search", next.body, { signal }), route, !aoi());
  return route.say(`${words.many(page.numberMatched ?? page.features.length, "product")} found.`);
}

// Counting may fail where finding does not; then what was found is shown without.
function quiet(error) {
  if (error.name === "AbortError" || error.status === 0) return;
  if (!(error instanceof Problem)) throw error;
  show(parts.summary, h("p", { class: "note" }, `What was found could not be counted: ${error.message}`));
}

function refused(error) {
  if (error.name === "AbortError") return;
  if (!(error instanceof Problem)) throw error;
  show(parts.results, trouble(error, () => search().catch(refused)));
}

function summary(counted, wanted) {
  if (!counted.count) return;
  const { revisit, cloud_cover: cloud } = counted;
  const facts = [
    ["Products", `${words.count(counted.count)}${counted.complete === false ? " and more" : ""}`],
    ["Cloud, mean", cloud?.mean === null || cloud?.mean === undefined ? "not known" : `${words.value(cloud.mean, 0)} %`],
    counted.size ? ["Size", words.size(counted.size)] : null,
    revisit?.median_days ? ["Revisited every", `${Number(revisit.median_days.toFixed(1))} days`] : null,
    revisit?.longest_days ? ["Longest gap", `${words.value(revisit.longest_days, 0)} days, from ${words.date(revisit.longest_from)}`] : null,
  ].filter(Boolean);
  show(parts.summary, h("section", { class: "card", "aria-label": "What was found" },
    h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    months(counted.months ?? []),
    orderable(parts.route.params) ? h("p", { class: "row" }, h("a", { class: "button small first", href: `#order?${ordered(parts.route.params)}` }, "Order these")) : null,
    h("p", { class: "row" }, h("span", { class: "note" }, "Export"),
      Object.entries(FORMATS).map(([format, [label]]) => h("button", { type: "button", class: "small", onclick: (event) => exported(event.target, format, wanted) }, label)))));
}

// An order knows a place, a period and the cloud; it chooses the best of each acquisition itself.
const orderable = (params) => aoi() && !["level", "platform", "coverage", "newest"].some((name) => params.has(name));
const ordered = (params) => new URLSearchParams([["start", "from"], ["end", "to"], ["max_cloud", "cloud"]].map(([name, here]) => [name, params.get(here) ?? ""]));

async function exported(button, format, wanted) {
  button.disabled = true;
  try {
    const query = new URLSearchParams({ format });
    for (const [name, value] of Object.entries(wanted)) query.set(name, Array.isArray(value) ? value.join(",") : typeof value === "object" ? JSON.stringify(value) : value);
    if (wanted.filter) query.set("filter-lang", "cql2-json");
    await save(`stac/search/export?${query}`, `products.${FORMATS[format][1]}`, parts.route.signal);
    parts.route.say(`Saved as ${FORMATS[format][0]}.`);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof Problem)) throw error;
    complain(parts.summary, error);
  } finally {
    button.disabled = false;
  }
}

function nothing() {
  show(parts.results, h("div", { class: "empty stack" },
    h("p", {}, "Nothing known meets these conditions."),
    h("ul", {}, h("li", {}, "Take a longer period, or allow more cloud: a product can be cloudy where your area is clear."),
      h("li", {}, "Try the other level: not every source has both."),
      h("li", {}, h("a", { href: "#status" }, "Status"), " tells which sources have been asked, and when.")),
    h("p", { class: "row" }, h("button", { type: "button", onclick: anything }, "Any time, any cloud"))));
  parts.route.say("Nothing found.");
}
