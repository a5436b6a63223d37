// The log of a subscription's alerts, with the deliveries of each.

import { post } from "../lib/api.js";
import { cell, errorBox, h, numberCell, rowHeader, scrollRegion, table, workButton } from "../lib/dom.js";
import * as format from "../lib/format.js";
import { attempt } from "../lib/latest.js";
import { indexNames } from "./recipe_input.js";

export function alertLog(alerts, deliveries, subscription, route) {
  if (!alerts.length)
    return h("p", { class: "empty" }, "No alerts yet. The next clear pass writes the first one.");
  const index = indexNames(subscription.recipe)[0];
  const rows = [...alerts].reverse().map((alert) => {
    const open = () =>
      route.navigate(
        `watch/${encodeURIComponent(subscription.subscription)}?job=${encodeURIComponent(alert.job)}`,
      );
    const own = deliveries.filter((delivery) => delivery.alert === alert.alert);
    return h(
      "tr",
      { "data-key": alert.alert },
      rowHeader(alert.number),
      cell(h("button", { type: "button", class: "plain", onclick: open }, format.date(alert.datetime))),
      cell(`${format.time(alert.created)}${alert.backfill ? " (backfill)" : ""}`, updateMark(alert)),
      numberCell(format.percent(alert.coverage)),
      numberCell(format.percent(alert.clear_fraction)),
      index ? numberCell(format.decimal(alert.indices[index]?.mean)) : null,
      cell(deliveryList(own, subscription)),
      h("td", { class: "why" }, alert.reason ?? ""),
    );
  });
  const columns = [
    ["No."],
    ["Sensed"],
    ["Written"],
    ["Seen", "number"],
    ["Clear", "number"],
    index ? [index, "number"] : null,
    ["Deliveries"],
    ["Note"],
  ].filter(Boolean);
  const caption =
    alerts[0].number > 1 ? `Last ${alerts.length} alerts (newest first)` : "Alerts (newest first)";
  return scrollRegion("Log of alerts", [table(caption, columns, rows)], "scroll tall");
}

// Marks an alert that tells of a changed result, such as after a further part of the pass has arrived.
const updateMark = ({ kind, updates }) =>
  kind === "updated" ? h("span", { class: "mark" }, `updates No. ${updates}`) : null;

function deliveryList(deliveries, { channels }) {
  if (!deliveries.length) return channels.length ? "none" : "–";
  return h("ul", { class: "plain-list" }, deliveries.map(deliveryLine));
}

const STATE_CLASSES = { delivered: "done", failed: "failed" };

function deliveryLine({ delivery, state, target, attempts, due }) {
  const label = `${state}, ${format.plural(attempts.length, "attempt")}`;
  const attemptLine = ({ at, outcome }) => h("li", {}, `${format.time(at)}: ${outcome}`);
  const sendAgain = (event) => {
    const pressed = event.currentTarget;
    return attempt(
      async () => {
        await post(`deliveries/${encodeURIComponent(delivery)}/redeliver`);
        pressed.replaceWith(h("span", { class: "note" }, "Sent again."));
      },
      (problem) => pressed.after(errorBox(problem, null)),
    );
  };
  return h(
    "li",
    { "data-key": delivery },
    h(
      "details",
      {},
      h("summary", {}, h("span", { class: `state ${STATE_CLASSES[state] ?? ""}` }, label)),
      h("p", { class: "note" }, target),
      h("ul", { class: "note list" }, attempts.map(attemptLine)),
      due ? h("p", { class: "note" }, `Next attempt ${format.time(due)}`) : null,
      workButton("Send again", sendAgain, { class: "small" }),
    ),
  );
}
