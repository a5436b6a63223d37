// One result on a map of its own, in the UTM grid of its pixels; a second one can be swiped over it.
//
//   const shown = resultMap(element, tell);      `tell(text)` gets the value under the pointer or the middle
//   shown.show(first, second, look, outline)      Rasters (second null for none), { ramp, low, high, opacity }, GeoJSON of the AOI
//   shown.swipe(share)                           where the second begins, from 0 (left edge) to 1
//   shown.end()

import * as format from "../lib/format.js";
import { paint } from "./colormap.js";

const { ol } = globalThis;

export function resultMap(element, tell) {
  const aoi = new ol.layer.Vector({ source: new ol.source.Vector(), zIndex: 5, style: outlineStyle });
  const mark = new ol.layer.Vector({ source: new ol.source.Vector(), zIndex: 6, style: markStyle });
  const map = new ol.Map({
    target: element,
    layers: [aoi, mark],
    controls: [new ol.control.Zoom(), new ol.control.ScaleLine({ minWidth: 70 })],
  });
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const renew = () => [aoi, mark].forEach((layer) => layer.changed());
  dark.addEventListener("change", renew);
  let seen = { first: null, second: null, look: null };
  let layers = [];
  let share = 0.5;
  let asking = new AbortController();

  const show = (first, second, look, outline) => {
    const moved =
      first &&
      (map.getView().getProjection().getCode() !== first.code ||
        !containsCentre(first.extent, map.getView()));
    asking.abort();
    layers.forEach((layer) => map.removeLayer(layer));
    seen = { first, second, look };
    layers = [first, second]
      .filter(Boolean)
      .map((raster, place) => imageLayer(raster, look, place ? () => share : null));
    layers.forEach((layer) => map.addLayer(layer));
    if (first && moved) {
      map.setView(
        new ol.View({
          projection: first.code,
          enableRotation: false,
          extent: expandExtent(first.extent, 1),
          showFullExtent: true,
          maxResolution: longestSide(first.extent) / 100,
          minResolution: first.size / 80,
        }),
      );
      map.getView().fit(first.extent, { padding: [12, 12, 12, 12] });
      aoi.getSource().clear();
      aoi
        .getSource()
        .addFeatures(
          new ol.format.GeoJSON().readFeatures(outline, {
            dataProjection: "EPSG:4326",
            featureProjection: first.code,
          }),
        );
    }
    mark.getSource().clear();
  };

  const value = async (position) => {
    if (!seen.first) return;
    asking.abort();
    asking = new AbortController();
    const { signal } = asking;
    const { first, second, look } = seen;
    const told =
      second && position[0] > map.getCoordinateFromPixel([share * map.getSize()[0], 0])[0] ? second : first;
    mark.getSource().clear();
    const corner = first.extent;
    const middle = [
      corner[0] + (Math.floor((position[0] - corner[0]) / first.size) + 0.5) * first.size,
      corner[3] - (Math.floor((corner[3] - position[1]) / first.size) + 0.5) * first.size,
    ];
    mark.getSource().addFeature(new ol.Feature(new ol.geom.Point(middle)));
    try {
      // The other date may lie in the grid of the zone beside.
      const values = await told.valueAt(ol.proj.transform(position, first.code, told.code), signal);
      if (signal.aborted) return;
      const where = format.lonLat(ol.proj.transform(middle, first.code, "EPSG:4326"));
      tell(
        !values
          ? `Nothing here: ${where} lies beside the result.`
          : values.some(Number.isNaN)
            ? `No clear pixel here, ${where}.`
            : `${look.names.map((name, place) => `${name} ${format.decimal(values[place], 4)}`).join(", ")} at ${where}.`,
      );
    } catch {
      if (!signal.aborted) tell("The value could not be read; try again.");
    }
  };
  map.on("click", (event) => value(event.coordinate));
  element.addEventListener("keydown", (event) => {
    if (event.key === "Enter") value(map.getView().getCenter());
  });

  return {
    show,
    value: () => value(map.getView().getCenter()),
    swipe(next) {
      share = next;
      layers.forEach((layer) => layer.changed());
    },
    opacity(next) {
      layers.forEach((layer) => layer.setOpacity(next));
    },
    end() {
      asking.abort();
      dark.removeEventListener("change", renew);
      map.setTarget(null);
    },
  };
}

function imageLayer(raster, look, from) {
  const source = new ol.source.Image({
    projection: raster.code,
    interpolate: false,
    loader: async (extent, resolution) => {
      const read = await raster.readWindow(extent, resolution);
      if (!read) return { image: document.createElement("canvas"), extent };
      const [west, south, east, north] = read.extent;
      return {
        image: paint(read, look),
        extent: read.extent,
        resolution: [(east - west) / read.width, (north - south) / read.height],
        pixelRatio: 1,
      };
    },
  });
  const layer = new ol.layer.Image({ source, opacity: look.opacity, zIndex: from ? 2 : 1 });
  if (from) {
    layer.on("prerender", ({ context, frameState }) => {
      const [width, height] = frameState.size.map((side) => side * frameState.pixelRatio);
      context.save();
      context.beginPath();
      context.rect(from() * width, 0, width, height);
      context.clip();
    });
    layer.on("postrender", ({ context, frameState }) => {
      context.restore();
      const [width, height] = frameState.size.map((side) => side * frameState.pixelRatio);
      context.fillStyle = cssColour("--ink");
      context.fillRect(from() * width - 1, 0, 2, height);
    });
  }
  return layer;
}

const cssColour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const outlineStyle = () =>
  new ol.style.Style({ stroke: new ol.style.Stroke({ color: cssColour("--mark"), width: 2 }) });
const markStyle = () =>
  new ol.style.Style({
    image: new ol.style.RegularShape({
      points: 4,
      radius: 9,
      radius2: 0,
      stroke: new ol.style.Stroke({ color: cssColour("--ink"), width: 2 }),
    }),
  });

const longestSide = ([west, south, east, north]) => Math.max(east - west, north - south);

function expandExtent([west, south, east, north], share) {
  const more = share * longestSide([west, south, east, north]);
  return [west - more, south - more, east + more, north + more];
}

function containsCentre(extent, view) {
  const [x, y] = view.getCenter() ?? [NaN, NaN];
  return x >= extent[0] && x <= extent[2] && y >= extent[1] && y <= extent[3];
}
