// A map of one result in the UTM grid of its pixels; a second result can be swiped over it.

import * as format from "../lib/format.js";
import { paint } from "./colormap.js";

const { ol } = globalThis;

export class ResultMap {
  // `report(text)` gets the value of the pixel that was clicked or is at the centre.
  constructor(element, report) {
    this.report = report;
    this.outline = new ol.layer.Vector({ source: new ol.source.Vector(), zIndex: 5, style: outlineStyle });
    this.mark = new ol.layer.Vector({ source: new ol.source.Vector(), zIndex: 6, style: markStyle });
    this.map = new ol.Map({
      target: element,
      layers: [this.outline, this.mark],
      interactions: ol.interaction.defaults.defaults(),
      controls: [new ol.control.Zoom(), new ol.control.ScaleLine({ minWidth: 70 })],
    });
    this.shown = { first: null, second: null, display: null };
    this.layers = [];
    // Where the second result begins: 0 is the left edge, 1 the right.
    this.share = 0.5;
    this.request = new AbortController();
    this.closing = new AbortController();
    const { signal } = this.closing;
    const restyle = () => [this.outline, this.mark].forEach((layer) => layer.changed());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", restyle, { signal });
    this.map.on("click", (event) => this.reportValue(event.coordinate));
    const onKeydown = (event) => event.key === "Enter" && this.reportCentre();
    element.addEventListener("keydown", onKeydown, { signal });
  }

  // Args: Rasters, `second` or both may be null; { ramp, low, high, opacity, names }; GeoJSON of the AOI.
  show(first, second, display, aoi) {
    this.request.abort();
    this.layers.forEach((layer) => this.map.removeLayer(layer));
    this.shown = { first, second, display };
    this.layers = [first, second]
      .filter(Boolean)
      .map((raster, index) => imageLayer(raster, display, index ? () => this.share : null));
    this.layers.forEach((layer) => this.map.addLayer(layer));
    if (first && !this.isInView(first)) this.moveTo(first, aoi);
    this.mark.getSource().clear();
  }

  isInView({ code, extent }) {
    const view = this.map.getView();
    return view.getProjection().getCode() === code && containsCentre(extent, view);
  }

  moveTo({ code, extent, size }, aoi) {
    const view = new ol.View({
      projection: code,
      enableRotation: false,
      extent: expandExtent(extent, 1),
      showFullExtent: true,
      maxResolution: longestSide(extent) / 100,
      minResolution: size / 80,
    });
    this.map.setView(view);
    view.fit(extent, { padding: [12, 12, 12, 12] });
    const projections = { dataProjection: "EPSG:4326", featureProjection: code };
    this.outline.getSource().clear();
    this.outline.getSource().addFeatures(new ol.format.GeoJSON().readFeatures(aoi, projections));
  }

  swipe(share) {
    this.share = share;
    this.layers.forEach((layer) => layer.changed());
  }

  setOpacity(opacity) {
    this.layers.forEach((layer) => layer.setOpacity(opacity));
  }

  reportCentre() {
    return this.reportValue(this.map.getView().getCenter());
  }

  // Mark the pixel at a position of the view, and report its value.
  async reportValue(position) {
    const { first } = this.shown;
    if (!first) return;
    this.request.abort();
    this.request = new AbortController();
    const { signal } = this.request;
    const raster = this.rasterAt(position);
    const centre = pixelCentre(first, position);
    this.mark.getSource().clear();
    this.mark.getSource().addFeature(new ol.Feature(new ol.geom.Point(centre)));
    try {
      // The second result may be in the neighbouring UTM zone.
      const values = await raster.valueAt(ol.proj.transform(position, first.code, raster.code), signal);
      if (signal.aborted) return;
      this.report(this.valueText(values, ol.proj.transform(centre, first.code, "EPSG:4326")));
    } catch {
      if (!signal.aborted) this.report("The value could not be read. Try again.");
    }
  }

  rasterAt([x]) {
    const { first, second } = this.shown;
    const [swipeX] = this.map.getCoordinateFromPixel([this.share * this.map.getSize()[0], 0]);
    return second && x > swipeX ? second : first;
  }

  valueText(values, position) {
    const where = format.lonLat(position);
    if (!values) return `Outside the result: ${where}.`;
    if (values.some(Number.isNaN)) return `No clear pixel at ${where}.`;
    const { names } = this.shown.display;
    const parts = names.map((name, index) => `${name} ${format.decimal(values[index], 4)}`);
    return `${parts.join(", ")} at ${where}.`;
  }

  close() {
    this.request.abort();
    this.closing.abort();
    this.map.setTarget(null);
  }
}

function imageLayer(raster, display, swipeShare) {
  const source = new ol.source.Image({
    projection: raster.code,
    interpolate: false,
    loader: (extent, resolution) => loadImage(raster, display, extent, resolution),
  });
  const layer = new ol.layer.Image({ source, opacity: display.opacity, zIndex: swipeShare ? 2 : 1 });
  if (swipeShare) addSwipe(layer, swipeShare);
  return layer;
}

async function loadImage(raster, display, extent, resolution) {
  const window = await raster.readWindow(extent, resolution);
  if (!window) return { image: document.createElement("canvas"), extent };
  const [west, south, east, north] = window.extent;
  return {
    image: paint(window, display),
    extent: window.extent,
    resolution: [(east - west) / window.width, (north - south) / window.height],
    pixelRatio: 1,
  };
}

// Draw only right of the share of the width, with a line where the layer begins.
function addSwipe(layer, share) {
  const canvasSize = ({ size, pixelRatio }) => size.map((side) => side * pixelRatio);
  layer.on("prerender", ({ context, frameState }) => {
    const [width, height] = canvasSize(frameState);
    context.save();
    context.beginPath();
    context.rect(share() * width, 0, width, height);
    context.clip();
  });
  layer.on("postrender", ({ context, frameState }) => {
    const [width, height] = canvasSize(frameState);
    context.restore();
    context.fillStyle = cssColour("--ink");
    context.fillRect(share() * width - 1, 0, 2, height);
  });
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

function pixelCentre({ extent: [west, , , north], size }, [x, y]) {
  const centre = (metres) => (Math.floor(metres / size) + 0.5) * size;
  return [west + centre(x - west), north - centre(north - y)];
}

const longestSide = ([west, south, east, north]) => Math.max(east - west, north - south);

function expandExtent([west, south, east, north], share) {
  const margin = share * longestSide([west, south, east, north]);
  return [west - margin, south - margin, east + margin, north + margin];
}

function containsCentre(extent, view) {
  const [x, y] = view.getCenter() ?? [NaN, NaN];
  return x >= extent[0] && x <= extent[2] && y >= extent[1] && y <= extent[3];
}
