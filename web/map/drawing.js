// Drawing on the map and changing what is there, with fingers as with a mouse; a bar over the map says how to go on.

import { h, replaceContent } from "../lib/dom.js";
import { getMap, styles, toGeoJSON } from "./map.js";

const { ol } = globalThis;
const KINDS = {
  polygon: [
    "Polygon",
    () => ({ type: "Polygon" }),
    "Click corner by corner; click the first one again to close.",
  ],
  box: [
    "Box",
    () => ({ type: "Circle", geometryFunction: ol.interaction.Draw.createBox() }),
    "Click one corner, then the one across.",
  ],
  circle: [
    "Circle",
    () => ({ type: "Circle", geometryFunction: ol.interaction.Draw.createRegularPolygon(48) }),
    "Click the middle, then the edge.",
  ],
};

// Args: the layer with the AOI; `drawn` takes the GeoJSON geometry of a new shape, `changed` those of all shapes of the layer.
export function createDrawing(layer, onDrawn, onChanged, announce) {
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
      const made = toGeoJSON(feature);
      // The click that ended it must not also be one on the map.
      setTimeout(() => {
        cancel();
        onDrawn(made);
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
        ? h("button", { type: "button", onclick: () => draw.removeLastPoint() }, "Back one")
        : null,
      h("button", { type: "button", onclick: cancel }, "Cancel"),
    );
    bar.hidden = false;
    // On a phone the buttons are below the map.
    map.getTargetElement().parentElement.scrollIntoView({ block: "nearest" });
    updateButtons();
    announce(`Drawing a ${name}. ${KINDS[name][2]} Escape ends it.`);
  }

  function cancel() {
    if (draw) map.removeInteraction(draw);
    draw = kind = null;
    bar.hidden = true;
    modify.setActive(editable);
    updateButtons();
  }

  const updateButtons = () =>
    buttons.forEach((one) => one.setAttribute("aria-pressed", String(one.dataset.kind === kind)));
  const onEscape = (event) => event.key === "Escape" && draw && cancel();
  document.addEventListener("keydown", onEscape);
  let editable = true;

  return {
    buttons,
    // Whether the shapes that are there may be changed.
    setEditable(yes) {
      editable = yes;
      modify.setActive(yes && !draw);
    },
    end() {
      cancel();
      map.removeInteraction(modify);
      bar.remove();
      document.removeEventListener("keydown", onEscape);
    },
  };
}
