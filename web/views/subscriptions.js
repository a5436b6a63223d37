// The view of subscriptions: the list of watched areas, and the state, results and alerts of one of them.

import { apiUrl, get, getIfChanged, Problem, post, send } from "../lib/api.js";
import { errorBox, facts, h, replaceContent, row, updateContent, workButton } from "../lib/dom.js";
import * as format from "../lib/format.js";
import { attempt } from "../lib/latest.js";
import { aoi, aoiLabel } from "../lib/state.js";
import { alertLog } from "./alert_log.js";
import { recipeNames } from "./recipe_input.js";
import { resultsPanel } from "./results.js";
import { openChangeDialog, openDeleteDialog } from "./subscription_dialogs.js";
import { newSubscriptionPage } from "./subscription_form.js";

export const title = "Watch";
export const wide = true;

const MAX_LOG_LINES = 200;
const EXAMPLE_COMMAND =
  'revisit subscribe --aoi field.geojson --name "My field" \\\n' +
  "  --index NDVI --min-clear 60 --backfill 2024-04-01";

export const enter = (place, route) =>
  route.rest[0] === "new" ? newSubscriptionPage(place, route) : subscriptionsPage(place, route);

async function subscriptionsPage(place, route) {
  const { subscriptions } = await get("subscriptions", route.signal);
  place.append(h("h1", {}, "Watch"));
  if (!subscriptions.length) {
    place.append(emptyNotice());
    return;
  }
  const list = h("ul", { class: "areas" });
  const area = h("section", { class: "area", "aria-label": "Area" });
  place.append(columns(list, area));
  const id = route.rest[0] ?? subscriptions[0].subscription;
  const find = (all) => all.find(({ subscription }) => subscription === id);
  const chosen = find(subscriptions);
  if (!chosen) throw new Problem("No such watch, or it isn't yours. Choose one from the list.", 404);
  const showList = (all) =>
    updateContent(
      list,
      all.map((each) => listLine(each, id)),
    );
  showList(subscriptions);
  const panel = new SubscriptionPanel(area, chosen, route);
  route.onRefresh(async () => {
    const answer = await getIfChanged("subscriptions", route.signal);
    if (answer) {
      const next = find(answer.subscriptions);
      if (!next) return route.navigate("watch");
      showList(answer.subscriptions);
      panel.show(next);
    }
    return panel.refresh();
  });
  await panel.load();
}

const columns = (list, area) =>
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
  );

function listLine(each, chosenId) {
  const { subscription: id, name, state, last_alert: alert } = each;
  const lastAlert = alert ? `last alert ${format.date(alert.created)}` : "no alert yet";
  const link = {
    class: "choice",
    href: `#watch/${encodeURIComponent(id)}`,
    "aria-current": id === chosenId ? "true" : null,
  };
  const note = h("span", { class: "note" }, state === "active" ? lastAlert : state);
  return h("li", { "data-key": id }, h("a", link, h("span", { class: "name" }, name), note));
}

function emptyNotice() {
  const start = aoi()
    ? h("a", { href: "#watch/new", class: "button first" }, `Watch ${aoiLabel(aoi())}`)
    : h("a", { href: "#place", class: "button first" }, "Choose a place");
  return h(
    "div",
    { class: "card" },
    h("h2", {}, "No watched areas yet"),
    h(
      "p",
      {},
      "Each clear pass of Sentinel-2 over a watched area appears here with its picture, numbers and files.",
    ),
    row(start),
    h("p", {}, "Or from the command line:"),
    h("pre", { tabindex: "0" }, h("code", {}, EXAMPLE_COMMAND)),
  );
}

class SubscriptionPanel {
  constructor(place, subscription, route) {
    this.route = route;
    this.path = `subscriptions/${encodeURIComponent(subscription.subscription)}`;
    this.head = h("div", { class: "stack" });
    this.failed = h("div", {});
    this.log = h("div", {});
    const { recipe, aoi: area } = subscription;
    this.results = resultsPanel({ path: this.path, recipe, aoi: area }, route);
    this.alertsShown = -1;
    place.append(this.head, this.results.element, this.log);
    this.show(subscription);
  }

  show(subscription) {
    this.subscription = subscription;
    updateContent(this.head, this.details());
  }

  async load() {
    const { jobs } = await get(`${this.path}/results`, this.route.signal);
    await this.results.update(jobs);
    await this.refresh();
  }

  async refresh() {
    const { signal } = this.route;
    const answer = await getIfChanged(`${this.path}/results`, signal);
    if (answer) await this.results.update(answer.jobs);
    const deliveriesPath = `${this.path}/deliveries?limit=${MAX_LOG_LINES}`;
    const changed = await getIfChanged(deliveriesPath, signal);
    const count = this.subscription.alerts;
    if (!changed && this.alertsShown === count) return;
    // If a request below fails, the next refresh repeats it, although the deliveries have not changed by
    // then.
    this.alertsShown = -1;
    const after = Math.max(count - MAX_LOG_LINES, 0);
    const [{ alerts }, { deliveries }] = await Promise.all([
      get(`${this.path}/alerts?after=${after}&limit=${MAX_LOG_LINES}`, signal),
      changed ?? get(deliveriesPath, signal),
    ]);
    this.alertsShown = count;
    updateContent(this.log, alertLog(alerts, deliveries, this.subscription, this.route));
  }

  // A button whose request may return the changed subscription.
  action(label, key, work) {
    const run = () =>
      attempt(
        async () => {
          const next = await work();
          this.failed.replaceChildren();
          if (next) this.show(next);
        },
        (problem) => replaceContent(this.failed, errorBox(problem, null)),
      );
    return workButton(label, run, { class: "small", "data-key": key });
  }

  details() {
    const { subscription, path, route } = this;
    const { name, state, last_alert: alert, next_pass: next, alerts } = subscription;
    const set = (changes) => send("PATCH", path, changes, { signal: route.signal });
    const pause =
      state === "active"
        ? this.action("Pause", "pause", () => set({ state: "paused" }))
        : this.action("Resume", "pause", () => set({ state: "active" }));
    const change = () => openChangeDialog(subscription, path, (changed) => this.show(changed));
    const remove = () => openDeleteDialog(subscription, path, route);
    return [
      h("h2", {}, name),
      h("p", { class: "hint" }, conditionText(subscription)),
      facts([
        ["State", state],
        ["Last alert", alert ? `No. ${alert.number}, sensed ${format.date(alert.datetime)}` : "none yet"],
        ["Next pass", next ? format.time(next) : "unknown"],
        ["Alerts", format.count(alerts)],
      ]),
      row(
        pause,
        h("button", { type: "button", class: "small", "data-key": "change", onclick: change }, "Change …"),
        h("button", { type: "button", class: "small", "data-key": "delete", onclick: remove }, "Delete …"),
      ),
      this.failed,
      h(
        "details",
        {},
        h("summary", { "data-key": "carried" }, "Feed, calendar and channels"),
        this.channels(),
      ),
    ];
  }

  channels() {
    const { path } = this;
    const { feed, calendar, channels } = this.subscription;
    const replace = this.action(feed ? "Replace the addresses" : "Create a feed", "feed", async () => {
      await post(`${path}/feed`);
      return get(path);
    });
    const remove = this.action("Remove the feed", "no-feed", async () => {
      await send("DELETE", `${path}/feed`);
      return get(path);
    });
    return h(
      "div",
      { class: "stack" },
      feed ? feedLinks(feed, calendar) : h("p", {}, "This subscription has no feed."),
      row(replace, feed ? remove : null),
      channels.length
        ? h("ul", { class: "note list" }, channels.map(channelLine))
        : h("p", { class: "note" }, "No webhooks: alerts are in the log and the feed."),
    );
  }
}

function conditionText(subscription) {
  const { recipe, level, tiles, max_cloud: cloud, min_coverage: coverage, min_clear: clear } = subscription;
  const parts = [
    `${recipeNames(recipe).join(", ")} from ${level}`,
    `tile${tiles.length > 1 ? "s" : ""} ${tiles.join(", ")}`,
  ];
  if (cloud !== null) parts.push(`scene cloud cover at most ${cloud} %`);
  if (coverage !== null) parts.push(`at least ${coverage} % of the area seen`);
  const base = subscription.min_clear_of === "seen" ? "seen part" : "area";
  if (clear !== null) parts.push(`at least ${clear} % of the ${base} clear`);
  return parts.join("; ");
}

// The addresses are secrets: they work without signing in.
const feedLinks = (feed, calendar) =>
  h(
    "p",
    {},
    h("a", { href: apiUrl(feed) }, "Atom feed of alerts"),
    ", ",
    h("a", { href: apiUrl(calendar) }, "calendar of next passes"),
    ". Anyone with these addresses can read them without signing in.",
  );

const channelLine = ({ kind, target, state, reason }) =>
  h("li", {}, `${kind} ${target}: ${state}${reason ? `, ${reason}` : ""}`);
