// The view of orders: the form of a new one at #order, the progress and results of one at #order/ID.

import { get, send } from "../lib/api.js";
import { errorBox, facts, h, replaceContent, workButton } from "../lib/dom.js";
import { followOrder, isOpen } from "../lib/follow_order.js";
import * as format from "../lib/format.js";
import { attempt } from "../lib/latest.js";
import { newOrderPage, periodText } from "./order_form.js";
import { recipeNames } from "./recipe_input.js";
import { resultsPanel } from "./results.js";

export const title = "Order";
export const wide = true;

export const enter = (place, route) => (route.rest[0] ? orderPage(place, route) : newOrderPage(place, route));

async function orderPage(place, route) {
  const path = `orders/${encodeURIComponent(route.rest[0])}`;
  const heading = h("h1", {}, "Order");
  const line = h("p", { class: "hint-line" }, h("a", { href: "#order" }, "All orders"));
  place.append(heading, line);
  const first = await get(path, route.signal);
  const head = h("div", { class: "stack" });
  const panel = resultsPanel({ path, recipe: first.recipe, aoi: first.aoi }, route);
  place.classList.add("contains");
  heading.textContent = `Order of ${format.date(first.created)}`;
  line.prepend(`${recipeNames(first.recipe).join(", ")}, ${periodText(first)}. `);
  place.append(head, panel.element);

  let state = first.state;
  const cancel = (event) => {
    const pressed = event.currentTarget;
    return attempt(
      async () => takeOver(await send("DELETE", path, undefined, { signal: route.signal })),
      (problem) => pressed.after(errorBox(problem, null)),
    );
  };
  const show = (order) => {
    const open = head.querySelector("details")?.open ?? false;
    replaceContent(head, renderProgress(order, cancel));
    head.querySelector("details").open = open;
    if (state !== order.state) route.announce(`The order is ${order.state}.`);
    state = order.state;
    return panel.update(order.jobs);
  };
  await show(first);
  const takeOver = followOrder(path, first, route, show);
}

function renderProgress(order, cancel) {
  const { progress, state } = order;
  return h(
    "div",
    { class: "card" },
    h(
      "p",
      { class: "row apart" },
      h("span", {}, h("b", {}, stateText(order)), outcomeText(order)),
      isOpen(order) ? workButton("Cancel", cancel, { class: "small", "data-key": "cancel" }) : null,
    ),
    order.reason ? h("p", { class: "wrong" }, format.toSentence(order.reason)) : null,
    state === "running"
      ? h("progress", { max: 1, value: progress.share, "aria-label": "Share of the order that is processed" })
      : null,
    h("details", {}, h("summary", { "data-key": "account" }, "Usage"), facts(usageFacts(order))),
  );
}

function stateText({ state, progress: { total, open } }) {
  if (state === "selecting") return "Selecting products …";
  if (state === "running") return `Processing: ${format.count(total - open)} of ${format.count(total)}`;
  return format.capitalize(state);
}

// Such as " (2 done, 1 skipped)" while it runs, and ": 17 done, 2 skipped." afterwards.
function outcomeText({ state, progress: { done, skipped, failed, open } }) {
  const counts = { done, skipped, failed, ...(state === "running" ? {} : { open }) };
  const parts = Object.entries(counts)
    .filter(([, count]) => count)
    .map(([name, count]) => `${format.count(count)} ${name}`);
  if (isOpen({ state })) return parts.length ? ` (${parts.join(", ")})` : "";
  return parts.length ? `: ${parts.join(", ")}.` : ": nothing to process.";
}

function usageFacts({ estimate, actual, age_s: age }) {
  const compared = (name, write) => {
    const value = actual?.[name];
    if (value === null || value === undefined) return "–";
    return `${write(value)}${estimate ? `, about ${write(estimate[name])} expected` : ""}`;
  };
  return [
    ["Read", compared("bytes_read", format.fileSize)],
    ["Pixels", compared("pixels", format.count)],
    ["Written", compared("bytes_written", format.fileSize)],
    ["Processing time", compared("seconds", format.duration)],
    ["Elapsed time", format.duration(age)],
  ];
}
