// What must outlive a reload: kept in this browser, told to whoever listens.
//
// The AOI in hand is { given, name, tile, seen }: `given` is GeoJSON as it was drawn, pasted or opened, valid or not; `tile` the id where a
// whole tile was asked for; `seen` the server's answer about it (POST /aoi), null until it is known to be valid. `shape(aoi)` is what to use,
// `called(aoi)` what to call it.

const PREFIX = "revisit.";
const MAX_UNDO = 50;

export function load(key, otherwise = null) {
  try {
    return JSON.parse(localStorage.getItem(PREFIX + key)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

export function store(key, value) {
  try {
    if (value === null) localStorage.removeItem(PREFIX + key);
    else localStorage.setItem(PREFIX + key, JSON.stringify(value));
  } catch {
    // A full or forbidden store: the page works on, a reload forgets.
  }
}

export function clearStored() {
  for (const key of Object.keys(localStorage)) if (key.startsWith(PREFIX)) localStorage.removeItem(key);
}

let currentAoi = load("aoi");
let undoStack = load("aoi-past", []);
const listeners = new Set();

export const aoi = () => currentAoi;
export const geometryOf = (one) => one?.seen?.aoi ?? one?.given ?? null;
export const aoiLabel = (one) => (one.tile ? `tile ${one.tile}` : one.name || "your area");
export const canUndo = () => undoStack.length > 0;

// Take another AOI in hand, null for none; what it replaces can be had back by undo().
export function setAoi(next) {
  undoStack = [...undoStack, currentAoi].slice(-MAX_UNDO);
  replaceAoi(next);
}

// Say more about the one in hand, such as the server's answer or its name.
export function updateAoi(changes) {
  if (currentAoi) replaceAoi({ ...currentAoi, ...changes });
}

export function undo() {
  if (!undoStack.length) return;
  const before = undoStack.at(-1);
  undoStack = undoStack.slice(0, -1);
  replaceAoi(before);
}

// Call back at each change; returns what ends that.
export function onAoiChange(tell) {
  listeners.add(tell);
  return () => listeners.delete(tell);
}

function replaceAoi(next) {
  currentAoi = next;
  store("aoi", currentAoi);
  store("aoi-past", undoStack);
  for (const tell of listeners) tell(currentAoi);
}
