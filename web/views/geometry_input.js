// An AOI from text or a file: GeoJSON, WKT, KML, a zipped shapefile, a tile, coordinates or a country name.
//
// The readers return { given, name, tile, points, country }: `given` is GeoJSON in which points are replaced
// by circles, and `points` the original positions. The API decides whether it is a valid AOI.

import { Problem } from "../lib/api.js";
import { countries, findCountry } from "../map/countries.js";
import { circleAround } from "../map/map.js";

const { ol } = globalThis;
const MAX_BYTES = 20_000_000;
const MAX_POINTS = 50;
const HELP = "Type a tile (31UES), coordinates (51.3 N 4.2 E), or a country; or paste GeoJSON, WKT or KML.";

// `metres` is the buffer around points.
export async function readText(text, metres) {
  const trimmed = text.trim();
  if (!trimmed) throw new Problem(HELP);
  if (/^[{[]/.test(trimmed)) return fromGeoJSON(parseJson(trimmed), metres);
  if (trimmed.startsWith("<"))
    return fromFeatures(new ol.format.KML({ extractStyles: false }), trimmed, metres, "KML");
  if (/^SRID=(?!4326;)/i.test(trimmed))
    throw new Problem(
      `${trimmed.slice(0, 12).split(";")[0]} is another projection; use lon/lat degrees (EPSG:4326).`,
    );
  if (/^(SRID=\d+;)?\s*(MULTI)?(POINT|LINESTRING|POLYGON)|^GEOMETRYCOLLECTION/i.test(trimmed)) {
    return fromFeatures(new ol.format.WKT(), trimmed.replace(/^SRID=4326;/i, ""), metres, "WKT");
  }
  const tile = /^T?(\d{1,2}[C-HJ-NP-X][A-HJ-NP-Z][A-HJ-NP-V])$/i.exec(trimmed.replace(/\s/g, ""));
  if (tile) return { given: null, name: "", tile: tile[1].toUpperCase().padStart(5, "0") };
  const positions = parsePositions(trimmed);
  if (positions?.length === 1)
    return { given: circlesAround(positions, metres), points: positions, name: "", tile: null };
  if (positions) return { given: fromPositions(positions), name: "", tile: null };
  const country = findCountry(await countries(), trimmed);
  if (country) return { given: country.geometry, name: country.properties.name, tile: null, country: true };
  throw new Problem(`No match for “${trimmed.length > 60 ? `${trimmed.slice(0, 60)}…` : trimmed}”. ${HELP}`);
}

export async function readFile(file, metres) {
  if (file.size > MAX_BYTES)
    throw new Problem(
      `${file.name} has ${Math.round(file.size / 1e6)} MB; the limit is 20 MB. Keep only your areas.`,
    );
  const bytes = new Uint8Array(await file.arrayBuffer());
  const bare = file.name.replace(/\.[^.]*$/, "");
  if (bytes[0] === 0x50 && bytes[1] === 0x4b)
    return { name: bare, ...(await fromShapefile(bytes, metres, file.name)) };
  if (/\.(shp|dbf|shx|prj)$/i.test(file.name)) {
    throw new Problem(
      `${file.name} is one part of a shapefile; put its .shp, .dbf and .prj into a zip file and open that.`,
    );
  }
  const read = await readText(new TextDecoder().decode(bytes).replace(/^\ufeff/, ""), metres);
  return { ...read, name: read.name || bare };
}

function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Problem(
      `This looks like GeoJSON but cannot be read: ${error.message}. Check for a missing comma or bracket.`,
    );
  }
}

// Polygons are passed on unchanged, so that the API can report their errors; points become circles.
function fromGeoJSON(value, metres) {
  const geometries = [];
  const collect = (node, depth) => {
    if (depth > 8 || !node || typeof node !== "object") return;
    if (Array.isArray(node.features)) node.features.forEach((each) => collect(each, depth + 1));
    else if (Array.isArray(node.geometries)) node.geometries.forEach((each) => collect(each, depth + 1));
    else if (node.type === "Feature") collect(node.geometry, depth + 1);
    else geometries.push(node);
  };
  collect(value, 0);
  if (!geometries.some((each) => Array.isArray(each.coordinates) && each.coordinates.length)) {
    throw new Problem(
      "No polygon or point was found in this GeoJSON. It needs a type and coordinates [lon, lat].",
    );
  }
  const name = nameOf(value.features?.length === 1 ? value.features[0].properties : value.properties);
  const points = geometries.flatMap((each) =>
    !Array.isArray(each.coordinates)
      ? []
      : each.type === "Point"
        ? [each.coordinates]
        : each.type === "MultiPoint"
          ? each.coordinates
          : [],
  );
  if (!points.length) return { given: value, name, tile: null };
  const others = geometries.filter((each) => !/Point$/.test(each.type));
  return {
    given: circlesAround(points, metres, others),
    points: others.length ? null : points.map((at) => at.slice(0, 2)),
    name,
    tile: null,
  };
}

const nameOf = (properties) =>
  String(properties?.name ?? properties?.Name ?? properties?.NAME ?? "").slice(0, 100);

function fromFeatures(format, text, metres, what) {
  let all;
  try {
    all = format.readFeatures(text);
  } catch {
    all = [];
  }
  const geojson = new ol.format.GeoJSON();
  const geometries = all
    .filter((each) => each.getGeometry())
    .map((each) => dropHeights(geojson.writeGeometryObject(each.getGeometry())));
  if (!geometries.length)
    throw new Problem(`No polygon or point was found in this ${what}. Check that it is complete.`);
  const found = fromGeoJSON({ type: "GeometryCollection", geometries }, metres);
  const single = all.length === 1 ? all[0].getProperties() : {};
  return {
    ...found,
    given: found.given.geometries ? mergeGeometries(found.given.geometries) : found.given,
    name: nameOf(single),
  };
}

// KML has heights, which an AOI does not use.
const dropHeights = (geometry) =>
  geometry.geometries
    ? { ...geometry, geometries: geometry.geometries.map(dropHeights) }
    : { ...geometry, coordinates: firstTwo(geometry.coordinates) };
const firstTwo = (value) => (typeof value[0] === "number" ? value.slice(0, 2) : value.map(firstTwo));

async function fromShapefile(bytes, metres, name) {
  const { default: shp } = await import("../vendor/shpjs-6.2.0/shp.esm.min.js");
  let layers;
  try {
    layers = [await shp(bytes.buffer)].flat();
  } catch (error) {
    throw new Problem(
      `${name} cannot be read as a zipped shapefile (${error.message}). ` +
        "It needs a .shp and a .prj at the top level of the zip file.",
    );
  }
  const all = layers.flatMap((layer) => layer.features ?? []).filter((each) => each.geometry);
  if (!all.length) throw new Problem(`${name} contains no shape. Export the layer again.`);
  const worst = all
    .flatMap((each) => each.geometry.coordinates.flat(Infinity))
    .find((number) => Math.abs(number) > 360);
  if (worst)
    throw new Problem(
      `${name} has coordinates such as ${worst}, which are not degrees; add its .prj to the zip file.`,
    );
  const read = fromGeoJSON(
    {
      type: "FeatureCollection",
      features: all.map(({ geometry, properties }) => ({
        type: "Feature",
        properties: { name: nameOf(properties) },
        geometry: roundGeometry(geometry),
      })),
    },
    metres,
  );
  return read.name ? read : { given: read.given, points: read.points, tile: null };
}

const roundGeometry = (geometry) => ({
  type: geometry.type,
  coordinates: roundCoordinates(geometry.coordinates),
});
const roundCoordinates = (value) =>
  typeof value === "number" ? Number(value.toFixed(7)) : value.map(roundCoordinates);

const isPosition = (at) => Math.abs(at?.[0]) <= 180 && Math.abs(at?.[1]) <= 85;

// Circles around points, together with other geometries.
export function circlesAround(points, metres, others = []) {
  if (points.length > MAX_POINTS)
    throw new Problem(
      `There are ${points.length} points; one AOI has at most ${MAX_POINTS}. Open fewer at once.`,
    );
  if (points.some((at) => !isPosition(at))) {
    throw new Problem(
      `A point is at ${points.find((at) => !isPosition(at))}; ` +
        "points are [lon, lat] in degrees, at most 85 north or south.",
    );
  }
  return mergeGeometries([...others, ...points.map((point) => circleAround(point, metres))]);
}

export const mergeGeometries = (geometries) =>
  geometries.length === 1
    ? geometries[0]
    : {
        type: "FeatureCollection",
        features: geometries.map((geometry) => ({ type: "Feature", properties: {}, geometry })),
      };

// Two positions are the corners of a box, three or more a polygon.
function fromPositions(positions) {
  if (positions.length === 2) {
    const [[a, b], [c, d]] = positions;
    const [west, east, south, north] = [Math.min(a, c), Math.max(a, c), Math.min(b, d), Math.max(b, d)];
    return {
      type: "Polygon",
      coordinates: [
        [
          [west, south],
          [east, south],
          [east, north],
          [west, north],
          [west, south],
        ],
      ],
    };
  }
  return { type: "Polygon", coordinates: [[...positions, positions[0]]] };
}

// Positions separated by lines or semicolons, latitude first unless letters (N, E) say otherwise; null for
// other text.
export function parsePositions(text) {
  const lines = text
    .split(/[\n;]+/)
    .map((line) => line.trim())
    .filter(Boolean);
  const found = lines.map(parsePosition);
  if (found.every(Boolean)) return found;
  return null;
}

const DEGREES = String.raw`([-+−]?\d{1,3}(?:[.,]\d+)?)\s*°?\s*`;
const MINUTES = String.raw`(?:(\d{1,2}(?:[.,]\d+)?)\s*['′’]\s*)?`;
const SECONDS = String.raw`(?:(\d{1,2}(?:[.,]\d+)?)\s*(?:["″”]|'')\s*)?`;
const NUMBER = `${DEGREES}${MINUTES}${SECONDS}`;
const PAIR = new RegExp(
  String.raw`^([NSEWO])?\s*${NUMBER}\s*([NSEWO])?\s*[,/\s]\s*([NSEWO])?\s*${NUMBER}\s*([NSEWO])?$`,
  "i",
);

function parsePosition(line) {
  // "45,8 9,2" has decimal commas; in "45.8,9.2" and "45, 9" the comma is a separator.
  const found = PAIR.exec(
    line
      .replace(/^\(|\)$|^\[|\]$/g, "")
      .replace(/(\d)([NSEW])(?=[\s,]*[-\d])/i, "$1 $2 ")
      .trim(),
  );
  if (!found) return null;
  const [, before, d1, m1, s1, behind, before2, d2, m2, s2, behind2] = found;
  const first = toDegrees(d1, m1, s1, before ?? behind);
  const second = toDegrees(d2, m2, s2, before2 ?? behind2);
  const swapped = /[EWO]/i.test(before ?? behind ?? "") || /[NS]/i.test(before2 ?? behind2 ?? "");
  const [lat, lon] = swapped ? [second, first] : [first, second];
  if (Math.abs(lat) > 90 || Math.abs(lon) > 180)
    throw new Problem(`${line}: latitude comes first and is at most 90; longitude is at most 180.`);
  return [lon, lat];
}

function toDegrees(whole, minutes, seconds, letter) {
  const plain = (text) => Number((text ?? "0").replace(",", ".").replace("−", "-"));
  const size = Math.abs(plain(whole)) + plain(minutes) / 60 + plain(seconds) / 3600;
  return plain(whole) < 0 || /^[-−]/.test(whole) || /[SW]/i.test(letter ?? "") ? -size : size;
}

// The vertices of a polygon without holes as text that readText reads back; null for other shapes.
export function toText(geojson) {
  const geometry = geojson?.type === "Feature" ? geojson.geometry : geojson;
  if (geometry?.type !== "Polygon" || geometry.coordinates?.length !== 1) return null;
  const [ring] = geometry.coordinates;
  if (
    !Array.isArray(ring) ||
    ring.length > 60 ||
    !ring.every((at) => Array.isArray(at) && at.every(Number.isFinite))
  )
    return null;
  return ring
    .slice(0, -1)
    .map(([lon, lat]) => `${lat}, ${lon}`)
    .join("\n");
}
