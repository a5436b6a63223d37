// The form of a new order, with an estimate of its work, and the orders so far.

import { get, getIfChanged, post } from "../lib/api.js";
import {
  cell,
  facts,
  field,
  h,
  numberCell,
  rowHeader,
  scrollRegion,
  select,
  table,
  updateContent,
} from "../lib/dom.js";
import * as format from "../lib/format.js";
import { aoi, geometryOf, load, store } from "../lib/state.js";
import { areaLine } from "./aoi_summary.js";
import { clearBaseField, dateField, estimateForm, percentField } from "./estimate_form.js";
import { markMissingBands } from "./missing_bands.js";
import { readRecipe, recipeFields, recipeNames } from "./recipe_input.js";

const ORDERS = "orders?limit=50";
const LEVELS = [
  ["", "L2A, or L1C where no L2A is known"],
  ["L2A", "L2A only"],
  ["L1C", "L1C only"],
  ["any", "any: L1C for passes without L2A"],
];

export async function newOrderPage(place, route) {
  const list = h("div", { class: "stack" });
  const products = requestedProducts(route);
  place.append(h("h1", {}, "Order"));
  if (aoi() || products.length) {
    const { form, update } = await orderForm(route, products);
    place.append(areaLine("the whole tile"), products.length ? productNotice(products) : "", form, list);
    update();
    markMissingBands(form, products, route.signal);
  } else {
    place.append(noAreaNotice(), list);
  }
  const showOrders = ({ orders }) =>
    updateContent(list, orderTable(orders.filter(({ subscription }) => !subscription)));
  route.onRefresh(async () => {
    const answer = await getIfChanged(ORDERS, route.signal);
    if (answer) showOrders(answer);
  });
  showOrders(await get(ORDERS, route.signal));
}

const noAreaNotice = () =>
  h(
    "div",
    { class: "empty stack" },
    h("p", {}, "An order cuts bands and indices out of every pass over one area."),
    h("p", {}, h("a", { href: "#place", class: "button first" }, "Choose a place")),
  );

// Products named in the address, such as one from a search; without any, all that meet the conditions are
// processed.
const requestedProducts = ({ params }) => params.get("products")?.split(",").filter(Boolean) ?? [];

// Conditions of a search in the address replace those of the last order.
function searchConditions({ params }) {
  if (!params.has("start")) return {};
  return Object.fromEntries(["start", "end", "max_cloud"].map((name) => [name, params.get(name) ?? ""]));
}

function productNotice(products) {
  const label =
    products.length === 1 ? "Only this product: " : `Only these ${format.count(products.length)} products: `;
  return h(
    "div",
    { class: "card" },
    h("p", {}, label, h("code", { class: "path" }, products.join(", "))),
    h("p", {}, h("a", { href: "#order" }, "Order by period and cloud instead")),
  );
}

async function orderForm(route, products) {
  const initial = { ...load("wish", {}), ...searchConditions(route) };
  return estimateForm({
    fields: await formFields(initial, products.length > 0),
    signal: route.signal,
    onInput: (form) => {
      // A change in the form replaces the conditions in the address.
      if (!products.length) route.replaceParams({});
      // An order of named products keeps the stored period and cloud limit for the next order.
      store("wish", { ...(products.length ? load("wish", {}) : {}), ...readForm(form) });
    },
    estimate: (form, signal) => estimateOrder(orderBody(form, products), signal),
    required: true,
    label: "Order",
    key: "order",
    send: async (form) => {
      const { order } = await post("orders", orderBody(form, products), { signal: route.signal });
      route.navigate(`order/${order}`);
    },
  });
}

async function formFields(initial, onlyProducts) {
  const { start, end, max_cloud: cloud, indices = [], bands = [] } = initial;
  const chosen = { indices: indices.length || bands.length ? indices : ["NDVI"], bands };
  const conditions = onlyProducts
    ? []
    : [
        dateField("start", "From", null, start),
        dateField("end", "To", null, end),
        percentField("max_cloud", "Maximum cloud cover (%)", "of the whole scene", cloud),
      ];
  return [
    h(
      "div",
      { class: "conditions four" },
      conditions,
      percentField("min_coverage", "Minimum coverage (%)", "seen of your area", initial.min_coverage),
      percentField("min_clear", "Minimum clear share (%)", null, initial.min_clear),
      clearBaseField(initial.min_clear_of),
    ),
    ...(await recipeFields(chosen)),
    // Named products are taken as they are.
    onlyProducts ? null : advancedFields(initial),
  ].filter(Boolean);
}

function advancedFields({ level, per_tile: perTile }) {
  const apart = h("input", { type: "checkbox", name: "per_tile", checked: Boolean(perTile) });
  const label = "A result for each tile, instead of one for each pass";
  return h(
    "details",
    { open: Boolean(level || perTile) },
    h("summary", {}, "Advanced"),
    h(
      "div",
      { class: "stack" },
      field("Processing level", select({ name: "level" }, LEVELS, level ?? "")),
      h("label", { class: "check" }, apart, h("span", {}, label)),
    ),
  );
}

function readForm(form) {
  const conditions = Object.fromEntries(
    [...new FormData(form)].filter(([name, value]) => value !== "" && !["indices", "bands"].includes(name)),
  );
  for (const name of ["max_cloud", "min_coverage", "min_clear"])
    if (name in conditions) conditions[name] = Number(conditions[name]);
  if (conditions.per_tile) conditions.per_tile = true;
  return { ...conditions, ...readRecipe(form) };
}

// The body of POST /orders.
function orderBody(form, products) {
  const area = aoi();
  return {
    ...(area?.tile ? { tile: area.tile } : area ? { aoi: geometryOf(area) } : {}),
    ...readForm(form),
    ...(products.length ? { products } : {}),
  };
}

async function estimateOrder(body, signal) {
  if (!body.indices.length && !body.bands.length)
    return { content: h("p", {}, "Choose at least one index or band."), ready: false };
  const estimate = await post("orders/estimate", body, { signal });
  const { jobs, refused, assumptions, notes } = estimate;
  const counted = body.per_tile ? format.plural(jobs, "acquisition") : format.plural(jobs, "pass", "passes");
  const content = h(
    "div",
    { class: "stack" },
    h("h2", {}, jobs ? `${counted} to process` : "No products match these conditions"),
    jobs ? facts(expectedWork(estimate)) : null,
    refused ? h("p", { class: "wrong" }, format.toSentence(refused)) : null,
    ...notes.map((text) => h("p", { class: "note" }, format.toSentence(text))),
    jobs && assumptions.length ? assumptionList(assumptions) : null,
  );
  return { content, ready: Boolean(jobs) && !refused };
}

const expectedWork = ({ cost_usd: cost, ...estimate }) => [
  ["Products", format.count(estimate.products)],
  ["Pixels", format.count(estimate.pixels)],
  ["To read", `about ${format.fileSize(estimate.bytes_read)}`],
  ["Results", `about ${format.fileSize(estimate.bytes_written)}`],
  ["Time", `about ${format.duration(estimate.seconds)}`],
  cost === null ? null : ["Cost", `about ${cost.toFixed(cost < 0.1 ? 4 : 2)} USD`],
];

const assumptionList = (assumptions) =>
  h(
    "details",
    {},
    h("summary", {}, "How this is estimated"),
    h(
      "ul",
      { class: "note list" },
      assumptions.map((text) => h("li", {}, format.toSentence(text))),
    ),
  );

function orderTable(orders) {
  if (!orders.length) return h("p", { class: "note" }, "Your orders are listed here.");
  const columns = [["Ordered"], ["Recipe"], ["Period"], ["Passes", "number"], ["State"]];
  return scrollRegion("Your orders", [table("Your orders (newest first)", columns, orders.map(orderRow))]);
}

function orderRow(order) {
  const { order: id, created, recipe, total, open, state } = order;
  const link = h("a", { href: `#order/${encodeURIComponent(id)}` }, format.time(created));
  const label = open ? `${total - open} of ${total}` : state;
  return h(
    "tr",
    { "data-key": id },
    rowHeader(link),
    cell(recipeNames(recipe).join(", ")),
    cell(periodText(order)),
    numberCell(format.count(total)),
    cell(h("span", { class: `state ${state === "finished" ? "done" : state}` }, label)),
  );
}

export function periodText({ start, end }) {
  if (!start && !end) return "all dates";
  if (!end) return `since ${format.date(start)}`;
  return start ? `${format.date(start)} to ${format.date(end)}` : `until ${format.date(end)}`;
}
