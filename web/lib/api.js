// Requests to the API. The token comes from the page's address (#token=...) or from the sign-in dialog, is
// sent as a bearer token, and is kept in this tab's session storage only.

import { api, files, signIn } from "../config.js";
import { toSentence } from "./format.js";

// A page served from a bucket has no policy header. The policy in index.html cannot name the hosts, so this
// one restricts requests to those of config.js.
const connectHosts = [
  ...new Set(
    [api, signIn, ...(files ?? [])].filter(Boolean).map((url) => new URL(url, location.href).origin),
  ),
];
if (globalThis.document) {
  const policy = document.createElement("meta");
  policy.httpEquiv = "Content-Security-Policy";
  policy.content = `connect-src 'self' ${connectHosts.join(" ")}`;
  document.head.append(policy);
}

// The address of a path of the API.
export const apiUrl = (path) => new URL(path.replace(/^\//, ""), new URL(api, location.href)).href;

const hashToken = new URLSearchParams(location.hash.slice(1)).get("token");
if (hashToken) {
  sessionStorage.setItem("token", hashToken);
  history.replaceState(null, "", location.pathname);
}
export const token = () => sessionStorage.getItem("token");
export const authHeaders = () => (token() ? { Authorization: `Bearer ${token()}` } : {});

// An error answer of the API, or no answer. `status` is the HTTP status, 0 without an answer; `more` holds
// the members of the problem document.
export class Problem extends Error {
  constructor(message, status = 0, more = {}) {
    super(message);
    this.status = status;
    this.more = more;
  }
}

export const get = (path, signal) =>
  request(path, { cache: "no-cache", signal }).then((answer) => answer.json());

// The JSON answer to a request with a body; null for 204. `more` are further headers.
export async function send(method, path, body, { signal, more = {} } = {}) {
  const sent =
    body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { "Content-Type": "application/json", ...more } };
  const answer = await request(path, { method, signal, headers: more, ...sent });
  return answer.status === 204 ? null : answer.json();
}

export const post = (path, body, options) => send("POST", path, body, options);

// Download a file under a name. A plain link would not carry the token.
export async function downloadFile(path, name, signal) {
  const answer = await request(path, { signal });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// The JSON at a path if its ETag changed since the last call, else null.
const etags = new Map();
export async function getIfChanged(path, signal) {
  const known = etags.get(path);
  const answer = await request(
    path,
    { headers: known ? { "If-None-Match": known } : {}, cache: "no-store", signal },
    [304],
  );
  if (answer.status === 304) return null;
  const value = await answer.json();
  etags.set(path, answer.headers.get("ETag"));
  return value;
}

// Where a file of a result is read: at the API, or at a signed address that is valid for `seconds`. The page
// asks for the address instead of following a redirect: after a redirect the browser sends no origin, and a
// bucket answers only origins that it knows.
export async function resolveFile(path) {
  const { href, seconds } = await get(`${path}/link`);
  return seconds ? { href, seconds, sameServer: false } : { href: apiUrl(path), seconds, sameServer: true };
}

// Load a picture of the API into an <img>; its object URL is revoked once it is read.
export async function loadImage(path, image, signal) {
  const answer = await request(path, { signal });
  const url = URL.createObjectURL(await answer.blob());
  for (const end of ["load", "error"])
    image.addEventListener(end, () => URL.revokeObjectURL(url), { once: true });
  image.src = url;
}

// Callbacks (reachable, oldestStart): `reachable` is true after an answer, false after a network error, null
// when a request begins or is aborted; `oldestStart` is when the oldest open request began
// (performance.now()), 0 if none is.
export const onConnectionChange = [];
const openRequests = new Map();
function notifyConnection(reachable, id, start) {
  if (start) openRequests.set(id, start);
  else openRequests.delete(id);
  for (const callback of onConnectionChange)
    callback(reachable, openRequests.size ? Math.min(...openRequests.values()) : 0);
}

// Callbacks when the API answers 401.
export const onUnauthenticated = [];

// The response where its status is 2xx or one of `also`; otherwise throws Problem.
export async function request(path, options = {}, also = []) {
  const id = Symbol(path);
  const sentToken = token();
  let answer;
  notifyConnection(null, id, performance.now());
  try {
    answer = await fetch(apiUrl(path), { ...options, headers: { ...authHeaders(), ...options.headers } });
  } catch (error) {
    notifyConnection(error.name === "AbortError" ? null : false, id);
    if (error.name === "AbortError") throw error;
    throw new Problem(
      navigator.onLine
        ? "The server does not answer. Check that it is running and try again; your changes are kept."
        : "There is no network connection. Try again once you are online; your changes are kept.",
    );
  }
  notifyConnection(true, id);
  if (answer.status === 401 && sentToken === token()) {
    // The token that was sent is invalid. One that was entered meanwhile may be valid and stays.
    sessionStorage.removeItem("token");
    for (const callback of onUnauthenticated) callback();
  }
  if (answer.ok || also.includes(answer.status)) return answer;
  throw await toProblem(answer);
}

async function toProblem(answer) {
  try {
    const document = await answer.json();
    const message = toSentence(document.detail ?? document.title ?? answer.statusText);
    return new Problem(message, answer.status, document);
  } catch {
    return new Problem(
      `The server answered ${answer.status} ${answer.statusText}. Try again, or run revisit status.`,
      answer.status,
    );
  }
}
