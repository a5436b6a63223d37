// How the machine behind it does: what is queued, done and delivered, and how its sources answer.

import { changed } from "./api.js";
import { h } from "./dom.js";
import { machine } from "./machine.js";
import * as words from "./words.js";

export const title = "Status";
export const wide = true;

let place = null;
let last = null;

export async function enter(element, route) {
  place = h("div", { class: "stack wide-apart" });
  element.append(h("h1", {}, "Status"), place);
  if (last) draw();
  await again(route);
}

export async function again({ signal }) {
  const status = await changed("status", signal);
  if (status) last = status;
  draw();
}

function draw() {
  const key = JSON.stringify(last);
  if (!last || place.dataset.drawn === key) return;
  place.dataset.drawn = key;
  place.replaceChildren(h("p", { class: "pulse" },
    h("span", { class: failing(last).length ? "dot lost" : busy(last) ? "dot busy" : "dot", "aria-hidden": "true" }), pulse(last)), ...machine(last));
}

const busy = (status) => status.queue.ready + status.queue.leased > 0;

const failing = (status) => status.sources.filter((source) => source.error);

function pulse(status) {
  const silent = failing(status).length, queued = status.queue.ready + status.queue.leased;
  const work = silent ? `${words.many(silent, "source")} cannot be asked: see below` : queued ? `${words.many(queued, "message")} under way` : "nothing to do just now";
  return `${words.many(status.subscriptions.active, "area")} watched, ${words.many(status.alerts, "alert")} so far, ${work}`;
}
