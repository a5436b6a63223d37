// Ordering what was seen of the place in hand, and following an order until its results are there.

import { Problem, changed, get, post, send } from "./api.js";
import { complain, h, show, table, trouble } from "./dom.js";
import { over } from "./extent.js";
import { names, recipeFields, ticked } from "./recipes.js";
import { results } from "./results.js";
import { aoi, keep, kept, shape } from "./state.js";
import * as words from "./words.js";

export const title = "Order";
export const wide = true;

const PAUSE = 400;
let shown = null;

export async function enter(place, route) {
  shown = route.rest[0] ? await placed(place, route) : await blank(place, route);
}

export const again = async (route) => shown?.again?.(route);

export function leave() {
  shown?.end?.();
  shown = null;
}

// ------------------------------------------------------------------------------------------------------------ a new order

async function blank(place, route) {
  const list = h("div", { class: "stack" });
  const estimate = h("div", { class: "card", "aria-live": "polite" });
  const only = products(route);
  place.append(h("h1", {}, "Order"));
  if (!aoi() && !only.length) {
    place.append(h("div", { class: "empty stack" }, h("p", {}, "An order cuts bands and indices out of every acquisition over one place."),
      h("p", {}, h("a", { href: "#place", class: "button first" }, "Choose a place"))), list);
  } else {
    const form = h("form", { class: "order-form", onsubmit: (event) => {
      event.preventDefault();
      order(event.target, route, estimate);
    }, oninput: () => ask() });
    let waiting = null;
    const ask = () => {
      // What was changed here counts, not what the address brought.
      if (!only.length) route.keep({});
      // Products that are named leave the period and the cloud as they were for the next order.
      keep("wish", { ...(only.length ? kept("wish", {}) : {}), ...wish(form) });
      clearTimeout(waiting);
      waiting = setTimeout(() => reckon(form, route, estimate), PAUSE);
    };
    form.append(h("div", { class: "stack wide-apart" }, await fields({ ...kept("wish", {}), ...brought(route) }, only.length, ask)), h("div", { class: "sticky" }, estimate));
    place.append(over("the whole of its tile"), only.length ? named(only) : "", form, list);
    reckon(form, route, estimate);
  }
  const again = async ({ signal }) => {
    const answer = await changed("orders?limit=50", signal);
    if (answer) show(list, earlier(answer.orders.filter((one) => !one.subscription)));
  };
  show(list, earlier((await get("orders?limit=50", route.signal)).orders.filter((one) => !one.subscription)));
  return { again };
}

// The products that the address names, such as the one a search was left with; else all that meets the conditions is meant.
const products = ({ params }) => params.get("products")?.split(",").filter(Boolean) ?? [];

// Conditions that a search brings along take the place of those of the last order.
const brought = ({ params }) => (params.has("start") ? Object.fromEntries(["start", "end", "max_cloud"].map((name) => [name, params.get(name) ?? ""])) : {});

const named = (only) => h("div", { class: "card" }, h("p", {}, only.length === 1 ? "Only from this product: " : `Only from these ${words.count(only.length)} products: `,
  h("code", { class: "path" }, only.join(", "))), h("p", {}, h("a", { href: "#order" }, "Order by period and cloud instead")));

async function fields(before, only, ask) {
  const number = (name, label, note, value) => h("label", { class: "field" }, h("span", {}, label),
    h("input", { name, type: "number", min: 0, max: 100, step: 1, value: value ?? "", placeholder: "any" }), h("small", {}, note));
  const day = (name, label, value) => h("label", { class: "field" }, h("span", {}, label), h("input", { name, type: "date", min: "2015-06-23", value: value ?? "" }));
  const chosen = { indices: before.indices?.length || before.bands?.length ? before.indices ?? [] : ["NDVI"], bands: before.bands ?? [] };
  return [
    h("div", { class: "conditions four" }, only ? [] : [day("start", "From", before.start), day("end", "To", before.end),
      number("max_cloud", "Cloud, at most %", "over the whole product", before.max_cloud)], number("min_clear", "Clear, at least %", "of your area", before.min_clear)),
    ...await recipeFields(chosen, ask),
  ];
}

// What the form says of an order.
function wish(form) {
  const given = Object.fromEntries([...new FormData(form)].filter(([name, value]) => value !== "" && !["indices", "bands"].includes(name)));
  for (const name of ["max_cloud", "min_clear"]) if (name in given) given[name] = Number(given[name]);
  return { ...given, ...ticked(form) };
}

// The body of POST /orders.
const body = (form, route) => ({ ...(!aoi() ? {} : aoi().tile ? { tile: aoi().tile } : { aoi: shape(aoi()) }), ...wish(form),
  ...(products(route).length ? { products: products(route) } : {}) });

let asked = 0;
async function reckon(form, route, estimate) {
  const mine = ++asked;
  const wanted = body(form, route);
  if (!wanted.indices.length && !wanted.bands.length) return show(estimate, h("p", {}, "Choose an index or a band at least."), button(false));
  try {
    const told = await post("orders/estimate", wanted, { signal: route.signal });
    if (mine !== asked) return undefined;
    return show(estimate, h("h2", {}, told.jobs ? `${words.many(told.jobs, "acquisition")} to be worked` : "Nothing is known for these conditions"), facts([
      ["Products", words.count(told.products)], ["Pixels", words.count(told.pixels)], ["To read", `about ${words.size(told.bytes_read)}`],
      ["Results", `about ${words.size(told.bytes_written)}`], ["Takes", `about ${words.span(told.seconds)}`],
      told.cost_usd === null ? null : ["Costs", `about ${told.cost_usd.toFixed(told.cost_usd < 0.1 ? 4 : 2)} USD`]]),
    told.refused ? h("p", { class: "wrong" }, words.sentence(told.refused)) : null,
    told.assumptions.length ? h("details", {}, h("summary", {}, "How this is reckoned"), h("ul", { class: "note list" }, told.assumptions.map((text) => h("li", {}, words.sentence(text))))) : null,
    button(Boolean(told.jobs) && !told.refused));
  } catch (error) {
    if (error.name === "AbortError" || mine !== asked) return undefined;
    if (!(error instanceof Problem)) throw error;
    return show(estimate, trouble(error, () => reckon(form, route, estimate)), button(false));
  }
}

const button = (ready) => h("p", { class: "row" }, h("button", { class: "first", "data-key": "order", disabled: !ready }, "Order"));
const facts = (all) => h("dl", { class: "facts" }, all.filter(Boolean).map(([name, text]) => h("div", {}, h("dt", {}, name), h("dd", {}, text))));

async function order(form, route, estimate) {
  const submit = form.querySelector("[data-key=order]");
  submit.disabled = true;
  try {
    const made = await post("orders", body(form, route), { signal: route.signal });
    route.go(`order/${made.order}`);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof Problem)) throw error;
    submit.disabled = false;
    complain(estimate, error);
  }
}

function earlier(orders) {
  if (!orders.length) return h("p", { class: "note" }, "Orders that you place are listed here.");
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Your orders" }, table("Your orders, the newest first", [["Ordered"], ["What"], ["Period"], ["Acquisitions", "number"], ["State"]],
    orders.map((one) => h("tr", {}, h("th", { scope: "row" }, h("a", { href: `#order/${encodeURIComponent(one.order)}`, "data-key": one.order }, words.time(one.created))),
      h("td", {}, names(one.recipe).join(", ")), h("td", {}, period(one)), h("td", { class: "number" }, words.count(one.total)),
      h("td", {}, h("span", { class: `state ${one.state === "finished" ? "done" : one.state}` }, one.open ? `${one.total - one.open} of ${one.total}` : one.state))))));
}

const period = (one) => (one.start || one.end ? `${one.start ? words.date(one.start) : "the beginning"} to ${one.end ? words.date(one.end) : "now"}` : "all that is known");

// ------------------------------------------------------------------------------------------------------- an order that was placed

async function placed(place, route) {
  const path = `orders/${encodeURIComponent(route.rest[0])}`;
  const heading = h("h1", {}, "Order");
  const line = h("p", { class: "told-line" }, h("a", { href: "#order" }, "All orders"));
  place.append(heading, line);
  const first = await get(path, route.signal);
  const head = h("div", { class: "stack" });
  const panel = results({ path, recipe: first.recipe, aoi: first.aoi }, route);
  place.classList.add("contains");
  heading.textContent = `Order of ${words.date(first.created)}`;
  line.prepend(`${names(first.recipe).join(", ")}, ${period(first)}. `);
  place.append(head, panel.element);
  let told = "";
  const tell = async (order) => {
    const open = head.querySelector("details")?.open ?? false;
    show(head, progress(order, path, (now) => tell(now), route));
    head.querySelector("details").open = open;
    if (told && told !== order.state) route.say(`The order is ${order.state}.`);
    told = order.state;
    await panel.update(order.jobs);
  };
  await tell(first);
  return {
    async again({ signal }) {
      if (told !== "running") return;
      const order = await changed(path, signal);
      if (order) await tell(order);
    },
    end: panel.end,
  };
}

function progress(order, path, tell, route) {
  const { progress: at, estimate, actual } = order;
  const trail = [[at.done, "done"], [at.skipped, "skipped"], [at.failed, "failed"], [at.open, "open"]].filter(([count]) => count).map(([count, state]) => `${words.count(count)} ${state}`);
  const against = (name, write) => (actual?.[name] === null || actual?.[name] === undefined ? null : `${write(actual[name])}${estimate ? `, about ${write(estimate[name])} expected` : ""}`);
  return h("div", { class: "card" },
    h("p", { class: "row apart" }, h("span", {}, h("b", {}, order.state === "running" ? "Being worked" : order.state === "cancelled" ? "Cancelled" : "Finished"), `: ${trail.join(", ") || "nothing to do"}.`),
      order.state === "running" ? h("button", { type: "button", class: "small", "data-key": "cancel", onclick: async (event) => {
        event.target.disabled = true;
        try {
          await tell(await send("DELETE", path, undefined, { signal: route.signal }));
        } catch (error) {
          if (error.name === "AbortError") return;
          if (!(error instanceof Problem)) throw error;
          event.target.disabled = false;
          event.target.after(trouble(error, null));
        }
      } }, "Cancel") : null),
    order.state === "running" ? h("progress", { max: 1, value: at.share, "aria-label": "Share of the order that is worked" }) : null,
    h("details", {}, h("summary", { "data-key": "account" }, "What it took"), facts([
      ["Read", against("bytes_read", words.size) ?? "–"], ["Pixels", against("pixels", words.count) ?? "–"],
      ["Written", against("bytes_written", words.size) ?? "–"], ["Time", against("seconds", words.span) ?? "–"],
      ["Age", words.span(order.age_s)]])));
}
