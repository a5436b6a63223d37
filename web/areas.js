// The areas watched or ordered, and the one that is looked at.

import { address, changed, get } from "./api.js";
import { chart } from "./chart.js";
import { h, show, table } from "./dom.js";
import { preview } from "./preview.js";
import * as words from "./words.js";

export const title = "Watch";
export const wide = true;

let list = null;
let shown = null;
let areas = [];
let chosen = null;
let job = null;
let index = null;
let drawn = "";

export async function enter(place, { rest, signal }) {
  if (rest[0]) chosen = rest[0];
  list = h("ul", { class: "areas" });
  shown = h("section", { class: "area", "aria-label": "Area" });
  drawn = "";
  place.append(h("h1", {}, "Watch"), h("div", { class: "columns" }, h("section", { "aria-labelledby": "areas-title" },
    h("h2", { id: "areas-title", class: "small" }, "Areas"), list), shown));
  await draw(signal);
}

// The lists are cheap to ask for, and an area is drawn anew only where something about it is.
export const again = ({ signal }) => draw(signal);

async function draw(signal) {
  const [subscriptions, orders] = await Promise.all([changed("subscriptions", signal), changed("orders?limit=20", signal)]);
  if (subscriptions) lists.subscriptions = subscriptions.subscriptions;
  if (orders) lists.orders = orders.orders.filter((order) => !order.subscription);
  listAreas(lists.subscriptions, lists.orders, refresh);
  await area(chosenArea());
}

const lists = { subscriptions: [], orders: [] };
const refresh = () => area(chosenArea());

const chosenArea = () => areas.find((one) => one.id === chosen) ?? areas[0] ?? null;

function listAreas(subscriptions, orders, refresh) {
  areas = [
    ...subscriptions.map((one) => ({ id: one.subscription, path: `subscriptions/${one.subscription}`, name: one.name, state: one.state,
      note: words.many(one.alerts, "alert"), recipe: one.recipe, told: conditions(one), feed: one.feed })),
    ...orders.map((one) => ({ id: one.order, path: `orders/${one.order}`, name: `Order of ${words.date(one.created)}`, state: one.state,
      note: one.open ? `${one.total - one.open} of ${one.total} worked` : words.many(one.total, "acquisition"), recipe: one.recipe,
      told: `${names(one.recipe)}${one.start || one.end ? `, ${words.date(one.start)} to ${words.date(one.end)}` : ", all that is known"}` })),
  ];
  const current = chosenArea();
  show(list, areas.length ? areas.map((one) => h("li", {},
    h("button", { type: "button", "data-key": one.id, "aria-current": one === current ? "true" : null, onclick: () => {
      chosen = one.id;
      job = index = null;
      listAreas(subscriptions, orders, refresh);
      refresh();
    } }, h("span", { class: "name" }, one.name), h("span", { class: "note" }, `${one.note} · ${one.state}`)))) : h("li", { class: "note" }, "None yet"));
}

const names = (recipe) => [...recipe.indices, ...recipe.bands].join(", ");

function conditions(one) {
  const parts = [`${names(one.recipe)} from ${one.level}`, `tile${one.tiles.length > 1 ? "s" : ""} ${one.tiles.join(", ")}`];
  if (one.max_cloud !== null) parts.push(`at most ${one.max_cloud} % cloud over the product`);
  if (one.min_clear !== null) parts.push(`at least ${one.min_clear} % of the area clear`);
  return parts.join("; ");
}

async function area(one) {
  if (!one) return show(shown, nothing());
  const wanted = index ?? one.recipe.indices[0] ?? one.recipe.bands[0];
  const [{ jobs }, { observations }] = await Promise.all([get(`${one.path}/results`), get(`${one.path}/series?index=${encodeURIComponent(wanted)}`)]);
  if (chosenArea()?.id !== one.id) return undefined;
  const latest = jobs.filter((each) => each.state === "done").at(-1);
  const looked = jobs.find((each) => each.job === job && each.state === "done") ?? latest;
  const now = JSON.stringify([one, wanted, looked?.job, jobs, observations]);
  if (now === drawn) return undefined;
  drawn = now;
  const seen = new Set(observations.map((each) => each.job));
  const missed = jobs.filter((each) => each.finished && !seen.has(each.job)).map((each) => Date.parse(each.datetime));
  const choose = (id) => {
    job = id;
    area(one);
  };
  const figure = looked ? await picture(looked, looked === latest) : h("figure", { class: "empty" }, h("p", {}, waiting(jobs)));
  return show(shown,
    h("h2", {}, one.name), h("p", { class: "told" }, one.told),
    h("div", { class: "figures" },
      figure,
      h("figure", {},
        h("figcaption", {}, picker(one, wanted)),
        observations.length ? chart(observations, missed, wanted, looked?.job, choose) : h("p", { class: "empty" }, "No clear observation yet."))),
    acquisitions(jobs, wanted, looked, choose),
    one.feed ? h("p", { class: "links" }, h("a", { href: address(one.feed) }, "Atom feed"), " · ",
      h("a", { href: address(`${one.path}/series?index=${encodeURIComponent(wanted)}&format=csv`) }, "series as CSV")) : null);
}

function picker(one, wanted) {
  const all = [...one.recipe.indices, ...one.recipe.bands];
  if (all.length === 1) return h("span", {}, `${wanted} through time`);
  return h("label", {}, h("select", { "data-key": "index", onchange: (event) => {
    index = event.target.value;
    area(one);
  } }, all.map((name) => h("option", { value: name, selected: name === wanted }, name))), " through time");
}

async function picture(looked, isLatest) {
  const item = await get(looked.item);
  const made = await preview(item);
  const files = Object.entries(looked.assets).filter(([, asset]) => asset.type.startsWith("image/tiff"));
  return h("figure", {},
    h("figcaption", {}, `${isLatest ? "Latest result" : "Result"}, ${words.date(looked.datetime)}`),
    made ?? h("p", { class: "empty" }, "This result has no picture."),
    h("p", { class: "readout" }, `${words.percent(looked.clear_fraction)} clear, ${words.percent(looked.coverage)} covered. `,
      h("a", { href: address(looked.item) }, "STAC item"), files.length ? "; GeoTIFF of " : null,
      files.flatMap(([name, asset], place) => [place ? ", " : null, h("a", { href: address(asset.href), download: true }, name)])));
}

function acquisitions(jobs, wanted, looked, choose) {
  if (!jobs.length) return null;
  const rows = [...jobs].reverse().map((one) => h("tr", { class: one === looked ? "looked" : null },
    h("th", { scope: "row" }, one.state === "done"
      ? h("button", { type: "button", class: "plain", "data-key": one.job, "aria-pressed": String(one === looked), onclick: () => choose(one.job) }, words.date(one.datetime))
      : words.date(one.datetime)),
    h("td", { class: "number" }, words.percent(one.clear_fraction)),
    h("td", { class: "number" }, words.value((one.indices[wanted] ?? one.bands[wanted])?.mean)),
    h("td", {}, h("span", { class: `state ${one.state}` }, one.state)),
    h("td", { class: "why" }, [one.reason, ...one.notes].filter(Boolean).join("; "))));
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Acquisitions" },
    table("Acquisitions, the newest first", [["Sensed"], ["Clear", "number"], [wanted, "number"], ["State"], ["Why"]], rows));
}

const waiting = (jobs) => (jobs.length ? "No acquisition has been clear yet." : "No acquisition yet. The next pass over this area will show here.");

function nothing() {
  return h("div", { class: "card" }, h("h2", {}, "Nothing is watched yet"),
    h("p", {}, h("a", { href: "#place" }, "Choose a place"), " on the map, or subscribe to one from the command line:"),
    h("pre", { tabindex: "0" }, h("code", {}, "revisit subscribe --aoi field.geojson --name \"My field\" \\\n  --index NDVI --min-clear 60 --backfill 2024-04-01")),
    h("p", {}, "Every clear pass of Sentinel-2 then appears here, with its picture, its numbers and its files."));
}
