// The shell: which view is shown, how the network fares, who is signed in.
//
// A view is one ES module with this interface. The shell imports it when its address, #NAME/REST?PARAMS, is first opened.
//
//   export const title = "Search";           its name in the tab and in the document's title
//   export const wide = true;                optional: takes the whole width, and no map is shown beside it
//   export async function enter(place, route)
//                                            fill `place`, an empty element. What it throws is shown there with a button to try again.
//   export async function refresh(route)       optional: called every two seconds while the page is looked at, less often while it fails
//   export function leave()                  optional: another view comes; take what was put on the map off it
//
// `route` is { name, rest, params, signal, announce(text), navigate(hash), replaceParams(params) }: `rest` the decoded parts of the address behind the name,
// `params` a URLSearchParams, `signal` aborted when the view is left (hand it to get, post and so on), `announce` speaks to screen readers, `navigate`
// opens another view, `replaceParams` writes other params into the address without entering anew. To add a view, add a line to VIEWS (a null title
// has no tab). What must outlive a reload lies in the address or in state.js, which also holds the AOI in hand; map.js has the map and
// draws whatever its `layer()` is given; dom.js makes elements and never markup; api.js asks the server and throws Problem.

import { onConnectionChange, onUnauthenticated, Problem, token } from "./lib/api.js";
import { byId, errorBox, h, replaceContent } from "./lib/dom.js";
import { account } from "./lib/sign_in.js";
import { defaultView } from "./views/default_view.js";

const VIEWS = {
  place: ["Place", () => import("./views/area.js")],
  search: ["Search", () => import("./views/search.js")],
  order: ["Order", () => import("./views/order.js")],
  watch: ["Watch", () => import("./views/subscriptions.js")],
  status: ["Status", () => import("./views/status.js")],
};
const POLL_MS = 2000;
const MAX_POLL_MS = 30000;
const SLOW_ANSWER_MS = 2000;

let activeView = null;
let moduleMissing = false;
let route = null;
let viewAbort = new AbortController();
let pollDelayMs = POLL_MS;

function parseHash() {
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

async function openView() {
  const wanted = parseHash();
  if (!(wanted.name in VIEWS)) return navigate(await defaultView());
  activeView?.leave?.();
  viewAbort.abort();
  viewAbort = new AbortController();
  activeView = null;
  const mine = { ...wanted, signal: viewAbort.signal, announce, navigate, replaceParams };
  route = mine;
  renderTabs(wanted.name);
  const place = byId("view");
  moduleMissing = true;
  const inside = place.contains(document.activeElement);
  replaceContent(place, h("p", { class: "waiting", "aria-busy": "true" }, "One moment …"));
  // The link that was followed is gone; the keyboard goes on from where it led.
  if (inside) place.focus({ preventScroll: true });
  try {
    const module = await VIEWS[wanted.name][1]();
    if (route !== mine) return undefined;
    moduleMissing = false;
    document.title = `${module.title} · Revisit`;
    document.body.classList.toggle("wide", module.wide === true);
    activeView = module;
    const fresh = h("div", { class: `view ${wanted.name}` });
    place.replaceChildren(fresh);
    await module.enter(fresh, mine);
    pollDelayMs = POLL_MS;
  } catch (error) {
    if (error.name !== "AbortError" && route === mine) showError(place, error);
  }
  return undefined;
}

function showError(place, error) {
  if (!(error instanceof Problem) && !/dynamically imported|module/.test(error.message)) console.error(error);
  const told =
    error instanceof Problem
      ? error
      : new Problem(
          navigator.onLine
            ? "This part of the page could not be loaded or shown; try again, or reload the page."
            : "There is no network just now, and this part of the page was not loaded yet. It comes once you are back.",
        );
  place.append(errorBox(told, reopen, told.status === 401 ? account.open : null));
}

// A browser may remember that a module could not be had; only the page as a whole asks for it again. What was done is kept.
const reopen = () => (moduleMissing ? location.reload() : openView());

function navigate(hash) {
  if (`#${hash}` === location.hash) openView();
  else location.hash = hash;
}

function replaceParams(params) {
  const query = new URLSearchParams(params).toString();
  history.replaceState(
    null,
    "",
    `#${[route.name, ...route.rest].map(encodeURIComponent).join("/")}${query ? `?${query}` : ""}`,
  );
  route.params = new URLSearchParams(query);
}

function announce(text) {
  byId("said").textContent = text;
}

function renderTabs(current) {
  replaceContent(
    byId("tabs"),
    Object.entries(VIEWS)
      .filter(([, [title]]) => title)
      .map(([name, [title]]) =>
        h(
          "li",
          {},
          h(
            "a",
            { href: `#${name}`, "data-key": name, "aria-current": name === current ? "page" : null },
            title,
          ),
        ),
      ),
  );
}

// How the network fares: nothing is said while all is well.
let oldestPendingMs = 0;
let unreachable = false;
let unauthenticated = false;
function updateNotice() {
  const waiting = oldestPendingMs && performance.now() - oldestPendingMs > SLOW_ANSWER_MS;
  const text = !navigator.onLine
    ? "No network. What you did is kept; this goes on by itself once you are back."
    : unauthenticated && !token()
      ? "Sign in to go on; what you did is kept."
      : unreachable
        ? "The server does not answer; asking again by itself."
        : waiting
          ? "Still waiting for the server …"
          : "";
  if (byId("notice").textContent !== text) byId("notice").textContent = text;
  document.body.classList.toggle("lost", unreachable || !navigator.onLine);
}

onConnectionChange.push((state, pending) => {
  if (state !== null) unreachable = !state;
  oldestPendingMs = pending;
  updateNotice();
});
onUnauthenticated.push(() => {
  unauthenticated = true;
  account.showSignIn();
});
setInterval(updateNotice, 500);
addEventListener("offline", updateNotice);
addEventListener("online", () => {
  updateNotice();
  if (byId("view").querySelector(".trouble")) reopen();
});

async function poll() {
  for (;;) {
    await new Promise((resume) => setTimeout(resume, pollDelayMs));
    if (document.hidden || !activeView?.refresh) continue;
    const mine = route;
    await activeView.refresh(mine).then(
      () => {
        pollDelayMs = POLL_MS;
      },
      (error) => {
        if (error.name === "AbortError" || route !== mine) return;
        pollDelayMs = Math.min(pollDelayMs * 2, MAX_POLL_MS);
        // One view's fault must not end the asking of all.
        if (!(error instanceof Problem)) console.error(error);
        else announce(`${error.message} Asking again in ${pollDelayMs / 1000} s.`);
      },
    );
  }
}

byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("view").focus();
});
// Once there is time, the other views are loaded as well, so that they open without a network.
const preloadViews = () => Object.values(VIEWS).forEach(([, load]) => load().catch(() => null));

addEventListener("hashchange", () => {
  for (const one of document.querySelectorAll("dialog[open]")) one.close("left");
  openView();
});
account.init(Boolean(token()), openView);
openView().finally(() => (globalThis.requestIdleCallback ?? setTimeout)(preloadViews, { timeout: 1000 }));
poll();
