// A map of one result in the UTM grid of its pixels; a second result can be swiped over it.
//
//   const map = resultMap(element, report);     report(text) gets the value that was clicked or at the centre
//   map.show(first, second, display, outline)   Rasters (second or null), { ramp, low, high, opacity, names },
//                                               GeoJSON of the AOI
//   map.swipe(share)                            where the second begins: 0 is the left edge, 1 the right
//   map.end()

import * as format from "../lib/format.js";
import { paint } from "./colormap.js";

const { ol } = globalThis;

export function resultMap(element, report) {
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
  let request = new AbortController();

  const show = (first, second, look, outline) => {
    const moved =
      first &&
      (map.getView().getProjection().getCode() !== first.code ||
        !containsCentre(first.extent, map.getView()));
    request.abort();
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
      aoi.getSource().addFeatures(
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
    request.abort();
    request = new AbortController();
    const { signal } = request;
    const { first, second, look } = seen;
    const raster =
      second && position[0] > map.getCoordinateFromPixel([share * map.getSize()[0], 0])[0] ? second : first;
    mark.getSource().clear();
    const corner = first.extent;
    const centre = [
      corner[0] + (Math.floor((position[0] - corner[0]) / first.size) + 0.5) * first.size,
      corner[3] - (Math.floor((corner[3] - position[1]) / first.size) + 0.5) * first.size,
    ];
    mark.getSource().addFeature(new ol.Feature(new ol.geom.Point(centre)));
    try {
      // The second result may be in the neighbouring UTM zone.
      const values = await raster.valueAt(ol.proj.transform(position, first.code, raster.code), signal);
      if (signal.aborted) return;
      const where = format.lonLat(ol.proj.transform(centre, first.code, "EPSG:4326"));
      report(
        !values
          ? `Outside the result: ${where}.`
          : values.some(Number.isNaN)
            ? `No clear pixel at ${where}.`
            : `${look.names.map((name, place) => `${name} ${format.decimal(values[place], 4)}`).join(", ")} at ${where}.`,
      );
    } catch {
      if (!signal.aborted) report("The value could not be read. Try again.");
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
      request.abort();
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
