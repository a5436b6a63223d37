// What an AOI would mean, as the server tells it before anything is saved; and where a shape is wrong.

import { get, post } from "./api.js";
import { h } from "./dom.js";
import { amend, aoi, called } from "./state.js";
import * as words from "./words.js";

export const askAbout = (one, signal) => (one.tile ? get(`aoi?tile=${encodeURIComponent(one.tile)}`, signal) : post("aoi", { aoi: one.given }, { signal }));

// Has the server say what it has not said yet of the AOI in hand, such as one of another tab or a tile in the address.
export async function known(signal) {
  const one = aoi();
  if (!one || one.seen) return;
  const seen = await askAbout(one, signal);
  if (one === aoi()) amend({ seen, given: one.tile ? seen.aoi : one.given });
}

// Over what a view works, and the way to another place.
export function over(otherwise) {
  const one = aoi();
  return h("p", { class: "told-line" }, `Over ${one ? called(one) : otherwise}. `, h("a", { href: "#place" }, one ? "Change the place" : "Choose a place"));
}

// The server's answer as elements.
export function extent(seen) {
  const facts = [
    ["Area", words.km2(seen.area_km2)],
    ["Corners", words.count(seen.vertices)],
    seen.parts > 1 ? ["Parts", words.count(seen.parts)] : null,
    [seen.tiles.length === 1 ? "Tile" : "Tiles", seen.tiles.length > 6 ? `${seen.tiles.slice(0, 6).join(", ")} and ${seen.tiles.length - 6} more` : seen.tiles.join(", ")],
    ["Passes a month", seen.passes_per_month === null ? "not known yet" : words.value(seen.passes_per_month, 1)],
    seen.next_pass ? ["Next pass", words.time(seen.next_pass)] : null,
    ["Pixels of 10 m", words.count(seen.pixels_10m)],
    ["Read per pass", `about ${words.size(seen.bytes_per_pass)}`],
  ];
  return h("dl", { class: "facts" }, facts.filter(Boolean).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

// Repairing is a button here.
const plain = (text) => text.replace(/,? or ask for (it|the AOI) to be repaired \(--repair\)/, "").replace(/ \(--repair\)/g, "");

// What is wrong, place by place, with what can be done about it: `go` looks at a place, `repair` and `retry` are null where they cannot help.
export function wrongs(error, { go, repair, retry, undo }) {
  const places = (error.more.errors ?? []).filter((one) => one.at);
  return h("div", { class: "trouble", role: "alert" },
    h("p", {}, plain(error.message)),
    places.length ? h("ul", { class: "places" }, places.slice(0, 12).map((one) => h("li", {},
      h("button", { type: "button", class: "plain", onclick: () => go(one.at) }, words.lonLat(one.at)), `: ${plain(one.why).replace(/^the AOI /, "")}`))) : null,
    h("p", { class: "row" },
      repair ? h("button", { type: "button", class: "first", onclick: repair }, "Repair it") : null,
      retry ? h("button", { type: "button", onclick: retry }, "Try again") : null,
      undo ? h("button", { type: "button", onclick: undo }, "Undo") : null),
    repair ? h("p", { class: "note" }, "Repairing keeps all that the shape encloses and shows you the result; undo brings yours back.") : null);
}
