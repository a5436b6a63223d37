// Lon/lat degrees to metres of a UTM zone (WGS84), by the series of Krüger (1912) to the third order in the flattening:
// good to a millimetre within a zone.

const A = 6378137;
const F = 1 / 298.257223563;
const N = F / (2 - F);
const RADIUS = (A / (1 + N)) * (1 + N ** 2 / 4 + N ** 4 / 64);
const ALPHA = [
  N / 2 - (2 / 3) * N ** 2 + (5 / 16) * N ** 3,
  (13 / 48) * N ** 2 - (3 / 5) * N ** 3,
  (61 / 240) * N ** 3,
];
const ECCENTRICITY = (2 * Math.sqrt(N)) / (1 + N);

// A function from [lon, lat] to [easting, northing] for a code such as "EPSG:32632"; null for other systems.
export function projection(code) {
  const found = /^EPSG:32([67])(\d\d)$/.exec(code ?? "");
  if (!found) return null;
  const middle = Number(found[2]) * 6 - 183;
  const north = found[1] === "7" ? 1e7 : 0;
  return ([lon, lat]) => {
    const phi = (lat * Math.PI) / 180;
    const lambda = (((((lon - middle + 180) % 360) + 360) % 360) - 180) * (Math.PI / 180);
    const sine = Math.sin(phi);
    const t = Math.sinh(Math.atanh(sine) - ECCENTRICITY * Math.atanh(ECCENTRICITY * sine));
    const xi = Math.atan2(t, Math.cos(lambda));
    const eta = Math.atanh(Math.sin(lambda) / Math.sqrt(1 + t * t));
    let x = eta;
    let y = xi;
    ALPHA.forEach((alpha, index) => {
      const turn = 2 * (index + 1);
      x += alpha * Math.cos(turn * xi) * Math.sinh(turn * eta);
      y += alpha * Math.sin(turn * xi) * Math.cosh(turn * eta);
    });
    return [500000 + 0.9996 * RADIUS * x, north + 0.9996 * RADIUS * y];
  };
}
