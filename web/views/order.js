// The view of orders: the form of a new one at #order, the progress and results of one at #order/ID.

import { get, send } from "../lib/api.js";
import { errorBox, facts, h, updateContent, workButton } from "../lib/dom.js";
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
  const panel = resultsPanel({ path, recipe: first.recipe, aoi: first.aoi }, route);
  place.classList.add("contains");
  heading.textContent = `Order of ${format.date(first.created)}`;
  line.prepend(`${recipeNames(first.recipe).join(", ")}, ${periodText(first)}. `);
  place.append(panel.element);

  let state = first.state;
  const cancel = (event) => {
    const pressed = event.currentTarget;
    return attempt(
      async () => takeOver(await send("DELETE", path, undefined, { signal: route.signal })),
      (problem) => pressed.after(errorBox(problem, null)),
    );
  };
  const progress = new ProgressCard(cancel);
  place.insertBefore(progress.element, panel.element);
  const show = (order) => {
    progress.show(order);
    if (state !== order.state) route.announce(`The order is ${order.state}.`);
    state = order.state;
    // An order that has ended without a job gets no results.
    panel.element.hidden = !isOpen(order) && !order.jobs.length;
    return panel.update(order.jobs);
  };
  await show(first);
  const takeOver = followOrder(path, first, route, show);
}

// Its elements stay while their texts change, so that a click on the button meets it at any time.
class ProgressCard {
  constructor(cancel) {
    this.cancel = workButton("Cancel", cancel, { class: "small", "data-key": "cancel" });
    this.text = h("span", {});
    this.row = h("p", { class: "row apart" }, this.text);
    this.reason = h("p", { class: "wrong" });
    this.notes = h("div", { class: "note" });
    this.bar = h("progress", { max: 1, "aria-label": "Share of the order that is processed" });
    this.usage = h("div", {});
    const details = h("details", {}, h("summary", {}, "Usage"), this.usage);
    this.element = h("div", { class: "card" }, this.row, this.reason, this.notes, this.bar, details);
  }

  show(order) {
    const { progress, reason, state } = order;
    updateContent(this.text, h("b", {}, stateText(order)), outcomeText(order));
    if (!isOpen(order)) this.cancel.remove();
    else if (!this.cancel.parentNode) this.row.append(this.cancel);
    this.reason.hidden = !reason;
    this.reason.textContent = reason ? format.toSentence(reason) : "";
    const notes = order.notes.map((text) => h("p", {}, format.toSentence(text)));
    updateContent(this.notes, notes);
    this.notes.hidden = !notes.length;
    this.bar.hidden = state !== "running";
    this.bar.value = progress.share;
    updateContent(this.usage, facts(usageFacts(order)));
  }
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
