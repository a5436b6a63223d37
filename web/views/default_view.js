// Where the page opens: at what is watched, and where nothing is, at choosing a place.

import { get } from "../lib/api.js";

export async function defaultView() {
  try {
    const [{ subscriptions }, { orders }] = await Promise.all([get("subscriptions"), get("orders?limit=1")]);
    return subscriptions.length || orders.length ? "watch" : "place";
  } catch {
    return "place";
  }
}
