// What must outlive a reload: kept in this browser, told to whoever listens.
//
// The AOI in hand is { given, name, tile, seen }: `given` is GeoJSON as it was drawn, pasted or opened, valid or not; `tile` the id where a
// whole tile was asked for; `seen` the server's answer about it (POST /aoi), null until it is known to be valid. `shape(aoi)` is what to use,
// `called(aoi)` what to call it.

const PREFIX = "revisit.";
const MOST_UNDO = 50;

export function kept(key, otherwise = null) {
  try {
    return JSON.parse(localStorage.getItem(PREFIX + key)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

export function keep(key, value) {
  try {
    if (value === null) localStorage.removeItem(PREFIX + key);
    else localStorage.setItem(PREFIX + key, JSON.stringify(value));
  } catch {
    // A full or forbidden store: the page works on, a reload forgets.
  }
}

export function forget() {
  for (const key of Object.keys(localStorage)) if (key.startsWith(PREFIX)) localStorage.removeItem(key);
}

let current = kept("aoi");
let past = kept("aoi-past", []);
const listeners = new Set();

export const aoi = () => current;
export const shape = (one) => one?.seen?.aoi ?? one?.given ?? null;
export const called = (one) => (one.tile ? `tile ${one.tile}` : one.name || "your area");
export const undoable = () => past.length > 0;

// Take another AOI in hand, null for none; what it replaces can be had back by undo().
export function take(next) {
  past = [...past, current].slice(-MOST_UNDO);
  put(next);
}

// Say more about the one in hand, such as the server's answer or its name.
export function amend(changes) {
  if (current) put({ ...current, ...changes });
}

export function undo() {
  if (!past.length) return;
  const before = past.at(-1);
  past = past.slice(0, -1);
  put(before);
}

// Call back at each change; returns what ends that.
export function listen(tell) {
  listeners.add(tell);
  return () => listeners.delete(tell);
}

function put(next) {
  current = next;
  keep("aoi", current);
  keep("aoi-past", past);
  for (const tell of listeners) tell(current);
}
