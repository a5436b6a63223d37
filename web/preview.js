// A result's picture with the outline of its AOI, in the projection of its pixels.

import { address, picture } from "./api.js";
import { h, s } from "./dom.js";
import { projection } from "./utm.js";
import * as words from "./words.js";

export async function preview(item) {
  const asset = item.assets.preview;
  const grid = Object.values(item.assets).find((one) => one["proj:transform"] && one["proj:shape"]);
  if (!asset || !grid) return null;
  const [west, south, east, north] = bounds(grid);
  const width = east - west;
  const height = north - south;
  const margin = Math.max(width, height) * 0.04;
  const place = projection(grid["proj:code"] ?? (grid["proj:epsg"] ? `EPSG:${grid["proj:epsg"]}` : ""));
  const title = item.properties.title ?? item.id;
  const view = s("svg", { viewBox: `${-margin} ${-margin} ${width + 2 * margin} ${height + 2 * margin}`, role: "img", "aria-label": title },
    s("image", { href: await picture(new URL(asset.href, address("")).pathname), x: 0, y: 0, width, height, preserveAspectRatio: "none" }),
    place ? s("path", { d: outline(item.geometry, ([lon, lat]) => {
      const [x, y] = place([lon, lat]);
      return `${(x - west).toFixed(1)} ${(north - y).toFixed(1)}`;
    }), class: "outline", "vector-effect": "non-scaling-stroke" }) : null,
    scale(width, height, margin));
  return h("div", { class: "picture" }, view);
}

// West, south, east, north in metres, from the affine transform of the pixels.
function bounds(asset) {
  const [a, , c, , e, f] = asset["proj:transform"];
  const [rows, columns] = asset["proj:shape"];
  return [c, f + e * rows, c + a * columns, f];
}

function outline(geometry, write) {
  const polygons = geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates;
  return polygons.flat().map((ring) => `M${ring.map(write).join("L")}Z`).join("");
}

// A bar of a round length, about a quarter of the width.
function scale(width, height, margin) {
  const power = 10 ** Math.floor(Math.log10(width / 4));
  const length = [5, 2, 1].map((step) => step * power).find((step) => step <= width / 4) ?? power;
  const y = height + margin * 0.55;
  const label = length >= 1000 ? `${words.count(length / 1000)} km` : `${words.count(length)} m`;
  return s("g", { class: "scale", "aria-hidden": "true" },
    s("path", { d: `M0 ${y}H${length}`, "vector-effect": "non-scaling-stroke" }),
    s("text", { x: length + margin * 0.4, y: y + margin * 0.22, "font-size": margin * 0.75 }, label));
}
