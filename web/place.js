// Choose a place.

import { h } from "./dom.js";
import { theMap } from "./map.js";

export const title = "Place";

export async function enter(place) {
  theMap();
  place.append(h("h1", {}, "Choose a place"));
}
