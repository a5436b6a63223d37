// Drawing and editing shapes on the map by mouse or touch, with a bar of instructions over the map.

import { h, replaceContent } from "../lib/dom.js";
import { getMap, styles, toGeoJSON } from "./map.js";

const { ol } = globalThis;
const KINDS = {
  polygon: ["Polygon", () => ({ type: "Polygon" }), "Click to add points; click the first point to finish."],
  box: [
    "Box",
    () => ({ type: "Circle", geometryFunction: ol.interaction.Draw.createBox() }),
    "Click one corner, then the opposite one.",
  ],
  circle: [
    "Circle",
    () => ({ type: "Circle", geometryFunction: ol.interaction.Draw.createRegularPolygon(48) }),
    "Click the centre, then the edge.",
  ],
};

// Args: `layer` holds the AOI; `onDrawn(geometry)` gets the GeoJSON geometry of a new shape,
// `onChanged(geometries)` those of all shapes after an edit; `announce(text)` speaks to screen readers.
export function createSketch(layer, onDrawn, onChanged, announce) {
  const map = getMap();
  let draw = null;
  let kind = null;
  const bar = h("div", { class: "bar", hidden: true });
  const buttons = Object.entries(KINDS).map(([name, [title]]) =>
    h(
      "button",
      {
        type: "button",
        "aria-pressed": "false",
        "data-kind": name,
        onclick: () => (kind === name ? cancel() : startDrawing(name)),
      },
      title,
    ),
  );
  const modify = new ol.interaction.Modify({
    source: layer.getSource(),
    pixelTolerance: 12,
    style: () => styles.aoi(),
    deleteCondition: (event) =>
      ol.events.condition.altKeyOnly(event) && ol.events.condition.singleClick(event),
  });
  modify.on("modifyend", () => onChanged(layer.getSource().getFeatures().map(toGeoJSON)));
  map.addInteraction(modify);
  map.getTargetElement().after(bar);

  function startDrawing(name) {
    cancel();
    kind = name;
    modify.setActive(false);
    draw = new ol.interaction.Draw({
      ...KINDS[name][1](),
      source: null,
      style: () => styles.aoi(),
      stopClick: true,
      clickTolerance: 8,
    });
    draw.on("drawend", ({ feature }) => {
      const geometry = toGeoJSON(feature);
      // The click that finished the shape must not also select something on the map.
      setTimeout(() => {
        cancel();
        onDrawn(geometry);
      });
    });
    map.addInteraction(draw);
    replaceContent(
      bar,
      h("span", {}, KINDS[name][2]),
      name === "polygon"
        ? h("button", { type: "button", onclick: () => draw.finishDrawing() }, "Finish")
        : null,
      name === "polygon"
        ? h("button", { type: "button", onclick: () => draw.removeLastPoint() }, "Undo last point")
        : null,
      h("button", { type: "button", onclick: cancel }, "Cancel"),
    );
    bar.hidden = false;
    // On a phone the buttons are below the map, so bring the map into view.
    map.getTargetElement().parentElement.scrollIntoView({ block: "nearest" });
    updateButtons();
    announce(`Drawing a ${name}. ${KINDS[name][2]} Press Escape to cancel.`);
  }

  function cancel() {
    if (draw) map.removeInteraction(draw);
    draw = kind = null;
    bar.hidden = true;
    modify.setActive(editable);
    updateButtons();
  }

  const updateButtons = () =>
    buttons.forEach((each) => each.setAttribute("aria-pressed", String(each.dataset.kind === kind)));
  const onEscape = (event) => event.key === "Escape" && draw && cancel();
  document.addEventListener("keydown", onEscape);
  let editable = true;

  return {
    buttons,
    // Whether existing shapes can be edited.
    setEditable(yes) {
      editable = yes;
      modify.setActive(yes && !draw);
    },
    close() {
      cancel();
      map.removeInteraction(modify);
      bar.remove();
      document.removeEventListener("keydown", onEscape);
    },
  };
}
