// The shell: which view is shown, how the network fares, who is signed in.
//
// A view is one ES module with this interface. The shell imports it when its address, #NAME/REST?PARAMS, is first opened.
//
//   export const title = "Search";           its name in the tab and in the document's title
//   export const wide = true;                optional: takes the whole width, and no map is shown beside it
//   export async function enter(place, route)
//                                            fill `place`, an empty element. What it throws is shown there with a button to try again.
//   export async function again(route)       optional: called every two seconds while the page is looked at, less often while it fails
//   export function leave()                  optional: another view comes; take what was put on the map off it
//
// `route` is { name, rest, params, signal, say(text), go(hash), keep(params) }: `rest` the decoded parts of the address behind the name,
// `params` a URLSearchParams, `signal` aborted when the view is left (hand it to get, post and so on), `say` speaks to screen readers, `go`
// opens another view, `keep` writes other params into the address without entering anew. To add a view, add a line to VIEWS (a null title
// has no tab). What must outlive a reload lies in the address or in state.js, which also holds the AOI in hand; map.js has the map and
// draws whatever its `layer()` is given; dom.js makes elements and never markup; api.js asks the server and throws Problem.

import { Problem, token, unknown, watchers } from "./api.js";
import { byId, h, show, trouble } from "./dom.js";
import { home } from "./home.js";
import { account } from "./signing.js";

const VIEWS = {
  place: ["Place", () => import("./place.js")],
  search: ["Search", () => import("./search.js")],
  order: ["Order", () => import("./order.js")],
  watch: ["Watch", () => import("./watch.js")],
  status: ["Status", () => import("./status.js")],
};
const OFTEN = 2000;
const SELDOM = 30000;
const SLOW = 2000;

let view = null;
let unloaded = false;
let route = null;
let left = new AbortController();
let wait = OFTEN;

function read() {
  const [path, query = ""] = location.hash.slice(1).split("?");
  const [name, ...rest] = path.split("/").map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  });
  return { name, rest, params: new URLSearchParams(query) };
}

async function open() {
  const wanted = read();
  if (!(wanted.name in VIEWS)) return go(await home());
  view?.leave?.();
  left.abort();
  left = new AbortController();
  view = null;
  const mine = { ...wanted, signal: left.signal, say, go, keep };
  route = mine;
  tabs(wanted.name);
  const place = byId("view");
  unloaded = true;
  const inside = place.contains(document.activeElement);
  show(place, h("p", { class: "waiting", "aria-busy": "true" }, "One moment …"));
  // The link that was followed is gone; the keyboard goes on from where it led.
  if (inside) place.focus({ preventScroll: true });
  try {
    const module = await VIEWS[wanted.name][1]();
    if (route !== mine) return undefined;
    unloaded = false;
    document.title = `${module.title} · Revisit`;
    document.body.classList.toggle("wide", module.wide === true);
    view = module;
    const fresh = h("div", { class: `view ${wanted.name}` });
    place.replaceChildren(fresh);
    await module.enter(fresh, mine);
    wait = OFTEN;
  } catch (error) {
    if (error.name !== "AbortError" && route === mine) fail(place, error);
  }
  return undefined;
}

function fail(place, error) {
  if (!(error instanceof Problem) && !/dynamically imported|module/.test(error.message)) console.error(error);
  const told = error instanceof Problem ? error : new Problem(navigator.onLine ? "This part of the page could not be loaded or shown; try again, or reload the page."
    : "There is no network just now, and this part of the page was not loaded yet. It comes once you are back.");
  place.append(trouble(told, anew, told.status === 401 ? account.open : null));
}

// A browser may remember that a module could not be had; only the page as a whole asks for it again. What was done is kept.
const anew = () => (unloaded ? location.reload() : open());

function go(hash) {
  if (`#${hash}` === location.hash) open();
  else location.hash = hash;
}

function keep(params) {
  const query = new URLSearchParams(params).toString();
  history.replaceState(null, "", `#${[route.name, ...route.rest].map(encodeURIComponent).join("/")}${query ? `?${query}` : ""}`);
  route.params = new URLSearchParams(query);
}

function say(text) {
  byId("said").textContent = text;
}

function tabs(current) {
  show(byId("tabs"), Object.entries(VIEWS).filter(([, [title]]) => title).map(([name, [title]]) => h("li", {},
    h("a", { href: `#${name}`, "data-key": name, "aria-current": name === current ? "page" : null }, title))));
}

// How the network fares: nothing is said while all is well.
let asked = 0;
let lost = false;
let stranger = false;
function notice() {
  const waiting = asked && performance.now() - asked > SLOW;
  const text = !navigator.onLine ? "No network. What you did is kept; this goes on by itself once you are back."
    : stranger && !token() ? "Sign in to go on; what you did is kept."
    : lost ? "The server does not answer; asking again by itself." : waiting ? "Still waiting for the server …" : "";
  if (byId("notice").textContent !== text) byId("notice").textContent = text;
  document.body.classList.toggle("lost", lost || !navigator.onLine);
}

watchers.push((state, pending) => {
  if (state !== null) lost = !state;
  asked = pending;
  notice();
});
unknown.push(() => {
  stranger = true;
  account.asked();
});
setInterval(notice, 500);
addEventListener("offline", notice);
addEventListener("online", () => {
  notice();
  if (byId("view").querySelector(".trouble")) anew();
});

async function forever() {
  for (;;) {
    await new Promise((resume) => setTimeout(resume, wait));
    if (document.hidden || !view?.again) continue;
    const mine = route;
    await view.again(mine).then(() => {
      wait = OFTEN;
    }, (error) => {
      if (error.name === "AbortError" || route !== mine) return;
      wait = Math.min(wait * 2, SELDOM);
      // One view's fault must not end the asking of all.
      if (!(error instanceof Problem)) console.error(error);
      else say(`${error.message} Asking again in ${wait / 1000} s.`);
    });
  }
}

byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("view").focus();
});
// Once there is time, the other views are loaded as well, so that they open without a network.
const warm = () => Object.values(VIEWS).forEach(([, load]) => load().catch(() => null));

addEventListener("hashchange", () => {
  for (const one of document.querySelectorAll("dialog[open]")) one.close("left");
  open();
});
account.begin(Boolean(token()), open);
open().finally(() => (globalThis.requestIdleCallback ?? setTimeout)(warm, { timeout: 1000 }));
forever();
