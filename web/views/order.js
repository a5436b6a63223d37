// Ordering what was seen of the place in hand, and following an order until its results are there.

import { get, getIfChanged, Problem, post, send } from "../lib/api.js";
import { appendError, errorBox, h, replaceContent, table } from "../lib/dom.js";
import * as format from "../lib/format.js";
import { aoi, geometryOf, load, store } from "../lib/state.js";
import { areaLine } from "./aoi_summary.js";
import { readRecipe, recipeFields, recipeNames } from "./recipe_input.js";
import { resultsPanel } from "./results.js";

export const title = "Order";
export const wide = true;

const DEBOUNCE_MS = 400;
let activePage = null;

export async function enter(place, route) {
  activePage = route.rest[0] ? await orderPage(place, route) : await newOrderPage(place, route);
}

export const refresh = async (route) => activePage?.refresh?.(route);

export function leave() {
  activePage?.end?.();
  activePage = null;
}

// ------------------------------------------------------------------------------------------------------------ a new order

async function newOrderPage(place, route) {
  const list = h("div", { class: "stack" });
  const estimate = h("div", { class: "card", "aria-live": "polite" });
  const only = requestedProducts(route);
  place.append(h("h1", {}, "Order"));
  if (!aoi() && !only.length) {
    place.append(
      h(
        "div",
        { class: "empty stack" },
        h("p", {}, "An order cuts bands and indices out of every acquisition over one place."),
        h("p", {}, h("a", { href: "#place", class: "button first" }, "Choose a place")),
      ),
      list,
    );
  } else {
    const form = h("form", {
      class: "order-form",
      onsubmit: (event) => {
        event.preventDefault();
        placeOrder(event.target, route, estimate);
      },
      oninput: () => ask(),
    });
    let waiting = null;
    const ask = () => {
      // What was changed here counts, not what the address brought.
      if (!only.length) route.replaceParams({});
      // Products that are named leave the period and the cloud as they were for the next order.
      store("wish", { ...(only.length ? load("wish", {}) : {}), ...readForm(form) });
      clearTimeout(waiting);
      waiting = setTimeout(() => updateEstimate(form, route, estimate), DEBOUNCE_MS);
    };
    form.append(
      h(
        "div",
        { class: "stack wide-apart" },
        await formFields({ ...load("wish", {}), ...searchConditions(route) }, only.length, ask),
      ),
      h("div", { class: "sticky" }, estimate),
    );
    place.append(areaLine("the whole of its tile"), only.length ? productNotice(only) : "", form, list);
    updateEstimate(form, route, estimate);
  }
  const refreshList = async ({ signal }) => {
    const answer = await getIfChanged("orders?limit=50", signal);
    if (answer) replaceContent(list, orderTable(answer.orders.filter((one) => !one.subscription)));
  };
  replaceContent(
    list,
    orderTable((await get("orders?limit=50", route.signal)).orders.filter((one) => !one.subscription)),
  );
  return { refresh: refreshList };
}

// The products that the address names, such as the one a search was left with; else all that meets the conditions is meant.
const requestedProducts = ({ params }) => params.get("products")?.split(",").filter(Boolean) ?? [];

// Conditions that a search brings along take the place of those of the last order.
const searchConditions = ({ params }) =>
  params.has("start")
    ? Object.fromEntries(["start", "end", "max_cloud"].map((name) => [name, params.get(name) ?? ""]))
    : {};

const productNotice = (only) =>
  h(
    "div",
    { class: "card" },
    h(
      "p",
      {},
      only.length === 1
        ? "Only from this product: "
        : `Only from these ${format.count(only.length)} products: `,
      h("code", { class: "path" }, only.join(", ")),
    ),
    h("p", {}, h("a", { href: "#order" }, "Order by period and cloud instead")),
  );

async function formFields(before, only, ask) {
  const number = (name, label, note, value) =>
    h(
      "label",
      { class: "field" },
      h("span", {}, label),
      h("input", { name, type: "number", min: 0, max: 100, step: 1, value: value ?? "", placeholder: "any" }),
      h("small", {}, note),
    );
  const day = (name, label, value) =>
    h(
      "label",
      { class: "field" },
      h("span", {}, label),
      h("input", { name, type: "date", min: "2015-06-23", value: value ?? "" }),
    );
  const chosen = {
    indices: before.indices?.length || before.bands?.length ? (before.indices ?? []) : ["NDVI"],
    bands: before.bands ?? [],
  };
  return [
    h(
      "div",
      { class: "conditions four" },
      only
        ? []
        : [
            day("start", "From", before.start),
            day("end", "To", before.end),
            number("max_cloud", "Cloud, at most %", "over the whole product", before.max_cloud),
          ],
      number("min_clear", "Clear, at least %", "of your area", before.min_clear),
    ),
    ...(await recipeFields(chosen, ask)),
  ];
}

// What the form says of an order.
function readForm(form) {
  const given = Object.fromEntries(
    [...new FormData(form)].filter(([name, value]) => value !== "" && !["indices", "bands"].includes(name)),
  );
  for (const name of ["max_cloud", "min_clear"]) if (name in given) given[name] = Number(given[name]);
  return { ...given, ...readRecipe(form) };
}

// The body of POST /orders.
const orderBody = (form, route) => ({
  ...(!aoi() ? {} : aoi().tile ? { tile: aoi().tile } : { aoi: geometryOf(aoi()) }),
  ...readForm(form),
  ...(requestedProducts(route).length ? { products: requestedProducts(route) } : {}),
});

let estimateTurn = 0;
async function updateEstimate(form, route, estimate) {
  const mine = ++estimateTurn;
  const wanted = orderBody(form, route);
  if (!wanted.indices.length && !wanted.bands.length)
    return replaceContent(estimate, h("p", {}, "Choose an index or a band at least."), submitButton(false));
  try {
    const told = await post("orders/estimate", wanted, { signal: route.signal });
    if (mine !== estimateTurn) return undefined;
    return replaceContent(
      estimate,
      h(
        "h2",
        {},
        told.jobs
          ? `${format.plural(told.jobs, "acquisition")} to be worked`
          : "Nothing is known for these conditions",
      ),
      factList([
        ["Products", format.count(told.products)],
        ["Pixels", format.count(told.pixels)],
        ["To read", `about ${format.fileSize(told.bytes_read)}`],
        ["Results", `about ${format.fileSize(told.bytes_written)}`],
        ["Takes", `about ${format.duration(told.seconds)}`],
        told.cost_usd === null
          ? null
          : ["Costs", `about ${told.cost_usd.toFixed(told.cost_usd < 0.1 ? 4 : 2)} USD`],
      ]),
      told.refused ? h("p", { class: "wrong" }, format.toSentence(told.refused)) : null,
      told.assumptions.length
        ? h(
            "details",
            {},
            h("summary", {}, "How this is reckoned"),
            h(
              "ul",
              { class: "note list" },
              told.assumptions.map((text) => h("li", {}, format.toSentence(text))),
            ),
          )
        : null,
      submitButton(Boolean(told.jobs) && !told.refused),
    );
  } catch (error) {
    if (error.name === "AbortError" || mine !== estimateTurn) return undefined;
    if (!(error instanceof Problem)) throw error;
    return replaceContent(
      estimate,
      errorBox(error, () => updateEstimate(form, route, estimate)),
      submitButton(false),
    );
  }
}

const submitButton = (ready) =>
  h("p", { class: "row" }, h("button", { class: "first", "data-key": "order", disabled: !ready }, "Order"));
const factList = (all) =>
  h(
    "dl",
    { class: "facts" },
    all.filter(Boolean).map(([name, text]) => h("div", {}, h("dt", {}, name), h("dd", {}, text))),
  );

async function placeOrder(form, route, estimate) {
  const submit = form.querySelector("[data-key=order]");
  submit.disabled = true;
  try {
    const made = await post("orders", orderBody(form, route), { signal: route.signal });
    route.navigate(`order/${made.order}`);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof Problem)) throw error;
    submit.disabled = false;
    appendError(estimate, error);
  }
}

function orderTable(orders) {
  if (!orders.length) return h("p", { class: "note" }, "Orders that you place are listed here.");
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": "Your orders" },
    table(
      "Your orders, the newest first",
      [["Ordered"], ["What"], ["Period"], ["Acquisitions", "number"], ["State"]],
      orders.map((one) =>
        h(
          "tr",
          {},
          h(
            "th",
            { scope: "row" },
            h(
              "a",
              { href: `#order/${encodeURIComponent(one.order)}`, "data-key": one.order },
              format.time(one.created),
            ),
          ),
          h("td", {}, recipeNames(one.recipe).join(", ")),
          h("td", {}, periodText(one)),
          h("td", { class: "number" }, format.count(one.total)),
          h(
            "td",
            {},
            h(
              "span",
              { class: `state ${one.state === "finished" ? "done" : one.state}` },
              one.open ? `${one.total - one.open} of ${one.total}` : one.state,
            ),
          ),
        ),
      ),
    ),
  );
}

const periodText = (one) =>
  one.start || one.end
    ? `${one.start ? format.date(one.start) : "the beginning"} to ${one.end ? format.date(one.end) : "now"}`
    : "all that is known";

// ------------------------------------------------------------------------------------------------------- an order that was placed

async function orderPage(place, route) {
  const path = `orders/${encodeURIComponent(route.rest[0])}`;
  const heading = h("h1", {}, "Order");
  const line = h("p", { class: "told-line" }, h("a", { href: "#order" }, "All orders"));
  place.append(heading, line);
  const first = await get(path, route.signal);
  const head = h("div", { class: "stack" });
  const panel = resultsPanel({ path, recipe: first.recipe, aoi: first.aoi }, route);
  place.classList.add("contains");
  heading.textContent = `Order of ${format.date(first.created)}`;
  line.prepend(`${recipeNames(first.recipe).join(", ")}, ${periodText(first)}. `);
  place.append(head, panel.element);
  let told = "";
  const tell = async (order) => {
    const open = head.querySelector("details")?.open ?? false;
    replaceContent(
      head,
      renderProgress(order, path, (now) => tell(now), route),
    );
    head.querySelector("details").open = open;
    if (told && told !== order.state) route.announce(`The order is ${order.state}.`);
    told = order.state;
    await panel.update(order.jobs);
  };
  await tell(first);
  return {
    async refresh({ signal }) {
      if (told !== "running") return;
      const order = await getIfChanged(path, signal);
      if (order) await tell(order);
    },
    end: panel.end,
  };
}

function renderProgress(order, path, tell, route) {
  const { progress: at, estimate, actual } = order;
  const trail = [
    [at.done, "done"],
    [at.skipped, "skipped"],
    [at.failed, "failed"],
    [at.open, "open"],
  ]
    .filter(([count]) => count)
    .map(([count, state]) => `${format.count(count)} ${state}`);
  const against = (name, write) =>
    actual?.[name] === null || actual?.[name] === undefined
      ? null
      : `${write(actual[name])}${estimate ? `, about ${write(estimate[name])} expected` : ""}`;
  return h(
    "div",
    { class: "card" },
    h(
      "p",
      { class: "row apart" },
      h(
        "span",
        {},
        h(
          "b",
          {},
          order.state === "running" ? "Being worked" : order.state === "cancelled" ? "Cancelled" : "Finished",
        ),
        `: ${trail.join(", ") || "nothing to do"}.`,
      ),
      order.state === "running"
        ? h(
            "button",
            {
              type: "button",
              class: "small",
              "data-key": "cancel",
              onclick: async (event) => {
                event.target.disabled = true;
                try {
                  await tell(await send("DELETE", path, undefined, { signal: route.signal }));
                } catch (error) {
                  if (error.name === "AbortError") return;
                  if (!(error instanceof Problem)) throw error;
                  event.target.disabled = false;
                  event.target.after(errorBox(error, null));
                }
              },
            },
            "Cancel",
          )
        : null,
    ),
    order.state === "running"
      ? h("progress", { max: 1, value: at.share, "aria-label": "Share of the order that is worked" })
      : null,
    h(
      "details",
      {},
      h("summary", { "data-key": "account" }, "What it took"),
      factList([
        ["Read", against("bytes_read", format.fileSize) ?? "–"],
        ["Pixels", against("pixels", format.count) ?? "–"],
        ["Written", against("bytes_written", format.fileSize) ?? "–"],
        ["Time", against("seconds", format.duration) ?? "–"],
        ["Age", format.duration(order.age_s)],
      ]),
    ),
  );
}
