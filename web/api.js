// Asks the server; a token in the page's address (#token=...) is sent along.

import { api } from "./config.js";

// Where something of the server's is, whichever server that is.
export const address = (path) => new URL(path.replace(/^\//, ""), new URL(api, location.href)).href;

const here = new URLSearchParams(location.hash.slice(1)).get("token");
if (here) {
  sessionStorage.setItem("token", here);
  history.replaceState(null, "", location.pathname);
}
const token = sessionStorage.getItem("token");
const headers = token ? { Authorization: `Bearer ${token}` } : {};

export class Problem extends Error {}

export async function get(path) {
  const answer = await fetch(address(path), { headers, cache: "no-cache" });
  if (!answer.ok) throw new Problem(await sentence(answer));
  return answer.json();
}

// What is at a path if it has changed since it was last asked for, else null.
const tags = new Map();
export async function changed(path) {
  const known = tags.get(path);
  const answer = await fetch(address(path), { headers: known ? { ...headers, "If-None-Match": known } : headers, cache: "no-store" });
  if (answer.status === 304) return null;
  if (!answer.ok) throw new Problem(await sentence(answer));
  const value = await answer.json();
  tags.set(path, answer.headers.get("ETag"));
  return value;
}

// A picture as an address for <image>; pictures never change, so each is fetched once.
const pictures = new Map();
export function picture(path) {
  if (!pictures.has(path)) {
    pictures.set(path, fetch(address(path), { headers }).then(async (answer) => {
      if (!answer.ok) throw new Problem(await sentence(answer));
      return URL.createObjectURL(await answer.blob());
    }));
  }
  return pictures.get(path);
}

async function sentence(answer) {
  try {
    return (await answer.json()).detail ?? answer.statusText;
  } catch {
    return `${answer.status} ${answer.statusText}`;
  }
}
