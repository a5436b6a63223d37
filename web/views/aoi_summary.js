// The summary of an AOI: its size, tiles and revisit as the API states them, and its errors with their
// positions.

import { get, post } from "../lib/api.js";
import { button, facts, h, row } from "../lib/dom.js";
import * as format from "../lib/format.js";
import { aoi, aoiLabel, updateAoi } from "../lib/state.js";

const MAX_TILES_SHOWN = 6;
const MAX_ERRORS_SHOWN = 12;

export const fetchSummary = (area, signal) =>
  area.tile
    ? get(`aoi?tile=${encodeURIComponent(area.tile)}`, signal)
    : post("aoi", { aoi: area.given }, { signal });

// Fetch the summary of the current AOI where it is missing, such as for a tile in the address.
export async function ensureSummary(signal) {
  const area = aoi();
  if (!area || area.seen) return;
  const seen = await fetchSummary(area, signal);
  if (area === aoi()) updateAoi({ seen, given: area.tile ? seen.aoi : area.given });
}

// One line that names the current AOI, or says what is used without one, with a link to change it.
export function areaLine(withoutAoi) {
  const area = aoi();
  return h(
    "p",
    { class: "hint-line" },
    `For ${area ? aoiLabel(area) : withoutAoi}. `,
    h("a", { href: "#place" }, area ? "Change the place" : "Choose a place"),
  );
}

export function renderSummary(seen) {
  return facts([
    ["Area", format.km2(seen.area_km2)],
    ["Vertices", format.count(seen.vertices)],
    seen.parts > 1 ? ["Parts", format.count(seen.parts)] : null,
    [seen.tiles.length === 1 ? "Tile" : "Tiles", tileList(seen.tiles)],
    [
      "Passes per month",
      seen.passes_per_month === null ? "unknown" : format.decimal(seen.passes_per_month, 1),
    ],
    seen.next_pass ? ["Next pass", format.time(seen.next_pass)] : null,
    ["10 m pixels", format.count(seen.pixels_10m)],
    ["Read per pass", `about ${format.fileSize(seen.bytes_per_pass)}`],
  ]);
}

function tileList(tiles) {
  const shown = tiles.slice(0, MAX_TILES_SHOWN).join(", ");
  return tiles.length > MAX_TILES_SHOWN ? `${shown} and ${tiles.length - MAX_TILES_SHOWN} more` : shown;
}

// The message names the command line's option; on the page repair is a button.
const withoutRepairOption = (text) => text.replace(/[,;]? or [^,;.]*--repair\)?|\s*\(--repair\)/g, "");

// The errors of an AOI, each with its position. `focus(position)` moves the map there; `repair`, `retry` and
// `undo` are null where they do not apply.
export function renderErrors(error, { focus, repair, retry, undo }) {
  const located = (error.more.errors ?? []).filter((each) => each.at).slice(0, MAX_ERRORS_SHOWN);
  const line = (each) =>
    h(
      "li",
      {},
      button(format.lonLat(each.at), () => focus(each.at), { class: "plain" }),
      `: ${withoutRepairOption(each.why).replace(/^the AOI /, "")}`,
    );
  return h(
    "div",
    { class: "trouble", role: "alert" },
    h("p", {}, withoutRepairOption(error.message)),
    located.length ? h("ul", { class: "places" }, located.map(line)) : null,
    row(
      repair && button("Repair it", repair, { class: "first" }),
      retry && button("Try again", retry),
      undo && button("Undo", undo),
    ),
    repair
      ? h("p", { class: "note" }, "Repair keeps everything the shape encloses; undo restores yours.")
      : null,
  );
}
