// What is watched: each subscription with its state, its last alert and the next pass, its results, its log of alerts and their deliveries.

import { apiUrl, get, getIfChanged, Problem, post, send } from "../lib/api.js";
import { appendError, errorBox, h, openDialog, replaceContent, table } from "../lib/dom.js";
import * as format from "../lib/format.js";
import { aoi, aoiLabel } from "../lib/state.js";
import { recipeNames } from "./recipe_input.js";
import { resultsPanel } from "./results.js";
import { newSubscriptionPage } from "./subscription_form.js";

export const title = "Watch";
export const wide = true;

const MAX_LOG_LINES = 200;
let activePage = null;

export async function enter(place, route) {
  activePage =
    route.rest[0] === "new" ? await newSubscriptionPage(place, route) : await subscriptionsPage(place, route);
}

export const refresh = async (route) => activePage?.refresh?.(route);

export function leave() {
  activePage?.end?.();
  activePage = null;
}

function conditionText(one) {
  const parts = [
    `${recipeNames(one.recipe).join(", ")} from ${one.level}`,
    `tile${one.tiles.length > 1 ? "s" : ""} ${one.tiles.join(", ")}`,
  ];
  if (one.max_cloud !== null) parts.push(`at most ${one.max_cloud} % cloud over the product`);
  if (one.min_clear !== null) parts.push(`at least ${one.min_clear} % of the area clear`);
  return parts.join("; ");
}

async function subscriptionsPage(place, route) {
  const list = h("ul", { class: "areas" });
  const area = h("section", { class: "area", "aria-label": "Area" });
  let all = (await get("subscriptions", route.signal)).subscriptions;
  place.append(h("h1", {}, "Watch"));
  if (!all.length) {
    place.append(renderEmpty());
    return {};
  }
  place.append(
    h(
      "div",
      { class: "columns" },
      h(
        "section",
        { "aria-labelledby": "areas-title" },
        h("h2", { id: "areas-title", class: "small" }, "Areas"),
        list,
        h("p", { class: "row below" }, h("a", { class: "button", href: "#watch/new" }, "Watch a place")),
      ),
      area,
    ),
  );
  const id = route.rest[0] ?? all[0].subscription;
  let one = all.find(({ subscription }) => subscription === id);
  if (!one) throw new Problem("This is not watched, or not by you. Choose one of the list.", 404);
  const tell = () =>
    replaceContent(
      list,
      all.map((each) =>
        h(
          "li",
          {},
          h(
            "a",
            {
              class: "choice",
              href: `#watch/${encodeURIComponent(each.subscription)}`,
              "data-key": each.subscription,
              "aria-current": each.subscription === id ? "true" : null,
            },
            h("span", { class: "name" }, each.name),
            h("span", { class: "note" }, each.state === "active" ? lastAlertText(each) : each.state),
          ),
        ),
      ),
    );
  tell();
  const page = await subscriptionPanel(area, one, route);
  return {
    async refresh(mine) {
      const answer = await getIfChanged("subscriptions", mine.signal);
      if (answer) {
        all = answer.subscriptions;
        one = all.find(({ subscription }) => subscription === id);
        if (!one) return route.navigate("watch");
        tell();
        page.tell(one);
      }
      return page.refresh(mine);
    },
    end: page.end,
  };
}

const lastAlertText = (one) =>
  one.last_alert ? `last alert ${format.date(one.last_alert.created)}` : "no alert yet";

async function subscriptionPanel(place, first, route) {
  const path = `subscriptions/${encodeURIComponent(first.subscription)}`;
  const head = h("div", { class: "stack" });
  const log = h("div", {});
  const panel = resultsPanel({ path, recipe: first.recipe, aoi: first.aoi }, route);
  place.append(head, panel.element, log);
  let one = first;
  let alerts = -1;
  const tell = (next) => {
    one = next;
    const open = head.querySelector("details")?.open ?? false;
    replaceContent(head, renderDetails(one, path, route, tell));
    head.querySelector("details").open = open;
  };
  const follow = async (signal) => {
    const answer = await getIfChanged(`${path}/results`, signal);
    if (answer) await panel.update(answer.jobs);
    const sent = await getIfChanged(`${path}/deliveries?limit=${MAX_LOG_LINES}`, signal);
    if (sent || alerts !== one.alerts) {
      const count = one.alerts;
      // Where this fails, it is asked again, although nothing may have changed by then.
      alerts = -1;
      const [lines, { deliveries }] = await Promise.all([
        get(`${path}/alerts?after=${Math.max(count - MAX_LOG_LINES, 0)}&limit=${MAX_LOG_LINES}`, signal),
        sent ?? get(`${path}/deliveries?limit=${MAX_LOG_LINES}`, signal),
      ]);
      alerts = count;
      replaceContent(log, renderAlertLog(lines.alerts, deliveries, one, route));
    }
  };
  tell(first);
  await panel.update((await get(`${path}/results`, route.signal)).jobs);
  await follow(route.signal);
  return { tell, refresh: ({ signal }) => follow(signal), end: panel.end };
}

function renderDetails(one, path, route, tell) {
  const failed = h("div", {});
  const act = (work) => async (event) => {
    event.currentTarget.disabled = true;
    try {
      const next = await work();
      if (next) tell(next);
    } catch (error) {
      event.target.disabled = false;
      if (error.name === "AbortError") return;
      if (!(error instanceof Problem)) throw error;
      replaceContent(failed, errorBox(error, null));
    }
  };
  const change = (changes) => act(() => send("PATCH", path, changes, { signal: route.signal }));
  return [
    h("h2", {}, one.name),
    h("p", { class: "told" }, conditionText(one)),
    h(
      "dl",
      { class: "facts" },
      [
        ["State", one.state],
        [
          "Last alert",
          one.last_alert
            ? `No. ${one.last_alert.number}, seen ${format.date(one.last_alert.datetime)}`
            : "none yet",
        ],
        ["Next pass", one.next_pass ? format.time(one.next_pass) : "not known yet"],
        ["Alerts", format.count(one.alerts)],
      ].map(([name, text]) => h("div", {}, h("dt", {}, name), h("dd", {}, text))),
    ),
    h(
      "p",
      { class: "row" },
      one.state === "active"
        ? h(
            "button",
            { type: "button", class: "small", "data-key": "pause", onclick: change({ state: "paused" }) },
            "Pause",
          )
        : h(
            "button",
            { type: "button", class: "small", "data-key": "pause", onclick: change({ state: "active" }) },
            "Resume",
          ),
      h(
        "button",
        {
          type: "button",
          class: "small",
          "data-key": "change",
          onclick: () => openChangeDialog(one, path, tell),
        },
        "Change …",
      ),
      h(
        "button",
        {
          type: "button",
          class: "small",
          "data-key": "delete",
          onclick: () => openDeleteDialog(one, path, route),
        },
        "Delete …",
      ),
    ),
    failed,
    h(
      "details",
      {},
      h("summary", { "data-key": "carried" }, "Feed, calendar and channels"),
      renderChannels(one, path, act),
    ),
  ];
}

// The addresses are secrets: whoever has one can read without signing in.
function renderChannels(one, path, act) {
  const renew = act(async () => {
    await post(`${path}/feed`);
    return get(path);
  });
  const end = act(async () => {
    await send("DELETE", `${path}/feed`);
    return get(path);
  });
  return h(
    "div",
    { class: "stack" },
    one.feed
      ? h(
          "p",
          {},
          h("a", { href: apiUrl(one.feed) }, "Atom feed of its alerts"),
          ", ",
          h("a", { href: apiUrl(one.calendar) }, "calendar of its next passes"),
          ": whoever has these addresses can read them without signing in.",
        )
      : h("p", {}, "It has no feed."),
    h(
      "p",
      { class: "row" },
      h(
        "button",
        { type: "button", class: "small", onclick: renew },
        one.feed ? "New addresses, end the old ones" : "Make a feed",
      ),
      one.feed ? h("button", { type: "button", class: "small", onclick: end }, "End the feed") : null,
    ),
    one.channels.length
      ? h(
          "ul",
          { class: "note list" },
          one.channels.map((way) =>
            h("li", {}, `${way.kind} ${way.target}: ${way.state}${way.reason ? `, ${way.reason}` : ""}`),
          ),
        )
      : h("p", { class: "note" }, "No webhook: its alerts are in the log and the feed."),
  );
}

const openFormDialog = (heading, ...children) =>
  openDialog({ "aria-label": heading }, h("form", { method: "dialog" }, h("h2", {}, heading), children));

function dialogButtons(verb, made) {
  return h(
    "p",
    { class: "row" },
    h("button", { class: "first" }, verb),
    h("button", { type: "button", onclick: () => made().close() }, "Back"),
  );
}

// What was typed and not saved when another view came, by the path of what it would change.
const unsavedChanges = new Map();

function openChangeDialog(one, path, tell) {
  const before = unsavedChanges.get(path) ?? one;
  const number = (name, label) =>
    h(
      "label",
      { class: "field" },
      h("span", {}, label),
      h("input", { name, type: "number", min: 0, max: 100, value: before[name] ?? "", placeholder: "any" }),
    );
  const box = openFormDialog(
    `Change ${one.name}`,
    h(
      "label",
      { class: "field" },
      h("span", {}, "Name"),
      h("input", { name: "name", required: true, maxlength: 200, value: before.name }),
    ),
    number("max_cloud", "Cloud over the product, at most %"),
    number("min_clear", "Clear over the area, at least %"),
    dialogButtons("Save", () => box),
  );
  const form = box.querySelector("form");
  box.addEventListener("close", () => {
    if (box.returnValue === "left") unsavedChanges.set(path, Object.fromEntries(new FormData(form)));
    else unsavedChanges.delete(path);
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { name, max_cloud: cloud, min_clear: clear } = event.target.elements;
    const limit = (field) => (field.value === "" ? null : field.valueAsNumber);
    try {
      tell(
        await send("PATCH", path, {
          name: name.value.trim(),
          max_cloud: limit(cloud),
          min_clear: limit(clear),
        }),
      );
      box.close();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      appendError(form, error);
    }
  });
}

function openDeleteDialog(one, path, route) {
  const box = openFormDialog(
    `Delete ${one.name}?`,
    h(
      "p",
      {},
      "It is watched no more, and its feed ends. Its results and its log stay until their time is over.",
    ),
    dialogButtons("Delete", () => box),
  );
  box.querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await send("DELETE", path);
      if (!box.open) return;
      box.close();
      route.navigate("watch");
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      appendError(box.querySelector("form"), error);
    }
  });
}

function renderAlertLog(alerts, deliveries, one, route) {
  if (!alerts.length)
    return h("p", { class: "empty" }, "No alert yet. The next clear pass writes the first line of this log.");
  const index = one.recipe.indices[0];
  const rows = [...alerts].reverse().map((line) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, line.number),
      h(
        "td",
        {},
        h(
          "button",
          {
            type: "button",
            class: "plain",
            onclick: () =>
              route.navigate(
                `watch/${encodeURIComponent(one.subscription)}?job=${encodeURIComponent(line.job)}`,
              ),
          },
          format.date(line.datetime),
        ),
      ),
      h("td", {}, `${format.time(line.created)}${line.backfill ? ", of the past" : ""}`),
      h("td", { class: "number" }, format.percent(line.clear_fraction)),
      index ? h("td", { class: "number" }, format.decimal(line.indices[index]?.mean)) : null,
      h(
        "td",
        {},
        renderDeliveries(
          deliveries.filter(({ alert }) => alert === line.alert),
          one,
        ),
      ),
      h("td", { class: "why" }, line.reason ?? ""),
    ),
  );
  return h(
    "div",
    { class: "scroll tall", tabindex: "0", role: "region", "aria-label": "Log of alerts" },
    table(
      alerts[0].number > 1
        ? `Alerts, the newest first (the last ${alerts.length})`
        : "Alerts, the newest first",
      [
        ["No."],
        ["Sensed"],
        ["Written"],
        ["Clear", "number"],
        index ? [index, "number"] : null,
        ["Deliveries"],
        ["Note"],
      ].filter(Boolean),
      rows,
    ),
  );
}

function renderDeliveries(deliveries, one) {
  if (!deliveries.length) return one.channels.length ? "none" : "–";
  return h(
    "ul",
    { class: "plain-list" },
    deliveries.map((way) =>
      h(
        "li",
        {},
        h(
          "details",
          {},
          h(
            "summary",
            { "data-key": way.delivery },
            h(
              "span",
              { class: `state ${{ delivered: "done", failed: "failed" }[way.state] ?? ""}` },
              `${way.state}, ${format.plural(way.attempts.length, "attempt")}`,
            ),
          ),
          h("p", { class: "note" }, way.target),
          h(
            "ul",
            { class: "note list" },
            way.attempts.map((attempt) => h("li", {}, `${format.time(attempt.at)}: ${attempt.outcome}`)),
          ),
          way.due ? h("p", { class: "note" }, `Next try ${format.time(way.due)}`) : null,
          h(
            "button",
            {
              type: "button",
              class: "small",
              onclick: async (event) => {
                const { target } = event;
                target.disabled = true;
                try {
                  await post(`deliveries/${encodeURIComponent(way.delivery)}/redeliver`);
                  target.replaceWith(h("span", { class: "note" }, "It is sent again."));
                } catch (error) {
                  if (!(error instanceof Problem)) throw error;
                  target.after(errorBox(error, null));
                }
              },
            },
            "Send again",
          ),
        ),
      ),
    ),
  );
}

function renderEmpty() {
  return h(
    "div",
    { class: "card" },
    h("h2", {}, "Nothing is watched yet"),
    h(
      "p",
      {},
      "Every clear pass of Sentinel-2 over a place that you watch appears here, with its picture, its numbers and its files.",
    ),
    h(
      "p",
      { class: "row" },
      aoi()
        ? h("a", { href: "#watch/new", class: "button first" }, `Watch ${aoiLabel(aoi())}`)
        : h("a", { href: "#place", class: "button first" }, "Choose a place"),
    ),
    h("p", {}, "Or from the command line:"),
    h(
      "pre",
      { tabindex: "0" },
      h(
        "code",
        {},
        'revisit subscribe --aoi field.geojson --name "My field" \\\n  --index NDVI --min-clear 60 --backfill 2024-04-01',
      ),
    ),
  );
}
