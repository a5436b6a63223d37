// The form of a new subscription over the current AOI, with a preview of the alerts that it would have
// written.

import { post } from "../lib/api.js";
import {
  field,
  h,
  numberCell,
  replaceContent,
  row,
  rowHeader,
  scrollRegion,
  select,
  table,
} from "../lib/dom.js";
import * as format from "../lib/format.js";
import { aoi, geometryOf, load, store } from "../lib/state.js";
import { areaLine, ensureSummary } from "./aoi_summary.js";
import { clearBaseField, dateField, estimateForm, percentField } from "./estimate_form.js";
import { markMissingBands } from "./missing_bands.js";
import { readRecipe, recipeFields } from "./recipe_input.js";

const LEVELS = [
  ["L2A", "L2A, surface"],
  ["L1C", "L1C, top of atmosphere"],
];
const CERTAINTY = { processed: "", estimated: "About ", "upper bound": "At most " };
const DEFAULTS = { level: "L2A", min_coverage: 50, min_clear: 60, indices: ["NDVI"], bands: [] };

export async function newSubscriptionPage(place, route) {
  place.append(h("h1", {}, "Watch a place"));
  if (!aoi()) {
    place.append(noAreaNotice());
    return;
  }
  await ensureSummary(route.signal);
  const initial = { name: aoi().name || "", ...DEFAULTS, ...load("watch-wish") };
  const { form, update } = estimateForm({
    fields: await formFields(initial),
    signal: route.signal,
    onInput: (changed) => store("watch-wish", readForm(changed)),
    estimate: (changed, signal) => previewAlerts(subscriptionBody(changed), signal),
    required: false,
    label: "Watch it",
    key: "watch",
    send: async (filled) => {
      const created = await post("subscriptions", subscriptionBody(filled), { signal: route.signal });
      store("watch-wish", null);
      showCreated(place, created, route);
    },
  });
  place.append(areaLine(""), form);
  update();
  markMissingBands(form, [], route.signal);
}

const noAreaNotice = () =>
  h(
    "div",
    { class: "empty stack" },
    h(
      "p",
      {},
      "A subscription watches one area: each clear pass writes an alert with its picture, numbers and files.",
    ),
    h("p", {}, h("a", { href: "#place", class: "button first" }, "Choose a place")),
  );

async function formFields(initial) {
  const name = h("input", {
    name: "name",
    required: true,
    maxlength: 200,
    value: initial.name,
    placeholder: "My field",
  });
  const webhooks = h("textarea", { name: "webhooks", rows: 2 }, (initial.webhooks ?? []).join("\n"));
  return [
    field("Name", name),
    h(
      "div",
      { class: "conditions four" },
      field("Level", select({ name: "level" }, LEVELS, initial.level)),
      percentField("max_cloud", "Maximum cloud cover (%)", "of the whole scene", initial.max_cloud),
      percentField("min_coverage", "Minimum coverage (%)", "seen of your area", initial.min_coverage),
      percentField("min_clear", "Minimum clear share (%)", null, initial.min_clear),
      clearBaseField(initial.min_clear_of),
      dateField("backfill", "Include images since", "leave empty to start today", initial.backfill),
    ),
    ...(await recipeFields(initial)),
    field(
      "Webhook URLs, one per line (https)",
      webhooks,
      "Alerts are posted there and signed (Standard Webhooks). An Atom feed is always created.",
    ),
  ];
}

function readForm(form) {
  const other = ["indices", "bands", "webhooks"];
  const values = Object.fromEntries(
    [...new FormData(form)].filter(([name, value]) => value !== "" && !other.includes(name)),
  );
  for (const name of ["max_cloud", "min_coverage", "min_clear"])
    values[name] = name in values ? Number(values[name]) : null;
  const webhooks = form.elements.webhooks.value.split(/\s+/).filter(Boolean);
  return { ...values, ...readRecipe(form), ...(webhooks.length ? { webhooks } : {}) };
}

// The body of POST /subscriptions.
const subscriptionBody = (form) => ({ ...readForm(form), aoi: geometryOf(aoi()) });

async function previewAlerts({ name: _name, webhooks: _webhooks, ...body }, signal) {
  const request = { ...body, ...(body.backfill ? { from: body.backfill } : {}) };
  const preview = await post("subscriptions/preview", request, { signal });
  return { content: h("div", { class: "stack" }, previewContent(preview)), ready: true };
}

function previewContent(preview) {
  const { acquisitions: passes, would_have_fired: alerts, judged } = preview;
  const from = format.date(preview.from);
  if (!passes) {
    return [
      h("h2", {}, `No images since ${from}`),
      h("p", {}, `${format.toSentence(judged)} Monitoring still starts now.`),
    ];
  }
  const period = `${format.plural(passes, "pass", "passes")} from ${from} to ${format.date(preview.to)}`;
  const left = [
    [preview.too_cloudy, "too cloudy"],
    [preview.too_little_seen, "with too little of your area"],
  ].filter(([count]) => count);
  const leftOut = left.map(([count, why]) => `${format.count(count)} ${why}`).join(", ");
  return [
    h("h2", {}, `${CERTAINTY[preview.basis]}${format.plural(alerts, "alert")} since ${from}`),
    h("p", {}, leftOut ? `${period}; of them ${leftOut}.` : `${period}.`),
    judged ? h("p", { class: "note" }, format.toSentence(judged)) : null,
    h("details", {}, h("summary", {}, "Month by month"), monthTable(preview.months)),
  ];
}

function monthTable(months) {
  const rows = months
    .filter(({ passed }) => passed)
    .map(({ month, fired, passed }) =>
      h("tr", {}, rowHeader(month), numberCell(format.count(fired)), numberCell(format.count(passed))),
    );
  const columns = [["Month"], ["Alerts", "number"], ["Passes", "number"]];
  return scrollRegion("Month by month", [table("Alerts per month", columns, rows)]);
}

function showCreated(place, created, route) {
  const secrets = created.channels.filter(({ secret }) => secret);
  if (!secrets.length) return route.navigate(`watch/${created.subscription}`);
  const href = `#watch/${encodeURIComponent(created.subscription)}`;
  return replaceContent(
    place,
    h("h1", {}, `Watching ${created.name}`),
    h(
      "div",
      { class: "card" },
      h("p", {}, "Copy these signing secrets now; they won't be shown again."),
      secrets.map(({ target, secret }) => h("p", {}, target, h("br"), h("code", {}, secret))),
      row(h("a", { class: "button first", href }, "I've saved them")),
    ),
  );
}
