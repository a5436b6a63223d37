// The view that opens without an address: the subscriptions, or the choice of a place where there are none
// yet.

import { get } from "../lib/api.js";

export async function defaultView() {
  try {
    const [{ subscriptions }, { orders }] = await Promise.all([get("subscriptions"), get("orders?limit=1")]);
    return subscriptions.length || orders.length ? "watch" : "place";
  } catch {
    return "place";
  }
}
