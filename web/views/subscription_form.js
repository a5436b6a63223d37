// A new subscription over the place in hand, with what it would have brought in the past.

import { Problem, post } from "../lib/api.js";
import { appendError, errorBox, h, replaceContent, table } from "../lib/dom.js";
import * as format from "../lib/format.js";
import { aoi, geometryOf, load, store } from "../lib/state.js";
import { areaLine, ensureSummary } from "./aoi_summary.js";
import { readRecipe, recipeFields } from "./recipe_input.js";

const DEBOUNCE_MS = 400;

export async function newSubscriptionPage(place, route) {
  place.append(h("h1", {}, "Watch a place"));
  if (!aoi()) {
    place.append(
      h(
        "div",
        { class: "empty stack" },
        h(
          "p",
          {},
          "A subscription watches one place: each clear pass writes an alert, with its picture, numbers and files.",
        ),
        h("p", {}, h("a", { href: "#place", class: "button first" }, "Choose a place")),
      ),
    );
    return {};
  }
  await ensureSummary(route.signal);
  const before = {
    name: aoi().name || "",
    level: "L2A",
    min_clear: 60,
    indices: ["NDVI"],
    bands: [],
    ...load("watch-wish"),
  };
  const past = h("div", { class: "card", "aria-live": "polite" });
  let waiting = null;
  const form = h("form", {
    class: "order-form",
    oninput: () => {
      store("watch-wish", readForm(form));
      clearTimeout(waiting);
      waiting = setTimeout(() => updatePreview(form, route, past), DEBOUNCE_MS);
    },
    onsubmit: (event) => {
      event.preventDefault();
      createSubscription(form, route, past, place);
    },
  });
  const number = (name, label, note) =>
    h(
      "label",
      { class: "field" },
      h("span", {}, label),
      h("input", { name, type: "number", min: 0, max: 100, value: before[name] ?? "", placeholder: "any" }),
      h("small", {}, note),
    );
  form.append(
    h(
      "div",
      { class: "stack wide-apart" },
      h(
        "label",
        { class: "field" },
        h("span", {}, "Name"),
        h("input", {
          name: "name",
          required: true,
          maxlength: 200,
          value: before.name,
          placeholder: "My field",
        }),
      ),
      h(
        "div",
        { class: "conditions four" },
        h(
          "label",
          { class: "field" },
          h("span", {}, "Level"),
          h(
            "select",
            { name: "level" },
            [
              ["L2A", "L2A, surface"],
              ["L1C", "L1C, top of atmosphere"],
            ].map(([value, text]) => h("option", { value, selected: value === before.level }, text)),
          ),
        ),
        number("max_cloud", "Cloud, at most %", "over the whole product"),
        number("min_clear", "Clear, at least %", "of your area"),
        h(
          "label",
          { class: "field" },
          h("span", {}, "Work its past from"),
          h("input", { name: "backfill", type: "date", min: "2015-06-23", value: before.backfill ?? "" }),
          h("small", {}, "empty: from now on"),
        ),
      ),
      await recipeFields(before, () => null),
      h(
        "label",
        { class: "field" },
        h("span", {}, "Webhooks, an https address a line"),
        h("textarea", { name: "webhooks", rows: 2 }, (before.webhooks ?? []).join("\n")),
        h("small", {}, "Alerts are posted there, signed (Standard Webhooks). There is a feed in any case."),
      ),
    ),
    h("div", { class: "sticky" }, past),
  );
  place.append(areaLine(), form);
  updatePreview(form, route, past);
  return {};
}

function readForm(form) {
  const given = Object.fromEntries(
    [...new FormData(form)].filter(
      ([name, value]) => value !== "" && !["indices", "bands", "webhooks"].includes(name),
    ),
  );
  for (const name of ["max_cloud", "min_clear"]) given[name] = name in given ? Number(given[name]) : null;
  const hooks = form.elements.webhooks.value.split(/\s+/).filter(Boolean);
  return { ...given, ...readRecipe(form), ...(hooks.length ? { webhooks: hooks } : {}) };
}

const subscriptionBody = (form) => ({ ...readForm(form), aoi: geometryOf(aoi()) });

let previewTurn = 0;
async function updatePreview(form, route, past) {
  const mine = ++previewTurn;
  const { name, webhooks, ...wanted } = subscriptionBody(form);
  try {
    const told = await post(
      "subscriptions/preview",
      { ...wanted, ...(wanted.backfill ? { from: wanted.backfill } : {}) },
      { signal: route.signal },
    );
    if (mine !== previewTurn) return undefined;
    const { acquisitions, would_have_fired: fired } = told;
    return replaceContent(
      past,
      h(
        "h2",
        {},
        acquisitions
          ? `Would have alerted ${format.count(fired)} ${fired === 1 ? "time" : "times"}`
          : "Nothing is known of its past",
      ),
      h(
        "p",
        {},
        acquisitions
          ? `Of ${format.plural(acquisitions, "acquisition")} from ${format.date(told.from)} to ${format.date(told.to)}, ${format.count(told.too_cloudy)} were too cloudy.`
          : `No acquisition since ${format.date(told.from)} is in the catalog; it is watched from now on all the same.`,
      ),
      acquisitions && told.judged ? h("p", { class: "note" }, format.toSentence(told.judged)) : null,
      acquisitions
        ? h(
            "details",
            {},
            h("summary", {}, "Month by month"),
            h(
              "div",
              { class: "scroll", tabindex: "0", role: "region", "aria-label": "Month by month" },
              table(
                "Alerts there would have been",
                [["Month"], ["Alerts", "number"], ["Acquisitions", "number"]],
                told.months.map((one) =>
                  h(
                    "tr",
                    {},
                    h("th", { scope: "row" }, one.month),
                    h("td", { class: "number" }, format.count(one.fired)),
                    h("td", { class: "number" }, format.count(one.passed)),
                  ),
                ),
              ),
            ),
          )
        : null,
      submitButton(),
    );
  } catch (error) {
    if (error.name === "AbortError" || mine !== previewTurn) return undefined;
    if (!(error instanceof Problem)) throw error;
    return replaceContent(
      past,
      errorBox(error, () => updatePreview(form, route, past)),
      submitButton(),
    );
  }
}

const submitButton = () =>
  h("p", { class: "row" }, h("button", { class: "first", "data-key": "watch" }, "Watch it"));

async function createSubscription(form, route, past, place) {
  const pressed = form.querySelector("[data-key=watch]");
  if (pressed) pressed.disabled = true;
  try {
    const made = await post("subscriptions", subscriptionBody(form), { signal: route.signal });
    store("watch-wish", null);
    const secrets = made.channels.filter(({ secret }) => secret);
    if (!secrets.length) return route.navigate(`watch/${made.subscription}`);
    // They are told this once.
    return replaceContent(
      place,
      h("h1", {}, `${made.name} is watched`),
      h(
        "div",
        { class: "card" },
        h("p", {}, "What is posted is signed with these secrets. They are shown once: keep them now."),
        secrets.map((way) => h("p", {}, way.target, h("br"), h("code", {}, way.secret))),
        h(
          "p",
          {},
          h(
            "a",
            { class: "button first", href: `#watch/${encodeURIComponent(made.subscription)}` },
            "I have kept them",
          ),
        ),
      ),
    );
  } catch (error) {
    if (error.name === "AbortError") return undefined;
    if (!(error instanceof Problem)) throw error;
    if (pressed) pressed.disabled = false;
    return appendError(past, error);
  }
}
