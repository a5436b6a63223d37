// What an AOI would mean, as the server tells it before anything is saved; and where a shape is wrong.

import { get, post } from "../lib/api.js";
import { h } from "../lib/dom.js";
import * as format from "../lib/format.js";
import { aoi, aoiLabel, updateAoi } from "../lib/state.js";

export const fetchSummary = (one, signal) =>
  one.tile
    ? get(`aoi?tile=${encodeURIComponent(one.tile)}`, signal)
    : post("aoi", { aoi: one.given }, { signal });

// Has the server say what it has not said yet of the AOI in hand, such as one of another tab or a tile in the address.
export async function ensureSummary(signal) {
  const one = aoi();
  if (!one || one.seen) return;
  const seen = await fetchSummary(one, signal);
  if (one === aoi()) updateAoi({ seen, given: one.tile ? seen.aoi : one.given });
}

// Over what a view works, and the way to another place.
export function areaLine(otherwise) {
  const one = aoi();
  return h(
    "p",
    { class: "told-line" },
    `Over ${one ? aoiLabel(one) : otherwise}. `,
    h("a", { href: "#place" }, one ? "Change the place" : "Choose a place"),
  );
}

// The server's answer as elements.
export function renderSummary(seen) {
  const facts = [
    ["Area", format.km2(seen.area_km2)],
    ["Corners", format.count(seen.vertices)],
    seen.parts > 1 ? ["Parts", format.count(seen.parts)] : null,
    [
      seen.tiles.length === 1 ? "Tile" : "Tiles",
      seen.tiles.length > 6
        ? `${seen.tiles.slice(0, 6).join(", ")} and ${seen.tiles.length - 6} more`
        : seen.tiles.join(", "),
    ],
    [
      "Passes a month",
      seen.passes_per_month === null ? "not known yet" : format.decimal(seen.passes_per_month, 1),
    ],
    seen.next_pass ? ["Next pass", format.time(seen.next_pass)] : null,
    ["Pixels of 10 m", format.count(seen.pixels_10m)],
    ["Read per pass", `about ${format.fileSize(seen.bytes_per_pass)}`],
  ];
  return h(
    "dl",
    { class: "facts" },
    facts.filter(Boolean).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
  );
}

// Repairing is a button here.
const withoutRepairOption = (text) =>
  text.replace(/,? or ask for (it|the AOI) to be repaired \(--repair\)/, "").replace(/ \(--repair\)/g, "");

// What is wrong, place by place, with what can be done about it: `focus` looks at a place, `repair` and `retry` are null where they cannot help.
export function renderErrors(error, { focus, repair, retry, undo }) {
  const places = (error.more.errors ?? []).filter((one) => one.at);
  return h(
    "div",
    { class: "trouble", role: "alert" },
    h("p", {}, withoutRepairOption(error.message)),
    places.length
      ? h(
          "ul",
          { class: "places" },
          places
            .slice(0, 12)
            .map((one) =>
              h(
                "li",
                {},
                h(
                  "button",
                  { type: "button", class: "plain", onclick: () => focus(one.at) },
                  format.lonLat(one.at),
                ),
                `: ${withoutRepairOption(one.why).replace(/^the AOI /, "")}`,
              ),
            ),
        )
      : null,
    h(
      "p",
      { class: "row" },
      repair ? h("button", { type: "button", class: "first", onclick: repair }, "Repair it") : null,
      retry ? h("button", { type: "button", onclick: retry }, "Try again") : null,
      undo ? h("button", { type: "button", onclick: undo }, "Undo") : null,
    ),
    repair
      ? h(
          "p",
          { class: "note" },
          "Repairing keeps all that the shape encloses and shows you the result; undo brings yours back.",
        )
      : null,
  );
}
