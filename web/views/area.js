// Choosing a place: typed, drawn, pasted or opened, it is shown with what it would mean before anything is saved.

import { Problem, post } from "../lib/api.js";
import { h, replaceContent } from "../lib/dom.js";
import * as format from "../lib/format.js";
import {
  aoi,
  aoiLabel,
  canUndo,
  geometryOf,
  load,
  onAoiChange,
  setAoi,
  store,
  undo,
  updateAoi,
} from "../lib/state.js";
import { createDrawing } from "../map/drawing.js";
import { addLayer, approximateAreaKm2, fillLayer, removeLayers, styles, zoomTo } from "../map/map.js";
import { fetchSummary, renderErrors, renderSummary } from "./aoi_summary.js";
import { circlesAround, mergeGeometries, readFile, readText, toText } from "./geometry_input.js";

export const title = "Place";

const DEFAULT_RADIUS_M = 500;
let cleanups = [];
let elements = null;
let lastError = null;
let summaryAbort = null;

export async function enter(place, route) {
  const area = addLayer(
    (feature) => (aoi()?.tile ? [styles.tile()] : [styles.aoi(), styles.corner(feature)]),
    3,
  );
  const marks = addLayer(() => styles.wrong(), 4);
  const pen = createDrawing(
    area,
    (geometry) => setAoi({ given: geometry, name: aoi()?.name ?? "", tile: null, seen: null }),
    (geometries) =>
      setAoi({ ...aoi(), given: mergeGeometries(geometries), points: null, tile: null, seen: null }),
    route.announce,
  );
  elements = {
    route,
    area,
    marks,
    pen,
    card: h("section", { class: "card", "aria-label": "The chosen area", "aria-live": "polite" }),
    text: null,
  };
  const file = h("input", {
    type: "file",
    class: "unseen",
    tabindex: "-1",
    "aria-label": "File with an area",
    accept: ".geojson,.json,.kml,.zip,.wkt,.txt",
    onchange: (event) => event.target.files[0] && openFile(event.target.files[0]),
  });
  const where = h("input", {
    id: "where",
    type: "text",
    autocomplete: "off",
    spellcheck: "false",
    placeholder: "31UES, 51.3 N 4.2 E, Belgium …",
    "data-key": "where",
  });
  elements.said = h("div", { class: "said" });
  elements.radius = h("input", {
    id: "radius",
    type: "number",
    min: "10",
    max: "50000",
    step: "any",
    value: load("radius", DEFAULT_RADIUS_M),
    onchange: applyRadius,
  });
  elements.undo = h("button", { type: "button", "data-key": "undo", onclick: undo }, "Undo");
  place.append(
    h("h1", {}, "Choose a place"),
    h(
      "form",
      {
        class: "find",
        onsubmit: (event) => {
          event.preventDefault();
          readTyped(where.value);
        },
      },
      h("label", { class: "field" }, h("span", {}, "Tile, coordinates or country"), where),
      h("button", { class: "first" }, "Show"),
    ),
    elements.said,
    h(
      "fieldset",
      {},
      h("legend", {}, "Or draw on the map"),
      h("p", { class: "row" }, pen.buttons, elements.undo),
    ),
    h(
      "fieldset",
      {},
      h("legend", {}, "Or bring your own"),
      h(
        "p",
        { class: "row" },
        h("button", { type: "button", onclick: () => file.click() }, "Open a file"),
        file,
        h("span", { class: "note" }, "GeoJSON, KML or a zipped shapefile; dropping it here works too"),
      ),
      textForm(),
      h(
        "label",
        { class: "inline" },
        h("span", {}, "Ground around each point"),
        elements.radius,
        h("span", {}, "m"),
      ),
    ),
    elements.card,
  );
  cleanups = [
    onAoiChange(renderAoi),
    listenTo(document, "dragover", onDragOver),
    listenTo(document, "dragleave", onDragOver),
    listenTo(document, "drop", onDrop),
    listenTo(document, "keydown", onKeydown),
    listenTo(document, "paste", onPaste),
  ];
  renderAoi();
  if (route.params.get("at")) await readTyped(route.params.get("at"));
  else if (aoi()) zoomTo(geometryOf(aoi()), { calm: true });
}

export function leave() {
  for (const end of cleanups) end();
  document.body.classList.remove("dragging");
  // Where the map could not be had, nothing was put on it.
  elements?.pen.end();
  removeLayers(elements?.area, elements?.marks);
  summaryAbort?.abort();
  summaryAbort = lastError = null;
}

function listenTo(target, kind, heard) {
  target.addEventListener(kind, heard);
  return () => target.removeEventListener(kind, heard);
}

function textForm() {
  elements.text = h("textarea", { id: "text", spellcheck: "false", "data-key": "text" });
  return h(
    "details",
    {},
    h("summary", { "data-key": "as-text" }, "Paste or edit as text"),
    h(
      "form",
      {
        class: "stack",
        onsubmit: (event) => {
          event.preventDefault();
          readTyped(elements.text.value, true);
        },
      },
      h(
        "label",
        { class: "field" },
        h("span", {}, "GeoJSON, WKT, KML, or a corner a line: latitude, longitude"),
        elements.text,
        h("small", {}, "One position is a circle, two are a box, three and more a polygon."),
      ),
      h("p", { class: "row" }, h("button", {}, "Use this text")),
    ),
  );
}

const radiusMetres = () => Math.min(50_000, Math.max(10, Number(elements.radius.value) || DEFAULT_RADIUS_M));

// Points that are in hand get more or less ground around them.
function applyRadius() {
  elements.radius.value = radiusMetres();
  store("radius", radiusMetres());
  if (aoi()?.points) setAoi({ ...aoi(), given: circlesAround(aoi().points, radiusMetres()), seen: null });
}

async function readTyped(text, keepName = false) {
  await takeInput(() => readText(text, radiusMetres()), keepName);
}

async function openFile(file) {
  await takeInput(() => readFile(file, radiusMetres()));
}

// What was given last is taken, however long something before it takes to be read.
let inputTurn = 0;
// The AOI that was typed, pasted or opened: what is said of it is looked at, while who draws goes on looking at the map.
let lastInput = null;
async function takeInput(reading, keepName = false) {
  const mine = ++inputTurn;
  elements.said.replaceChildren();
  try {
    const found = await reading();
    if (mine !== inputTurn) return;
    setAoi({
      name: "",
      points: null,
      ...found,
      seen: null,
      ...(keepName && !found.name ? { name: aoi()?.name ?? "" } : {}),
    });
    lastInput = aoi();
    if (found.given) zoomTo(found.given);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (mine !== inputTurn) return;
    elements.said.replaceChildren(h("p", { class: "trouble", role: "alert" }, problem.message));
  }
}

function onDragOver(event) {
  event.preventDefault();
  document.body.classList.toggle("dragging", event.type === "dragover");
}

function onDrop(event) {
  onDragOver(event);
  const [file] = event.dataTransfer.files;
  if (file) openFile(file);
  else if (event.dataTransfer.getData("text")) readTyped(event.dataTransfer.getData("text"));
}

function onPaste(event) {
  const text = event.clipboardData.getData("text");
  const into = event.target.closest?.("input, textarea");
  if (event.clipboardData.files[0]) openFile(event.clipboardData.files[0]);
  else if (into?.id === "where" ? !/^\s*[{<]|^\s*(MULTI)?(POLYGON|POINT)/i.test(text) : into) return;
  else if (text) readTyped(text);
  event.preventDefault();
}

function onKeydown(event) {
  if ((event.ctrlKey || event.metaKey) && event.key === "z" && !event.target.closest("input, textarea")) {
    event.preventDefault();
    undo();
  }
}

// What is in hand, drawn and told; the server is asked where it has not spoken yet.
function renderAoi() {
  const one = aoi();
  fillLayer(elements.area, geometryOf(one));
  fillLayer(elements.marks);
  elements.pen.setEditable(Boolean(one) && !one.tile);
  elements.undo.disabled = !canUndo();
  if (document.activeElement !== elements.text)
    elements.text.value = one?.tile
      ? one.tile
      : geometryOf(one)
        ? (toText(geometryOf(one)) ?? JSON.stringify(geometryOf(one)))
        : "";
  if (!one) lastError = null;
  if (one && !one.seen) requestSummary(one);
  else {
    summaryAbort?.abort();
    summaryAbort = lastError = null;
    renderCard();
  }
}

async function requestSummary(one) {
  summaryAbort?.abort();
  summaryAbort = new AbortController();
  lastError = null;
  renderCard();
  const { signal } = summaryAbort;
  const shown = () => one === lastInput && elements.card.scrollIntoView({ block: "nearest" });
  try {
    const seen = await fetchSummary(one, signal);
    if (one !== aoi()) return;
    summaryAbort = null;
    updateAoi({ seen, given: one.tile ? seen.aoi : one.given });
    shown();
    if (one.tile) zoomTo(seen.aoi);
    elements.route.announce(`${format.km2(seen.area_km2)}, ${format.plural(seen.tiles.length, "tile")}.`);
  } catch (problem) {
    if (problem.name === "AbortError" || one !== aoi()) return;
    if (!(problem instanceof Problem)) throw problem;
    summaryAbort = null;
    lastError = problem;
    renderCard();
    shown();
  }
}

async function requestRepair() {
  const one = aoi();
  try {
    const seen = await post("aoi", { aoi: one.given, repair: true }, { signal: elements.route.signal });
    if (one !== aoi()) return;
    setAoi({ ...one, given: seen.aoi, points: null, seen });
    elements.route.announce(`Repaired: ${format.km2(seen.area_km2)}.`);
  } catch (problem) {
    if (problem.name === "AbortError" || one !== aoi()) return;
    if (!(problem instanceof Problem)) throw problem;
    lastError = problem;
    renderCard();
  }
}

function renderCard() {
  const one = aoi();
  if (!one) {
    return replaceContent(
      elements.card,
      h(
        "p",
        {},
        "Nothing chosen yet. Say where your ground is in any of the ways above: you will see how large it is, which " +
          "tiles it lies in and how often the satellites pass, before anything is saved.",
      ),
    );
  }
  fillLayer(elements.marks, ...errorPositions(lastError).map((at) => ({ type: "Point", coordinates: at })));
  return replaceContent(
    elements.card,
    h(
      "div",
      { class: "row apart" },
      h("h2", {}, one.name || format.capitalize(aoiLabel(one))),
      h(
        "button",
        { type: "button", class: "plain", "data-key": "clear", onclick: () => setAoi(null) },
        "Clear",
      ),
    ),
    one.seen ? renderSummary(one.seen) : null,
    summaryAbort
      ? h(
          "p",
          { class: "note", "aria-busy": "true" },
          `About ${format.km2(approximateAreaKm2(one.given))}; asking what it would mean …`,
        )
      : null,
    lastError
      ? renderErrors(lastError, {
          focus: (at) => zoomTo({ type: "Point", coordinates: at }),
          repair: lastError.more.repairable ? requestRepair : null,
          retry: lastError.status === 0 || lastError.status >= 500 ? () => requestSummary(aoi()) : null,
          undo: canUndo() ? undo : null,
        })
      : null,
    one.seen && !one.tile
      ? h(
          "label",
          { class: "field" },
          h("span", {}, "Name"),
          h("input", {
            "data-key": "name",
            value: one.name,
            maxlength: "100",
            autocomplete: "off",
            onchange: (event) => updateAoi({ name: event.target.value.trim() }),
          }),
        )
      : null,
    one.seen
      ? h(
          "p",
          { class: "row" },
          h("a", { class: "button first", href: "#search", "data-key": "search" }, "Search here"),
          h("a", { class: "button", href: "#order", "data-key": "order" }, "Order"),
          one.tile ? null : h("a", { class: "button", href: "#watch/new", "data-key": "watch" }, "Watch"),
        )
      : null,
    one.seen && !one.tile
      ? h(
          "p",
          { class: "note" },
          `Drag a corner or an edge on the map to change it${matchMedia("(any-pointer: fine)").matches ? "; Alt and click takes a corner away" : ""}.`,
        )
      : null,
  );
}

const errorPositions = (problem) => (problem?.more.errors ?? []).map((one) => one.at).filter(Boolean);
