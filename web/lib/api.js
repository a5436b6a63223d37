// Asks the server; a token in the page's address (#token=...) or one that was typed is sent along, and lies nowhere but in this tab.

import { api, files, signIn } from "../config.js";
import { toSentence } from "./format.js";

// A bucket sends no policy with the page. The one in index.html cannot know which hosts are asked, so that this narrows it to those.
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

// Where something of the server's is, whichever server that is.
export const apiUrl = (path) => new URL(path.replace(/^\//, ""), new URL(api, location.href)).href;

const hashToken = new URLSearchParams(location.hash.slice(1)).get("token");
if (hashToken) {
  sessionStorage.setItem("token", hashToken);
  history.replaceState(null, "", location.pathname);
}
export const token = () => sessionStorage.getItem("token");
export const authHeaders = () => (token() ? { Authorization: `Bearer ${token()}` } : {});

// What the server refused, in its own words; `status` is HTTP's, 0 where no server answered, and `more` the problem's other members.
export class Problem extends Error {
  constructor(sentence, status = 0, more = {}) {
    super(sentence);
    this.status = status;
    this.more = more;
  }
}

export const get = (path, signal) =>
  request(path, { cache: "no-cache", signal }).then((answer) => answer.json());

// The answer to a body, and where it says that what it made is.
export async function send(method, path, body, { signal, more = {} } = {}) {
  const sent =
    body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { "Content-Type": "application/json", ...more } };
  const answer = await request(path, { method, signal, headers: more, ...sent });
  return answer.status === 204 ? null : answer.json();
}

export const post = (path, body, options) => send("POST", path, body, options);

// A file, saved under a name as a link would; links of its own would not carry the token.
export async function downloadFile(path, name, signal) {
  const answer = await request(path, { signal });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// What is at a path if it has changed since it was last asked for, else null.
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

// Where a file of a result is read: at the server itself, or at an address of its own for some seconds. A browser that were sent on there
// would not say which page asks, and a bucket answers no page it does not know.
export async function resolveFile(path) {
  const { href, seconds } = await get(`${path}/link`);
  return seconds ? { href, seconds, sameServer: false } : { href: apiUrl(path), seconds, sameServer: true };
}

// Fills an <img> with a picture of the server's. What it is read from is freed as soon as it is read.
export async function loadImage(path, image, signal) {
  const answer = await request(path, { signal });
  const url = URL.createObjectURL(await answer.blob());
  for (const end of ["load", "error"])
    image.addEventListener(end, () => URL.revokeObjectURL(url), { once: true });
  image.src = url;
}

// How asking goes: each of these is called with whether the server answered, null where a question was given up or has only begun, and since
// when the oldest question that is still open has been so, 0 where none is.
export const onConnectionChange = [];
const openRequests = new Map();
function notifyConnection(state, question, begun) {
  if (begun) openRequests.set(question, begun);
  else openRequests.delete(question);
  for (const watcher of onConnectionChange)
    watcher(state, openRequests.size ? Math.min(...openRequests.values()) : 0);
}

// Each of these is called when the server wants to know who asks.
export const onUnauthenticated = [];

// The answer itself, where it is a good one.
export async function request(path, options = {}, also = []) {
  const question = Symbol(path);
  const sent = token();
  let answer;
  notifyConnection(null, question, performance.now());
  try {
    answer = await fetch(apiUrl(path), { ...options, headers: { ...authHeaders(), ...options.headers } });
  } catch (error) {
    notifyConnection(error.name === "AbortError" ? null : false, question);
    if (error.name === "AbortError") throw error;
    throw new Problem(
      navigator.onLine
        ? "The server does not answer. Is it running? What you did here is kept; try again."
        : "There is no network just now. What you did here is kept; try again once you are back.",
    );
  }
  notifyConnection(true, question);
  if (answer.status === 401 && sent === token()) {
    // Whatever token there was is over, or none of this server's; one that came meanwhile may be good.
    sessionStorage.removeItem("token");
    for (const say of onUnauthenticated) say();
  }
  if (answer.ok || also.includes(answer.status)) return answer;
  throw await toProblem(answer);
}

async function toProblem(answer) {
  try {
    const said = await answer.json();
    return new Problem(toSentence(said.detail ?? said.title ?? answer.statusText), answer.status, said);
  } catch {
    return new Problem(
      `The server answered ${answer.status} ${answer.statusText}; try again, and look at revisit status if it stays so.`,
      answer.status,
    );
  }
}
