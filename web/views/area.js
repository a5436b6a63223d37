// The view that chooses the area of interest: typed, drawn, pasted or opened from a file, and summarized
// before anything is saved.

import { post } from "../lib/api.js";
import { button, field, h, replaceContent, row } from "../lib/dom.js";
import * as format from "../lib/format.js";
import { attempt, latest } from "../lib/latest.js";
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
import { addLayer, approximateAreaKm2, fillLayer, removeLayers, styles, zoomTo } from "../map/map.js";
import { createSketch } from "../map/sketch.js";
import { fetchSummary, renderErrors, renderSummary } from "./aoi_summary.js";
import { circlesAround, mergeGeometries, readFile, readText, toText } from "./geometry_input.js";

export const title = "Place";

const DEFAULT_RADIUS_M = 500;
const FILE_TYPES = ".geojson,.json,.kml,.kmz,.zip,.wkt,.txt";

export async function enter(place, route) {
  const view = new AreaView(route);
  route.onLeave(() => view.close());
  place.append(...view.render());
  view.listen();
  view.update();
  if (route.params.get("at")) await view.readTyped(route.params.get("at"));
  else if (aoi()) zoomTo(geometryOf(aoi()), { calm: true });
}

class AreaView {
  constructor(route) {
    this.route = route;
    this.layer = addLayer(
      (feature) => (aoi()?.tile ? [styles.tile()] : [styles.aoi(), styles.corner(feature)]),
      3,
    );
    this.marks = addLayer(() => styles.wrong(), 4);
    const unknown = { points: null, tile: null, seen: null };
    this.pen = createSketch(
      this.layer,
      (geometry) => setAoi({ given: geometry, name: aoi()?.name ?? "", tile: null, seen: null }),
      (geometries) => setAoi({ ...aoi(), given: mergeGeometries(geometries), ...unknown }),
      route.announce,
    );
    this.error = null;
    this.pending = false;
    // The AOI that was typed, pasted or opened. Its card is scrolled into view; a user who draws looks at the
    // map.
    this.typedAoi = null;
    this.inputTurn = 0;
    this.requestSummary = latest(
      (signal, area) => this.loadSummary(area, signal),
      (problem) => this.showProblem(problem),
      route.signal,
    );
  }

  render() {
    this.card = h("section", { class: "card", "aria-label": "The chosen area", "aria-live": "polite" });
    this.inputError = h("div", { class: "said" });
    this.text = h("textarea", { id: "text", spellcheck: "false", "data-key": "text" });
    this.radius = h("input", {
      id: "radius",
      type: "number",
      min: "10",
      max: "50000",
      step: "any",
      value: load("radius", DEFAULT_RADIUS_M),
      onchange: () => this.applyRadius(),
    });
    this.undoButton = button("Undo", undo, { "data-key": "undo" });
    return [
      h("h1", {}, "Choose a place"),
      this.searchForm(),
      this.inputError,
      h("fieldset", {}, h("legend", {}, "Or draw on the map"), row(this.pen.buttons, this.undoButton)),
      h(
        "fieldset",
        {},
        h("legend", {}, "Or upload an area"),
        this.fileRow(),
        this.textForm(),
        h("label", { class: "inline" }, h("span", {}, "Buffer around points (m)"), this.radius),
      ),
      this.card,
    ];
  }

  searchForm() {
    const where = h("input", {
      id: "where",
      type: "text",
      autocomplete: "off",
      spellcheck: "false",
      placeholder: "31UES, 51.3 N 4.2 E, Belgium …",
      "data-key": "where",
    });
    return h(
      "form",
      {
        class: "find",
        onsubmit: (event) => {
          event.preventDefault();
          this.readTyped(where.value);
        },
      },
      field("Tile, coordinates or country", where),
      h("button", { class: "first" }, "Show"),
    );
  }

  fileRow() {
    const file = h("input", {
      type: "file",
      class: "unseen",
      tabindex: "-1",
      "aria-label": "File with an area",
      accept: FILE_TYPES,
      onchange: (event) => event.target.files[0] && this.openFile(event.target.files[0]),
    });
    return row(
      button("Open a file", () => file.click()),
      file,
      h("span", { class: "note" }, "GeoJSON, KML, KMZ or a zipped shapefile; or drop a file on the page"),
    );
  }

  textForm() {
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
            this.readTyped(this.text.value, true);
          },
        },
        field(
          "GeoJSON, WKT, KML, or one “latitude, longitude” per line",
          this.text,
          "One point makes a circle, two a box, three or more a polygon.",
        ),
        row(h("button", {}, "Use this text")),
      ),
    );
  }

  listen() {
    const { signal } = this.route;
    this.stopListening = onAoiChange(() => this.update());
    const on = (kind, listener) => document.addEventListener(kind, listener, { signal });
    on("dragover", onDragOver);
    on("dragleave", onDragOver);
    on("drop", (event) => this.onDrop(event));
    on("keydown", onKeydown);
    on("paste", (event) => this.onPaste(event));
  }

  close() {
    this.stopListening?.();
    document.body.classList.remove("dragging");
    this.pen.close();
    removeLayers(this.layer, this.marks);
  }

  radiusMetres() {
    return Math.min(50_000, Math.max(10, Number(this.radius.value) || DEFAULT_RADIUS_M));
  }

  // Change the buffer of the points that are the current AOI.
  applyRadius() {
    this.radius.value = this.radiusMetres();
    store("radius", this.radiusMetres());
    const area = aoi();
    if (area?.points) setAoi({ ...area, given: circlesAround(area.points, this.radiusMetres()), seen: null });
  }

  readTyped(text, keepName = false) {
    return this.takeInput(() => readText(text, this.radiusMetres()), keepName);
  }

  openFile(file) {
    return this.takeInput(() => readFile(file, this.radiusMetres()));
  }

  // The latest input wins, however long an earlier one takes to be read.
  takeInput(read, keepName = false) {
    this.inputTurn += 1;
    const turn = this.inputTurn;
    this.inputError.replaceChildren();
    return attempt(
      async () => {
        const found = await read();
        if (turn !== this.inputTurn) return;
        const name = found.name || (keepName ? (aoi()?.name ?? "") : "");
        setAoi({ points: null, ...found, name, seen: null });
        this.typedAoi = aoi();
        if (found.given) zoomTo(found.given);
      },
      (problem) => {
        if (turn !== this.inputTurn) return;
        this.inputError.replaceChildren(h("p", { class: "trouble", role: "alert" }, problem.message));
      },
    );
  }

  onDrop(event) {
    onDragOver(event);
    const [file] = event.dataTransfer.files;
    const text = event.dataTransfer.getData("text");
    if (file) this.openFile(file);
    else if (text) this.readTyped(text);
  }

  onPaste(event) {
    const text = event.clipboardData.getData("text");
    const [file] = event.clipboardData.files;
    const target = event.target.closest?.("input, textarea");
    const isGeometry = /^\s*[{<]|^\s*(MULTI)?(POLYGON|POINT)/i.test(text);
    if (file) this.openFile(file);
    else if (target?.id === "where" ? !isGeometry : target) return;
    else if (text) this.readTyped(text);
    event.preventDefault();
  }

  // Show the current AOI, and request its summary where it is missing.
  update() {
    const area = aoi();
    fillLayer(this.layer, geometryOf(area));
    fillLayer(this.marks);
    this.pen.setEditable(Boolean(area) && !area.tile);
    this.undoButton.disabled = !canUndo();
    if (document.activeElement !== this.text) this.text.value = textOf(area);
    this.error = null;
    this.pending = Boolean(area) && !area.seen;
    this.renderCard();
    if (this.pending) this.requestSummary(area);
    else this.requestSummary.abort();
  }

  async loadSummary(area, signal) {
    const seen = await fetchSummary(area, signal);
    signal.throwIfAborted();
    if (area !== aoi()) return;
    const typed = area === this.typedAoi;
    updateAoi({ seen, given: area.tile ? seen.aoi : area.given });
    if (typed) this.scrollToCard();
    if (area.tile) zoomTo(seen.aoi);
    this.route.announce(`${format.km2(seen.area_km2)}, ${format.plural(seen.tiles.length, "tile")}.`);
  }

  showProblem(problem) {
    this.pending = false;
    this.error = problem;
    this.renderCard();
    if (aoi() === this.typedAoi) this.scrollToCard();
  }

  scrollToCard() {
    this.card.scrollIntoView({ block: "nearest" });
  }

  repair() {
    const area = aoi();
    return attempt(
      async () => {
        const seen = await post("aoi", { aoi: area.given, repair: true }, { signal: this.route.signal });
        if (area !== aoi()) return;
        setAoi({ ...area, given: seen.aoi, points: null, seen });
        this.route.announce(`Repaired: ${format.km2(seen.area_km2)}.`);
      },
      (problem) => area === aoi() && this.showProblem(problem),
    );
  }

  renderCard() {
    const area = aoi();
    fillLayer(this.marks, ...errorPositions(this.error).map((at) => ({ type: "Point", coordinates: at })));
    if (!area) {
      const hint =
        "Search, draw or upload an area. Its size, tiles and revisit are shown before anything is saved.";
      return replaceContent(this.card, h("p", {}, hint));
    }
    const size = () => `About ${format.km2(approximateAreaKm2(area.given))}; checking …`;
    return replaceContent(
      this.card,
      h(
        "div",
        { class: "row apart" },
        h("h2", {}, area.name || format.capitalize(aoiLabel(area))),
        button("Clear", () => setAoi(null), { class: "plain", "data-key": "clear" }),
      ),
      area.seen ? renderSummary(area.seen) : null,
      this.pending ? h("p", { class: "note", "aria-busy": "true" }, size()) : null,
      this.error ? this.renderError() : null,
      area.seen ? this.renderActions(area) : null,
    );
  }

  renderError() {
    const { status, more } = this.error;
    return renderErrors(this.error, {
      focus: (at) => zoomTo({ type: "Point", coordinates: at }),
      repair: more.repairable ? () => this.repair() : null,
      retry: status === 0 || status >= 500 ? () => this.update() : null,
      undo: canUndo() ? undo : null,
    });
  }

  renderActions(area) {
    const link = (text, href, key, kind = "button") => h("a", { class: kind, href, "data-key": key }, text);
    const nameInput = h("input", {
      "data-key": "name",
      value: area.name,
      maxlength: "100",
      autocomplete: "off",
      onchange: (event) => updateAoi({ name: event.target.value.trim() }),
    });
    const mouse = matchMedia("(any-pointer: fine)").matches ? "; Alt+click removes a vertex" : "";
    return [
      area.tile ? null : field("Name", nameInput),
      row(
        link("Search here", "#search", "search", "button first"),
        link("Order", "#order", "order"),
        area.tile ? null : link("Watch", "#watch/new", "watch"),
      ),
      area.tile
        ? null
        : h("p", { class: "note" }, `Drag a vertex or an edge on the map to change the area${mouse}.`),
    ].filter(Boolean);
  }
}

function onDragOver(event) {
  event.preventDefault();
  document.body.classList.toggle("dragging", event.type === "dragover");
}

function onKeydown(event) {
  const isUndo = (event.ctrlKey || event.metaKey) && event.key === "z";
  if (!isUndo || event.target.closest("input, textarea")) return;
  event.preventDefault();
  undo();
}

const errorPositions = (problem) => (problem?.more.errors ?? []).map((each) => each.at).filter(Boolean);

// An AOI as text that can be edited: the tile's id, positions line by line, or GeoJSON.
function textOf(area) {
  if (area?.tile) return area.tile;
  const geometry = geometryOf(area);
  return geometry ? (toText(geometry) ?? JSON.stringify(geometry)) : "";
}
