// Choosing a place: typed, drawn, pasted or opened, it is shown with what it would mean before anything is saved.

import { post, Problem } from "./api.js";
import { h, show } from "./dom.js";
import { drawing } from "./drawing.js";
import { askAbout, extent, wrongs } from "./extent.js";
import { drop, fillLayer, layer, look, looks, roughArea } from "./map.js";
import { asText, circles, readFile, readText, together } from "./reading.js";
import { amend, aoi, called, keep, kept, listen, shape, take, undo, undoable } from "./state.js";
import * as words from "./words.js";

export const title = "Place";

const NEAR = 500;
let leaving = [];
let parts = null;
let error = null;
let asking = null;

export async function enter(place, route) {
  const area = layer((feature) => (aoi()?.tile ? [looks.tile()] : [looks.aoi(), looks.corner(feature)]), 3);
  const marks = layer(() => looks.wrong(), 4);
  const pen = drawing(area, (geometry) => take({ given: geometry, name: aoi()?.name ?? "", tile: null, seen: null }),
    (geometries) => take({ ...aoi(), given: together(geometries), points: null, tile: null, seen: null }), route.say);
  parts = { route, area, marks, pen, card: h("section", { class: "card", "aria-label": "The chosen area", "aria-live": "polite" }), text: null };
  const file = h("input", { type: "file", class: "unseen", tabindex: "-1", "aria-label": "File with an area", accept: ".geojson,.json,.kml,.zip,.wkt,.txt",
    onchange: (event) => event.target.files[0] && opened(event.target.files[0]) });
  const where = h("input", { id: "where", type: "text", autocomplete: "off", spellcheck: "false", placeholder: "31UES, 51.3 N 4.2 E, Belgium …", "data-key": "where" });
  parts.said = h("div", { class: "said" });
  parts.radius = h("input", { id: "radius", type: "number", min: "10", max: "50000", step: "any", value: kept("radius", NEAR), onchange: widen });
  parts.undo = h("button", { type: "button", "data-key": "undo", onclick: undo }, "Undo");
  place.append(
    h("h1", {}, "Choose a place"),
    h("form", { class: "find", onsubmit: (event) => {
      event.preventDefault();
      read(where.value);
    } },
    h("label", { class: "field" }, h("span", {}, "Tile, coordinates or country"), where), h("button", { class: "first" }, "Show")),
    parts.said,
    h("fieldset", {}, h("legend", {}, "Or draw on the map"), h("p", { class: "row" }, pen.buttons, parts.undo)),
    h("fieldset", {}, h("legend", {}, "Or bring your own"),
      h("p", { class: "row" }, h("button", { type: "button", onclick: () => file.click() }, "Open a file"), file,
        h("span", { class: "note" }, "GeoJSON, KML or a zipped shapefile; dropping it here works too")),
      textForm(),
      h("label", { class: "inline" }, h("span", {}, "Ground around each point"), parts.radius, h("span", {}, "m"))),
    parts.card);
  leaving = [listen(draw), on(document, "dragover", hover), on(document, "dragleave", hover), on(document, "drop", dropped), on(document, "keydown", keys),
    on(document, "paste", pasted)];
  draw();
  if (route.params.get("at")) await read(route.params.get("at"));
  else if (aoi()) look(shape(aoi()), { calm: true });
}

export function leave() {
  for (const end of leaving) end();
  document.body.classList.remove("dragging");
  // Where the map could not be had, nothing was put on it.
  parts?.pen.end();
  drop(parts?.area, parts?.marks);
  asking?.abort();
  asking = error = null;
}

function on(target, kind, heard) {
  target.addEventListener(kind, heard);
  return () => target.removeEventListener(kind, heard);
}

function textForm() {
  parts.text = h("textarea", { id: "text", spellcheck: "false", "data-key": "text" });
  return h("details", {}, h("summary", { "data-key": "as-text" }, "Paste or edit as text"),
    h("form", { class: "stack", onsubmit: (event) => {
      event.preventDefault();
      read(parts.text.value, true);
    } },
    h("label", { class: "field" }, h("span", {}, "GeoJSON, WKT, KML, or a corner a line: latitude, longitude"), parts.text,
      h("small", {}, "One position is a circle, two are a box, three and more a polygon.")),
    h("p", { class: "row" }, h("button", {}, "Use this text"))));
}

const metres = () => Math.min(50_000, Math.max(10, Number(parts.radius.value) || NEAR));

// Points that are in hand get more or less ground around them.
function widen() {
  parts.radius.value = metres();
  keep("radius", metres());
  if (aoi()?.points) take({ ...aoi(), given: circles(aoi().points, metres()), seen: null });
}

async function read(text, keepName = false) {
  await bring(() => readText(text, metres()), keepName);
}

async function opened(file) {
  await bring(() => readFile(file, metres()));
}

// What was given last is taken, however long something before it takes to be read.
let brought = 0;
// The AOI that was typed, pasted or opened: what is said of it is looked at, while who draws goes on looking at the map.
let typed = null;
async function bring(reading, keepName = false) {
  const mine = ++brought;
  parts.said.replaceChildren();
  try {
    const found = await reading();
    if (mine !== brought) return;
    take({ name: "", points: null, ...found, seen: null, ...(keepName && !found.name ? { name: aoi()?.name ?? "" } : {}) });
    typed = aoi();
    if (found.given) look(found.given);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (mine !== brought) return;
    parts.said.replaceChildren(h("p", { class: "trouble", role: "alert" }, problem.message));
  }
}

function hover(event) {
  event.preventDefault();
  document.body.classList.toggle("dragging", event.type === "dragover");
}

function dropped(event) {
  hover(event);
  const [file] = event.dataTransfer.files;
  if (file) opened(file);
  else if (event.dataTransfer.getData("text")) read(event.dataTransfer.getData("text"));
}

function pasted(event) {
  const text = event.clipboardData.getData("text");
  const into = event.target.closest?.("input, textarea");
  if (event.clipboardData.files[0]) opened(event.clipboardData.files[0]);
  else if (into?.id === "where" ? !/^\s*[{<]|^\s*(MULTI)?(POLYGON|POINT)/i.test(text) : into) return;
  else if (text) read(text);
  event.preventDefault();
}

function keys(event) {
  if ((event.ctrlKey || event.metaKey) && event.key === "z" && !event.target.closest("input, textarea")) {
    event.preventDefault();
    undo();
  }
}

// What is in hand, drawn and told; the server is asked where it has not spoken yet.
function draw() {
  const one = aoi();
  fillLayer(parts.area, shape(one));
  fillLayer(parts.marks);
  parts.pen.allow(Boolean(one) && !one.tile);
  parts.undo.disabled = !undoable();
  if (document.activeElement !== parts.text) parts.text.value = one?.tile ? one.tile : shape(one) ? asText(shape(one)) ?? JSON.stringify(shape(one)) : "";
  if (!one) error = null;
  if (one && !one.seen) ask(one);
  else {
    asking?.abort();
    asking = error = null;
    told();
  }
}

async function ask(one) {
  asking?.abort();
  asking = new AbortController();
  error = null;
  told();
  const { signal } = asking;
  const shown = () => one === typed && parts.card.scrollIntoView({ block: "nearest" });
  try {
    const seen = await askAbout(one, signal);
    if (one !== aoi()) return;
    asking = null;
    amend({ seen, given: one.tile ? seen.aoi : one.given });
    shown();
    if (one.tile) look(seen.aoi);
    parts.route.say(`${words.km2(seen.area_km2)}, ${words.many(seen.tiles.length, "tile")}.`);
  } catch (problem) {
    if (problem.name === "AbortError" || one !== aoi()) return;
    if (!(problem instanceof Problem)) throw problem;
    asking = null;
    error = problem;
    told();
    shown();
  }
}

async function repair() {
  const one = aoi();
  try {
    const seen = await post("aoi", { aoi: one.given, repair: true }, { signal: parts.route.signal });
    if (one !== aoi()) return;
    take({ ...one, given: seen.aoi, points: null, seen });
    parts.route.say(`Repaired: ${words.km2(seen.area_km2)}.`);
  } catch (problem) {
    if (problem.name === "AbortError" || one !== aoi()) return;
    if (!(problem instanceof Problem)) throw problem;
    error = problem;
    told();
  }
}

function told() {
  const one = aoi();
  if (!one) {
    return show(parts.card, h("p", {}, "Nothing chosen yet. Say where your ground is in any of the ways above: you will see how large it is, which "
      + "tiles it lies in and how often the satellites pass, before anything is saved."));
  }
  fillLayer(parts.marks, ...places(error).map((at) => ({ type: "Point", coordinates: at })));
  return show(parts.card,
    h("div", { class: "row apart" }, h("h2", {}, one.name || words.capital(called(one))),
      h("button", { type: "button", class: "plain", "data-key": "clear", onclick: () => take(null) }, "Clear")),
    one.seen ? extent(one.seen) : null,
    asking ? h("p", { class: "note", "aria-busy": "true" }, `About ${words.km2(roughArea(one.given))}; asking what it would mean …`) : null,
    error ? wrongs(error, { go: (at) => look({ type: "Point", coordinates: at }), repair: error.more.repairable ? repair : null,
      retry: error.status === 0 || error.status >= 500 ? () => ask(aoi()) : null, undo: undoable() ? undo : null }) : null,
    one.seen && !one.tile ? h("label", { class: "field" }, h("span", {}, "Name"), h("input", { "data-key": "name", value: one.name, maxlength: "100",
      autocomplete: "off", onchange: (event) => amend({ name: event.target.value.trim() }) })) : null,
    one.seen ? h("p", { class: "row" }, h("a", { class: "button first", href: "#search", "data-key": "search" }, "Search here"),
      h("a", { class: "button", href: "#order", "data-key": "order" }, "Order"),
      one.tile ? null : h("a", { class: "button", href: "#watch/new", "data-key": "watch" }, "Watch")) : null,
    one.seen && !one.tile ? h("p", { class: "note" }, `Drag a corner or an edge on the map to change it${matchMedia("(any-pointer: fine)").matches ? "; Alt and click takes a corner away" : ""}.`) : null);
}

const places = (problem) => (problem?.more.errors ?? []).map((one) => one.at).filter(Boolean);
