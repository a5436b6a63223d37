// Search of the catalogue over the current AOI. The filters are part of the address, so that a search can be
// shared.

import { downloadFile, post } from "../lib/api.js";
import {
  appendError,
  button,
  errorBox,
  facts,
  field,
  h,
  replaceContent,
  row,
  select,
  workButton,
} from "../lib/dom.js";
import * as format from "../lib/format.js";
import { attempt, latest } from "../lib/latest.js";
import { account } from "../lib/sign_in.js";
import { aoi, geometryOf, setAoi } from "../lib/state.js";
import { addLayer, fillLayer, removeLayers, styles, zoomTo } from "../map/map.js";
import { areaLine, ensureSummary } from "./aoi_summary.js";
import { monthHistogram } from "./histogram.js";
import { productList } from "./product_list.js";

export const title = "Search";

const PAGE_SIZE = 50;
const FIRST_DAY = "2015-06-23";
const COLLECTIONS = { L2A: "sentinel-2-l2a", L1C: "sentinel-2-l1c" };
const LEVELS = [
  ["L2A", "L2A, surface"],
  ["L1C", "L1C, top of atmosphere"],
];
const PLATFORMS = [
  ["", "Any"],
  ["sentinel-2a", "Sentinel-2A"],
  ["sentinel-2b", "Sentinel-2B"],
  ["sentinel-2c", "Sentinel-2C"],
];
const FORMATS = { csv: ["CSV", "csv"], geojson: ["GeoJSON", "geojson"], parquet: ["GeoParquet", "parquet"] };

export async function enter(place, route) {
  const tile = route.params.get("tile");
  if (tile && aoi()?.tile !== tile) setAoi({ given: null, name: "", tile, seen: null });
  const view = new SearchView(route);
  route.onLeave(() => view.close());
  place.append(
    h("h1", {}, "Search"),
    areaLine("the whole catalogue"),
    filterForm(route, () => view.search()),
    view.summary,
    view.results,
  );
  view.showArea();
  await view.search();
}

class SearchView {
  constructor(route) {
    this.route = route;
    this.layer = addLayer(() => (aoi()?.tile ? styles.tile() : styles.aoi()), 3);
    this.summary = h("div", { class: "stack" });
    this.results = h("div", { class: "stack" });
    this.list = null;
    this.search = latest(
      (signal) => this.load(signal),
      (problem, retry) => {
        const signIn = problem.status === 401 ? account.open : null;
        replaceContent(this.results, errorBox(problem, retry, signIn));
      },
      route.signal,
    );
  }

  close() {
    this.list?.close();
    removeLayers(this.layer);
  }

  showArea() {
    const geometry = geometryOf(aoi());
    fillLayer(this.layer, geometry);
    if (geometry) zoomTo(geometry, { calm: true });
  }

  async load(signal) {
    if (aoi() && !aoi().seen) {
      await ensureSummary(signal);
      this.showArea();
    }
    const body = searchBody(this.route.params);
    this.list?.close();
    this.list = null;
    replaceContent(this.summary);
    replaceContent(this.results, h("p", { class: "empty", "aria-busy": "true" }, "Searching …"));
    const counting = this.count(body, signal);
    const page = await this.firstPage(body, signal);
    signal.throwIfAborted();
    this.results.replaceChildren();
    await counting;
    signal.throwIfAborted();
    if (!page.features.length) return this.showNoResults();
    const loadNext = (next) => post("stac/search", next.body, { signal });
    this.list = productList(this.results, page, loadNext, this.route, !aoi());
    return this.route.announce(
      `${format.plural(page.numberMatched ?? page.features.length, "product")} found.`,
    );
  }

  // Links to files are requested only for a product that is opened, since sources are slow to list them.
  async firstPage(body, signal) {
    const sortby = [{ field: "properties.datetime", direction: "desc" }];
    const request = { ...body, limit: PAGE_SIZE, sortby, fields: { exclude: ["assets"] } };
    try {
      return await post("stac/search", request, { signal });
    } catch (error) {
      if (!signal.aborted) this.results.replaceChildren();
      throw error;
    }
  }

  // Statistics may fail where the search succeeds; the products are shown without them then.
  count(body, signal) {
    return attempt(
      async () => this.showSummary(await post("stac/search/statistics", body, { signal }), body),
      (problem) => {
        if (problem.status === 0) return;
        const text = `The products could not be counted: ${problem.message}`;
        replaceContent(this.summary, h("p", { class: "note" }, text));
      },
    );
  }

  showSummary(statistics, body) {
    const { count, complete, months } = statistics;
    if (!count) return;
    const { params } = this.route;
    const label = complete === false ? "Process these products" : `Process these ${format.count(count)}`;
    const process = h("a", { class: "button small first", href: `#order?${orderParams(params)}` }, label);
    replaceContent(
      this.summary,
      h(
        "section",
        { class: "card", "aria-label": "Summary of the products" },
        facts(summaryFacts(statistics)),
        monthHistogram(months ?? []),
        canOrder(params) ? row(process) : null,
        this.exportRow(body),
      ),
    );
  }

  exportRow(body) {
    const exportButton = ([name, [label]]) =>
      workButton(label, () => this.exportProducts(name, body), { class: "small" });
    return row(h("span", { class: "note" }, "Export"), Object.entries(FORMATS).map(exportButton));
  }

  exportProducts(name, body) {
    const [label, suffix] = FORMATS[name];
    return attempt(
      async () => {
        await downloadFile(
          `stac/search/export?${exportQuery(name, body)}`,
          `products.${suffix}`,
          this.route.signal,
        );
        this.route.announce(`Saved as ${label}.`);
      },
      (problem) => appendError(this.summary, problem),
    );
  }

  showNoResults() {
    const hints = [
      "Choose a longer period, or allow more cloud: a scene can be cloudy where your area is clear.",
      "Try the other level: not every source has both.",
      [h("a", { href: "#status" }, "Status"), " shows the sources and when each was last checked."],
    ];
    replaceContent(
      this.results,
      h(
        "div",
        { class: "empty stack" },
        h("p", {}, "No products match these filters."),
        h(
          "ul",
          {},
          hints.map((hint) => h("li", {}, hint)),
        ),
        row(clearButton(this.route)),
      ),
    );
    this.route.announce("No products found.");
  }
}

function clearButton(route) {
  const clear = () => {
    route.replaceParams({});
    route.navigate(route.name);
  };
  return button("Clear filters", clear);
}

function filterForm(route, search) {
  const { params } = route;
  const day = (name) => h("input", { name, type: "date", value: params.get(name) ?? "", min: FIRST_DAY });
  const choice = (name, options) => select({ name }, options, params.get(name) ?? options[0][0]);
  const onsubmit = (event) => {
    event.preventDefault();
    route.replaceParams(readFilters(event.target));
    search();
  };
  return h(
    "form",
    { class: "conditions", onsubmit },
    field("From", day("from")),
    field("To", day("to")),
    field("Level", choice("level", LEVELS)),
    field("Platform", choice("platform", PLATFORMS)),
    cloudField(params),
    aoi() ? coverageField(params) : null,
    h(
      "label",
      { class: "check whole" },
      h("input", { name: "newest", type: "checkbox", checked: params.get("newest") !== "no" }),
      "Latest processing version only",
    ),
    h("p", { class: "row whole" }, h("button", { class: "first" }, "Search"), clearButton(route)),
  );
}

function cloudField(params) {
  const cloud = h("input", {
    name: "cloud",
    type: "range",
    min: 0,
    max: 100,
    step: 5,
    value: params.get("cloud") ?? 100,
  });
  const limit = h("span", {});
  const showLimit = () => {
    limit.textContent = cloud.value === "100" ? "any" : `at most ${cloud.value} %`;
    cloud.setAttribute("aria-valuetext", limit.textContent);
  };
  cloud.addEventListener("input", showLimit);
  showLimit();
  const label = h("span", { class: "row apart" }, h("span", {}, "Scene cloud cover"), limit);
  return h("label", { class: "field whole" }, label, cloud);
}

const coverageField = (params) =>
  field(
    "Minimum coverage of my area (%)",
    h("input", {
      name: "coverage",
      type: "number",
      min: 0,
      max: 100,
      value: params.get("coverage") ?? "",
      placeholder: "any",
    }),
  );

// The params of the address; defaults are left out.
function readFilters(form) {
  const filters = Object.fromEntries([...new FormData(form)].filter(([, value]) => value));
  if (filters.cloud === "100") delete filters.cloud;
  if (filters.level === "L2A") delete filters.level;
  if (form.elements.newest.checked) delete filters.newest;
  else filters.newest = "no";
  return filters;
}

// The filters as the body of POST /stac/search.
function searchBody(params) {
  const area = aoi();
  const body = { collections: [COLLECTIONS[params.get("level")] ?? COLLECTIONS.L2A] };
  const period = datetimeRange(params.get("from"), params.get("to"));
  if (period) body.datetime = period;
  if (area?.tile) body.tiles = [area.tile];
  else if (area) body.intersects = geometryOf(area);
  const filters = propertyFilters(params);
  if (filters.length) body.filter = filters.length > 1 ? { op: "and", args: filters } : filters[0];
  if (params.get("coverage") && area) body.coverage = Number(params.get("coverage"));
  if (params.get("newest") !== "no") body.newest = true;
  return body;
}

function datetimeRange(from, to) {
  if (!from && !to) return null;
  return `${from ? `${from}T00:00:00Z` : ".."}/${to ? `${to}T23:59:59Z` : ".."}`;
}

// CQL2 JSON.
function propertyFilters(params) {
  const comparison = (op, property, text, cast = String) =>
    text ? [{ op, args: [{ property }, cast(text)] }] : [];
  return [
    ...comparison("<=", "eo:cloud_cover", params.get("cloud"), Number),
    ...comparison("=", "platform", params.get("platform")),
  ];
}

function exportQuery(name, body) {
  const query = new URLSearchParams({ format: name });
  for (const [key, value] of Object.entries(body)) {
    if (Array.isArray(value)) query.set(key, value.join(","));
    else query.set(key, typeof value === "object" ? JSON.stringify(value) : value);
  }
  if (body.filter) query.set("filter-lang", "cql2-json");
  return query;
}

function summaryFacts({ count, complete, cloud_cover: cloud, size, revisit }) {
  const mean = cloud?.mean;
  return [
    ["Products", `${format.count(count)}${complete === false ? " or more" : ""}`],
    ["Mean cloud cover", mean === null || mean === undefined ? "unknown" : `${format.decimal(mean, 0)} %`],
    size ? ["Size", format.fileSize(size)] : null,
    revisit?.median_days ? ["Median revisit", `${Number(revisit.median_days.toFixed(1))} days`] : null,
    revisit?.longest_days
      ? [
          "Longest gap",
          `${format.decimal(revisit.longest_days, 0)} days, from ${format.date(revisit.longest_from)}`,
        ]
      : null,
  ];
}

// An order takes an area, a period and a cloud limit; it chooses the best product of each acquisition itself.
const canOrder = (params) =>
  aoi() && !["level", "platform", "coverage", "newest"].some((name) => params.has(name));
const orderParams = (params) =>
  new URLSearchParams(
    [
      ["start", "from"],
      ["end", "to"],
      ["max_cloud", "cloud"],
    ].map(([name, own]) => [name, params.get(own) ?? ""]),
  );
