// Country outlines for the base map and for finding a country by name, decoded from TopoJSON (specification,
// sections 2.1.1 and 2.1.4).

const FILE = "vendor/world-atlas-2.0.2/countries-110m.json";
let pending = null;

// GeoJSON features with a `name`. The file is fetched once.
export function countries() {
  pending ??= fetch(FILE)
    .then((answer) => {
      if (!answer.ok) throw new Error(`${FILE} answers ${answer.status}`);
      return answer.json();
    })
    .then((topology) => {
      const arcs = topology.arcs.map((arc) => decodeArc(arc, topology.transform));
      return topology.objects.countries.geometries.map((country) => ({
        type: "Feature",
        properties: { name: country.properties.name },
        geometry: {
          type: country.type,
          coordinates:
            country.type === "Polygon"
              ? joinArcs(country.arcs, arcs)
              : country.arcs.map((part) => joinArcs(part, arcs)),
        },
      }));
    });
  pending.catch(() => {
    pending = null;
  });
  return pending;
}

function decodeArc(arc, { scale, translate }) {
  let x = 0;
  let y = 0;
  return arc.map(([right, up]) => {
    x += right;
    y += up;
    return [x * scale[0] + translate[0], y * scale[1] + translate[1]];
  });
}

// A ring is a chain of arcs that share their end points; ~3 is arc 3 reversed.
const joinArcs = (rings, arcs) =>
  rings.map((ring) =>
    unwrapLongitudes(
      ring.flatMap((number, place) => {
        const arc = number < 0 ? arcs[~number].toReversed() : arcs[number];
        return place ? arc.slice(1) : arc;
      }),
    ),
  );

// Unwrap longitudes so that a ring continues beyond 180 instead of jumping; a ring around a pole goes through
// the pole.
function unwrapLongitudes(ring) {
  let turn = 0;
  const unwrapped = ring.map(([lon, lat], place) => {
    const jump = place ? lon - ring[place - 1][0] : 0;
    if (Math.abs(jump) > 180) turn -= 360 * Math.sign(jump);
    return [lon + turn, lat];
  });
  const [first, last] = [unwrapped[0], unwrapped.at(-1)];
  if (Math.abs(last[0] - first[0]) < 180) return unwrapped;
  const pole = last[1] < 0 ? -90 : 90;
  return [...unwrapped, [last[0], pole], [first[0], pole], first];
}

// Common names of countries that the map abbreviates or names differently.
const ALIASES = {
  usa: "United States of America",
  us: "United States of America",
  uk: "United Kingdom",
  "great britain": "United Kingdom",
  "czech republic": "Czechia",
  "ivory coast": "Côte d'Ivoire",
  "north macedonia": "Macedonia",
  "south sudan": "S. Sudan",
  "central african republic": "Central African Rep.",
  "democratic republic of the congo": "Dem. Rep. Congo",
  congo: "Congo",
  "dominican republic": "Dominican Rep.",
  "bosnia and herzegovina": "Bosnia and Herz.",
  "equatorial guinea": "Eq. Guinea",
  "solomon islands": "Solomon Is.",
  "western sahara": "W. Sahara",
  eswatini: "eSwatini",
  swaziland: "eSwatini",
  burma: "Myanmar",
};

const normalizeName = (text) =>
  text
    .normalize("NFD")
    .replace(/[\u0300-\u036f]/g, "")
    .toLowerCase()
    .replace(/^the /, "")
    .replace(/\s+/g, " ")
    .trim();

// The country with this name or with this unique prefix; else null.
export function findCountry(all, text) {
  const target = normalizeName(ALIASES[normalizeName(text)] ?? text);
  if (target.length < 3) return null;
  const exact = all.find((country) => normalizeName(country.properties.name) === target);
  const byPrefix = all.filter((country) => normalizeName(country.properties.name).startsWith(target));
  return exact ?? (byPrefix.length === 1 ? byPrefix[0] : null);
}
