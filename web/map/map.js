// The map: land, graticule, scale bar, and the layers that views add. It needs no network.
//
// Outside this module geometries are GeoJSON in lon/lat degrees; the map itself uses EPSG:3857.

import { load, store } from "../lib/state.js";
import { countries } from "./countries.js";

const { ol } = globalThis;
const MAP_PROJECTION = "EPSG:3857";
const geojsonFormat = ol
  ? new ol.format.GeoJSON({ dataProjection: "EPSG:4326", featureProjection: MAP_PROJECTION })
  : null;

// The colours of style.css for the map's styles, read again when the colour scheme changes.
const darkQuery = matchMedia("(prefers-color-scheme: dark)");
const colours = {};
function readColours() {
  const root = getComputedStyle(document.documentElement);
  for (const name of [
    "land",
    "coast",
    "line",
    "ink",
    "soft",
    "paper",
    "accent",
    "wash",
    "warn",
    "mark",
    "mark-wash",
  ]) {
    colours[name] = root.getPropertyValue(`--${name}`).trim();
  }
}
readColours();

const stroke = (color, width, lineDash) => new ol.style.Stroke({ color, width, lineDash });
const fill = (color) => new ol.style.Fill({ color });
const dot = (radius, inside, around) =>
  new ol.style.Circle({ radius, fill: fill(inside), stroke: stroke(around, 2) });

// Styles of features, as functions, since the colours change with the colour scheme.
export const styles = {
  aoi: () =>
    new ol.style.Style({
      stroke: stroke(colours.mark, 2.5),
      fill: fill(colours["mark-wash"]),
      image: dot(5, colours.mark, colours.paper),
    }),
  corner: () =>
    new ol.style.Style({
      image: dot(4.5, colours.paper, colours.mark),
      geometry: (feature) => new ol.geom.MultiPoint(corners(feature.getGeometry())),
    }),
  wrong: () =>
    [
      [colours.paper, 8],
      [colours.ink, 3.5],
    ].map(
      ([color, width], place) =>
        new ol.style.Style({
          zIndex: 9 + place,
          image: new ol.style.RegularShape({
            points: 4,
            radius: 12,
            radius2: 0,
            angle: Math.PI / 4,
            stroke: stroke(color, width),
          }),
        }),
    ),
  footprint: (feature, resolution) =>
    dotWhenSmall(
      feature,
      resolution,
      new ol.style.Style({
        stroke: stroke(colours.accent, 1),
        fill: fill("rgba(0,0,0,0.001)"),
        image: dot(4, colours.accent, colours.paper),
      }),
    ),
  pointed: (feature, resolution) =>
    dotWhenSmall(
      feature,
      resolution,
      new ol.style.Style({
        stroke: stroke(colours.accent, 3),
        fill: fill(colours.wash),
        zIndex: 5,
        image: dot(7, colours.accent, colours.paper),
      }),
    ),
  tile: () => new ol.style.Style({ stroke: stroke(colours.soft, 1, [5, 5]) }),
};

// A shape smaller than 10 pixels is drawn as a dot at its centre.
function dotWhenSmall(feature, resolution, style) {
  const extent = feature.getGeometry().getExtent();
  if (Math.max(ol.extent.getWidth(extent), ol.extent.getHeight(extent)) < 10 * resolution)
    style.setGeometry(new ol.geom.Point(ol.extent.getCenter(extent)));
  return style;
}

function corners(geometry) {
  const kind = geometry.getType();
  const rings =
    kind === "Polygon"
      ? geometry.getCoordinates()
      : kind === "MultiPolygon"
        ? geometry.getCoordinates().flat()
        : [];
  return rings.flat().length > 40 ? [] : rings.flatMap((ring) => ring.slice(0, -1));
}

export const lonLat = (position) => ol.proj.toLonLat(position);

// OpenLayers features of any GeoJSON; invalid or empty geometries are left out.
export function parseFeatures(geojson) {
  try {
    return geojson
      ? geojsonFormat
          .readFeatures(geojson)
          .filter((feature) => feature.getGeometry()?.getExtent().every(Number.isFinite))
      : [];
  } catch {
    return [];
  }
}

export const toGeoJSON = (feature) =>
  geojsonFormat.writeGeometryObject(feature.getGeometry(), { decimals: 7, rightHanded: true });

let map = null;
let baseLayer = null;
let graticuleLayer = null;

// The map, created on first use.
export function getMap() {
  if (map) return map;
  if (!ol) throw new Error("the map library was not loaded");
  baseLayer = new ol.layer.Vector({
    source: new ol.source.Vector(),
    style: () => new ol.style.Style({ fill: fill(colours.land), stroke: stroke(colours.coast, 1) }),
  });
  graticuleLayer = graticule();
  const last = load("seen", { center: [12, 40], zoom: 2.4 });
  map = new ol.Map({
    target: "map",
    layers: [baseLayer, graticuleLayer],
    interactions: ol.interaction.defaults.defaults(),
    controls: [
      new ol.control.Zoom({ zoomInTipLabel: "Zoom in", zoomOutTipLabel: "Zoom out" }),
      new ol.control.ScaleLine(),
    ],
    view: new ol.View({
      center: ol.proj.fromLonLat(last.center),
      zoom: last.zoom,
      minZoom: 1,
      maxZoom: 19,
      enableRotation: false,
      extent: [-4e7, -2e7, 4e7, 2e7],
      showFullExtent: true,
    }),
  });
  map.on("moveend", () =>
    store("seen", { center: lonLat(map.getView().getCenter()), zoom: map.getView().getZoom() }),
  );
  countries().then(
    (all) => baseLayer.getSource().addFeatures(all.flatMap(parseFeatures)),
    () => null,
  );
  darkQuery.addEventListener("change", () => {
    readColours();
    map.removeLayer(graticuleLayer);
    graticuleLayer = graticule();
    map.getLayers().insertAt(1, graticuleLayer);
    for (const layer of map.getLayers().getArray()) layer.changed();
  });
  return map;
}

function graticule() {
  const fontSize = parseFloat(getComputedStyle(document.documentElement).fontSize);
  const label = (place) =>
    new ol.style.Text({
      font: `${Math.round(0.7 * fontSize)}px system-ui, sans-serif`,
      fill: fill(colours.soft),
      stroke: stroke(colours.paper, 3),
      ...place,
    });
  return new ol.layer.Graticule({
    strokeStyle: stroke(colours.line, 1),
    showLabels: true,
    wrapX: true,
    targetSize: 140,
    lonLabelStyle: label({ textBaseline: "top" }),
    latLabelStyle: label({ textAlign: "start" }),
    lonLabelPosition: 0.985,
    latLabelPosition: 0.01,
    latLabelFormatter: (lat) => formatDegrees(lat, "N", "S"),
    lonLabelFormatter: (lon) => formatDegrees(lon, "E", "W"),
    intervals: [90, 45, 30, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01],
  });
}

const formatDegrees = (value, plus, minus) =>
  `${Math.abs(Number(value.toFixed(2)))}°${Math.abs(value) < 1e-9 ? "" : value > 0 ? plus : minus}`;

// Add a vector layer over the base map; `style` is one of `styles` or a style function.
export function addLayer(style, zIndex = 1) {
  const layer = new ol.layer.Vector({ source: new ol.source.Vector(), style, zIndex });
  getMap().addLayer(layer);
  return layer;
}

// Replace a layer's features with GeoJSON; returns them.
export function fillLayer(layer, ...all) {
  const added = all.flatMap(parseFeatures);
  layer.getSource().clear();
  layer.getSource().addFeatures(added);
  return added;
}

export function removeLayers(...layers) {
  for (const layer of layers) if (layer) getMap().removeLayer(layer);
}

// Fit the view to a GeoJSON geometry, at most to zoom level 16.
export function zoomTo(geojson, { calm = false } = {}) {
  const extent = ol.extent.createEmpty();
  for (const feature of parseFeatures(geojson)) ol.extent.extend(extent, feature.getGeometry().getExtent());
  if (ol.extent.isEmpty(extent) && !(extent[0] <= extent[2])) return;
  const still = calm || matchMedia("(prefers-reduced-motion: reduce)").matches;
  getMap()
    .getView()
    .fit(extent, { padding: [48, 48, 48, 48], maxZoom: 16, duration: still ? 0 : 250 });
}

// Area in km² on the sphere, shown until the API has answered.
export const approximateAreaKm2 = (geojson) =>
  parseFeatures(geojson).reduce((sum, feature) => sum + ol.sphere.getArea(feature.getGeometry()) / 1e6, 0);

// A circle in degrees around a position; the length of a degree differs north and east on the ellipsoid
// (WGS84).
export function circleAround([lon, lat], metres) {
  const phi = (lat * Math.PI) / 180;
  const bent = 1 - 0.00669437999 * Math.sin(phi) ** 2;
  const up = (metres / ((6378137 * (1 - 0.00669437999)) / bent ** 1.5)) * (180 / Math.PI);
  const right = (metres / ((6378137 / Math.sqrt(bent)) * Math.cos(phi))) * (180 / Math.PI);
  const ring = Array.from({ length: 48 }, (_, place) => (place / 24) * Math.PI).map((turn) =>
    [lon + right * Math.cos(turn), lat + up * Math.sin(turn)].map((value) => Number(value.toFixed(7))),
  );
  return { type: "Polygon", coordinates: [[...ring, ring[0]]] };
}
