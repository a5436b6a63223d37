// What is happening: asks for the state every two seconds, and for the rest when the state has changed.

import { changed, get, Problem } from "./api.js";
import { area, chosenArea, listAreas } from "./areas.js";
import { byId, h, show } from "./dom.js";
import { machine } from "./machine.js";
import * as words from "./words.js";

const OFTEN = 2000;
const SELDOM = 30000;
let wait = OFTEN;

async function look() {
  const status = await changed("status");
  wait = OFTEN;
  if (!status) return;
  byId("pulse").replaceChildren(h("span", { class: failing(status).length ? "dot lost" : busy(status) ? "dot busy" : "dot", "aria-hidden": "true" }), pulse(status));
  machine(status);
  const [{ subscriptions }, { orders }] = await Promise.all([get("subscriptions"), get("orders?limit=20")]);
  listAreas(subscriptions, orders.filter((order) => !order.subscription), refresh);
  await area(chosenArea());
}

const refresh = () => area(chosenArea()).catch(tell);

const busy = (status) => status.queue.ready + status.queue.leased > 0;

const failing = (status) => status.sources.filter((source) => source.error);

function pulse(status) {
  const silent = failing(status).length, queued = status.queue.ready + status.queue.leased;
  const work = silent ? `${words.many(silent, "source")} cannot be asked: see below` : queued ? `${words.many(queued, "message")} under way` : "nothing to do just now";
  return `${words.many(status.subscriptions.active, "area")} watched, ${words.many(status.alerts, "alert")} so far, ${work}`;
}

function tell(error) {
  if (!(error instanceof Problem || error instanceof TypeError)) throw error;
  wait = Math.min(wait * 2, SELDOM);
  const sentence = error instanceof Problem ? error.message : "the server does not answer";
  show(byId("pulse"), h("span", { class: "dot lost", "aria-hidden": "true" }), `${sentence}; asking again in ${wait / 1000} s`);
}

async function forever() {
  for (;;) {
    if (!document.hidden) await look().catch(tell);
    await new Promise((resume) => setTimeout(resume, wait));
  }
}

forever();
