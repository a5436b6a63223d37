// Search.

import { h } from "./dom.js";
import { theMap } from "./map.js";

export const title = "Search";

export async function enter(place) {
  theMap();
  place.append(h("h1", {}, "Search"));
}
