// The shell: the active view, the network state, the account.
//
// A view is an ES module that the shell imports when its address #NAME/REST?PARAMS first opens:
//
//   export const title = "Search";       name of the tab and of the document
//   export const wide = true;            optional: use the whole width, without the map
//   export async function enter(place, route)
//                                        fill `place`, an empty element; an error it throws is shown there
//
// `route` has:
//
//   name, rest, params                   the view, the decoded path segments after it, URLSearchParams
//   signal                               aborted when the user leaves the view; pass it to get, post, ...
//   announce(text)                       have screen readers speak a text
//   navigate(hash)                       open another view
//   replaceParams(params)                change the address without entering the view again
//   onLeave(callback)                    release what the view added outside `place`, such as map layers
//   onRefresh(callback)                  an async function called every POLL_MS while the page is visible
//
// To add a view, add a line to VIEWS. State that survives a reload belongs in the address or in lib/state.js.

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
const MAX_POLL_MS = 30_000;
const SLOW_ANSWER_MS = 2000;

let route = null;
let refresh = null;
let viewAbort = new AbortController();
let moduleMissing = false;
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

function makeRoute(parsed) {
  viewAbort.abort();
  viewAbort = new AbortController();
  const { signal } = viewAbort;
  return {
    ...parsed,
    signal,
    announce,
    navigate,
    replaceParams,
    // A view that was left while it still loads is released at once.
    onLeave: (callback) =>
      signal.aborted ? callback() : signal.addEventListener("abort", callback, { once: true }),
    onRefresh: (callback) => {
      if (!signal.aborted) refresh = callback;
    },
  };
}

async function openView() {
  const parsed = parseHash();
  if (!(parsed.name in VIEWS)) return navigate(await defaultView());
  refresh = null;
  const mine = makeRoute(parsed);
  route = mine;
  renderTabs(mine.name);
  const place = byId("view");
  moduleMissing = true;
  const focused = place.contains(document.activeElement);
  replaceContent(place, h("p", { class: "waiting", "aria-busy": "true" }, "Loading …"));
  // The link that was followed is gone, so the focus moves to what it opened.
  if (focused) place.focus({ preventScroll: true });
  try {
    const module = await VIEWS[mine.name][1]();
    if (route !== mine) return undefined;
    moduleMissing = false;
    document.title = `${module.title} · Revisit`;
    document.body.classList.toggle("wide", module.wide === true);
    const fresh = h("div", { class: `view ${mine.name}` });
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
  const shown =
    error instanceof Problem
      ? error
      : new Problem(
          navigator.onLine
            ? "This view could not be loaded. Try again, or reload the page."
            : "There is no network connection. This view opens once you are online.",
        );
  place.append(errorBox(shown, reopen, shown.status === 401 ? account.open : null));
}

// A browser may cache that a module failed to load; only a reload of the page asks for it again.
const reopen = () => (moduleMissing ? location.reload() : openView());

function navigate(hash) {
  if (`#${hash}` === location.hash) openView();
  else location.hash = hash;
}

function replaceParams(params) {
  const path = [route.name, ...route.rest].map(encodeURIComponent).join("/");
  const query = new URLSearchParams(params).toString();
  history.replaceState(null, "", `#${path}${query ? `?${query}` : ""}`);
  route.params = new URLSearchParams(query);
}

function announce(text) {
  byId("said").textContent = text;
}

function renderTabs(current) {
  const tab = (name, title) =>
    h("a", { href: `#${name}`, "data-key": name, "aria-current": name === current ? "page" : null }, title);
  replaceContent(
    byId("tabs"),
    Object.entries(VIEWS).map(([name, [title]]) => h("li", {}, tab(name, title))),
  );
}

// The state of the network; empty while all is well.
let oldestPendingMs = 0;
let unreachable = false;
let unauthenticated = false;

function noticeText() {
  if (!navigator.onLine) return "No network. Your changes are kept; the page continues once you are online.";
  if (unauthenticated && !token()) return "Sign in to continue; your changes are kept.";
  if (unreachable) return "The server does not answer; retrying automatically.";
  const waiting = oldestPendingMs && performance.now() - oldestPendingMs > SLOW_ANSWER_MS;
  return waiting ? "Still waiting for the server …" : "";
}

function updateNotice() {
  const text = noticeText();
  if (byId("notice").textContent !== text) byId("notice").textContent = text;
  document.body.classList.toggle("lost", unreachable || !navigator.onLine);
}

onConnectionChange.push((reachable, oldestStart) => {
  if (reachable !== null) unreachable = !reachable;
  oldestPendingMs = oldestStart;
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
    if (document.hidden || !refresh) continue;
    const mine = route;
    try {
      await refresh();
      pollDelayMs = POLL_MS;
    } catch (error) {
      if (error.name === "AbortError" || route !== mine) continue;
      pollDelayMs = Math.min(pollDelayMs * 2, MAX_POLL_MS);
      // An error of one view must not end polling for all.
      if (!(error instanceof Problem)) console.error(error);
      else announce(`${error.message} Trying again in ${pollDelayMs / 1000} s.`);
    }
  }
}

// Load the other views once the page is idle, so that they open without a network.
const preloadViews = () => Object.values(VIEWS).forEach(([, load]) => load().catch(() => null));

byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("view").focus();
});
addEventListener("hashchange", () => {
  for (const box of document.querySelectorAll("dialog[open]")) box.close("left");
  openView();
});
account.init(Boolean(token()), openView);
openView().finally(() => (globalThis.requestIdleCallback ?? setTimeout)(preloadViews, { timeout: 1000 }));
poll();
