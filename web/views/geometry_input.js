// An AOI from text or a file: GeoJSON, WKT, KML, KMZ, a zipped shapefile, a tile, coordinates or a country
// name.
//
// The readers return { given, name, tile, points, country }: `given` is GeoJSON in which points are replaced
// by circles, and `points` the original positions. The API decides whether it is a valid AOI.

import { Problem, post } from "../lib/api.js";
import { binaryKind, decode, isBinary, isZip } from "../lib/file_kind.js";
import { parsePositions } from "../lib/positions.js";
import { zipEntries } from "../lib/zip.js";
import { countries, findCountry } from "../map/countries.js";
import { circleAround } from "../map/map.js";

const { ol } = globalThis;
const MAX_BYTES = 20_000_000;
const MAX_POINTS = 50;
// The API converts as many positions of another projection; an AOI has at most 2,000 vertices.
const MAX_POSITIONS = 20_000;
const READABLE = "GeoJSON, KML, KMZ, WKT and zipped shapefiles are read; export the layer as one of them.";
const HELP = "Type a tile (31UES), coordinates (51.3 N 4.2 E), or a country; or paste GeoJSON, WKT or KML.";

// `metres` is the buffer around points.
export async function readText(text, metres) {
  const trimmed = text.replace(/^\ufeff/, "").trim();
  if (!trimmed) throw new Problem(HELP);
  if (isBinary(trimmed)) throw new Problem(`This is no text. ${READABLE}`);
  if (/^[{[]/.test(trimmed)) return fromGeoJSON(await readCrs(parseJson(trimmed)), metres);
  const root = /^(?:<[?!][^>]*>\s*)*<(?:\w+:)?([\w.-]+)/.exec(trimmed)?.[1];
  if (root && !/^(kml|Document|Folder|Placemark)$/i.test(root))
    throw new Problem(`This is ${root === "gpx" ? "GPX" : `XML (${root})`}, not KML. ${READABLE}`);
  if (trimmed.startsWith("<"))
    return fromFeatures(new ol.format.KML({ extractStyles: false }), trimmed, metres, "KML");
  if (/^(SRID=\d+;)?\s*(MULTI)?(POINT|LINESTRING|POLYGON)|^GEOMETRYCOLLECTION/i.test(trimmed)) {
    return fromWkt(trimmed, metres);
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

function fromWkt(text, metres) {
  const [, srid = "4326"] = /^SRID=(\d+);/i.exec(text) ?? [];
  return fromFeatures(new ol.format.WKT(), text.replace(/^SRID=\d+;/i, ""), metres, "WKT", `EPSG:${srid}`);
}

export async function readFile(file, metres) {
  if (file.size > MAX_BYTES)
    throw new Problem(
      `${file.name} has ${Math.round(file.size / 1e6)} MB; the limit is 20 MB. Keep only your areas.`,
    );
  const bytes = new Uint8Array(await file.arrayBuffer());
  const bare = file.name.replace(/\.[^.]*$/, "");
  const read = isZip(bytes)
    ? await fromZip(bytes, metres, file.name)
    : await readText(textOfFile(bytes, file.name), metres);
  return { ...read, name: read.name || bare };
}

function textOfFile(bytes, name) {
  if (/\.(shp|dbf|shx|prj)$/i.test(name)) {
    throw new Problem(
      `${name} is one part of a shapefile; put its .shp, .dbf and .prj into a zip file and open that.`,
    );
  }
  if (!bytes.length) throw new Problem(`${name} is empty.`);
  const kind = binaryKind(bytes);
  if (kind) throw new Problem(`${name} is ${kind}. ${READABLE}`);
  return decode(bytes);
}

// A zip archive is a shapefile, a KMZ, or holds one file of text.
async function fromZip(bytes, metres, name) {
  const entries = zipEntries(bytes);
  if (!entries)
    throw new Problem(`${name} is a zip file that is cut off or damaged. Download or zip it again.`);
  const find = (pattern) => entries.find((entry) => pattern.test(entry.name));
  if (find(/\.shp$/i)) return fromShapefile(entries, metres, name);
  const text = find(/(^|\/)doc\.kml$/i) ?? find(/\.kml$/i) ?? find(/\.(geojson|json|wkt)$/i);
  if (text) return readText(textOfFile(await text.read(), text.name), metres);
  const what = find(/^\[Content_Types\]\.xml$/) ? "an Office document" : "a zip file";
  const inside = entries.slice(0, 3).map((entry) => entry.name.slice(0, 60));
  throw new Problem(
    `${name} is ${what} without a .shp or .kml; it holds ${inside.join(", ") || "nothing"}. ${READABLE}`,
  );
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

async function fromFeatures(format, text, metres, what, crs = "EPSG:4326") {
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
  const found = fromGeoJSON(await readCrs({ type: "GeometryCollection", geometries, crs }), metres);
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

// The layers of a zipped shapefile, each in the projection of its .prj.
async function fromShapefile(entries, metres, name) {
  const { parseDbf, parseShp } = await import("../vendor/shpjs-6.2.0/shp.esm.min.js");
  const features = [];
  for (const entry of entries.filter((each) => /\.shp$/i.test(each.name))) {
    const stem = entry.name.slice(0, -4).toLowerCase();
    const part = async (ending) => {
      const found = entries.find((each) => each.name.toLowerCase() === `${stem}.${ending}`);
      return found ? new DataView((await found.read()).slice().buffer) : null;
    };
    const [shp, dbf, prj, cpg] = await Promise.all(["shp", "dbf", "prj", "cpg"].map(part));
    const text = (view) => view && decode(new Uint8Array(view.buffer)).trim();
    let geometries;
    let rows;
    try {
      geometries = parseShp(shp);
      rows = dbf ? parseDbf(dbf, text(cpg) ?? undefined) : [];
    } catch (error) {
      throw new Problem(`${name} cannot be read as a zipped shapefile (${error.message}). Export it again.`);
    }
    const shapes = geometries
      .map((geometry, place) => ({ geometry, properties: { name: nameOf(rows[place]) } }))
      .filter(({ geometry }) => geometry);
    features.push(...(await toLonLat(shapes, text(prj), name)));
  }
  if (!features.length) throw new Problem(`${name} contains no shape. Export the layer again.`);
  const read = fromGeoJSON(
    {
      type: "FeatureCollection",
      features: features.map(({ geometry, properties }) => ({
        type: "Feature",
        properties,
        geometry: roundGeometry(geometry),
      })),
    },
    metres,
  );
  return read.name ? read : { given: read.given, points: read.points, tile: null };
}

const isWgs84 = (prj) => /^GEOG(CS|CRS)\[\s*"(GCS_)?WGS[ _]?(19)?84"/i.test(prj) && /Greenwich/i.test(prj);

// The API converts other projections and datums: it knows the published shifts of each datum.
async function toLonLat(features, prj, name) {
  const positions = features.flatMap(({ geometry }) => positionsOf(geometry));
  if (!prj) {
    const worst = positions.flat().find((number) => Math.abs(number) > 360);
    if (worst)
      throw new Problem(
        `${name} has coordinates such as ${worst}, which are not degrees; add its .prj to the zip file.`,
      );
  }
  if (!positions.length || !prj || isWgs84(prj)) return features;
  const replace = await convert(prj, positions, name);
  return features.map(({ geometry, properties }) => ({
    properties,
    geometry: { type: geometry.type, coordinates: replace(geometry.coordinates) },
  }));
}

// A function that returns coordinates with the next of the converted positions in place of the given ones.
async function convert(crs, positions, name) {
  if (positions.length > MAX_POSITIONS)
    throw new Problem(
      `${name} has ${positions.length} vertices; one AOI has at most 2,000. Simplify it, or keep only your areas.`,
    );
  const converted = await post("aoi/positions", { crs, positions }).catch((error) => {
    if (!(error instanceof Problem)) throw error;
    throw new Problem(`${name}: ${error.message}`, error.status, error.more);
  });
  const next = converted.positions[Symbol.iterator]();
  const replace = (value) => (typeof value[0] === "number" ? next.next().value : value.map(replace));
  return replace;
}

const LON_LAT =
  /^(?:urn:(?:x-)?ogc:def:crs:|https?:\/\/www\.opengis\.net\/def\/crs\/)?(?:OGC[:/](?:1\.3|0)?[:/]?CRS84h?|EPSG[:/][\d.]*[:/]?4326|CRS84|WGS ?84)$/i;

// GeoJSON in the CRS that its member crs names, as GeoJSON in lon/lat degrees.
async function readCrs(value) {
  if (!value || typeof value !== "object" || !("crs" in value)) return value;
  const { crs, ...rest } = value;
  const stated = typeof crs === "string" ? crs : (crs?.properties?.name ?? crs?.properties?.code);
  const name = typeof stated === "number" ? `EPSG:${stated}` : stated;
  if (typeof name !== "string" || !name)
    throw new Problem(
      "The crs of this GeoJSON names none; leave it out for lon/lat degrees, or name it, such as EPSG:32631.",
    );
  if (LON_LAT.test(name.trim().replace("::", ":"))) return rest;
  const change = (node, replace) => {
    if (Array.isArray(node.features))
      return { ...node, features: node.features.map((each) => change(each, replace)) };
    if (Array.isArray(node.geometries))
      return { ...node, geometries: node.geometries.map((each) => change(each, replace)) };
    if (node.type === "Feature")
      return { ...node, geometry: node.geometry && change(node.geometry, replace) };
    return node.coordinates?.length ? { ...node, coordinates: replace(node.coordinates) } : node;
  };
  const positions = [];
  try {
    change(rest, (coordinates) => {
      positions.push(...positionsOf({ coordinates }));
      return coordinates;
    });
  } catch {
    return value; // The API says what is wrong with it.
  }
  if (!positions.length || !positions.flat().every(Number.isFinite)) return value;
  return change(rest, await convert(name, positions, "This area"));
}

function positionsOf({ coordinates }) {
  const collect = (value) => (typeof value[0] === "number" ? [value.slice(0, 2)] : value.flatMap(collect));
  return coordinates.length ? collect(coordinates) : [];
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
