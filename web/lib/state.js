// State that survives a reload, kept in this browser's local storage: form values, the map's view, and the
// current AOI.
//
// The current AOI is { given, name, tile, seen }: `given` is GeoJSON as drawn, pasted or opened, valid or
// not; `tile` the id of a whole tile; `seen` the API's summary of it (POST /aoi), null until it is known to
// be valid.

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
    // Storage is full or disabled: the page works, but a reload forgets.
  }
}

export function clearStored() {
  for (const key of Object.keys(localStorage)) if (key.startsWith(PREFIX)) localStorage.removeItem(key);
}

let currentAoi = load("aoi");
let undoStack = load("aoi-past", []);
const listeners = new Set();

export const aoi = () => currentAoi;
export const geometryOf = (area) => area?.seen?.aoi ?? area?.given ?? null;
export const aoiLabel = (area) => (area.tile ? `tile ${area.tile}` : area.name || "your area");
export const canUndo = () => undoStack.length > 0;

// Replace the current AOI, null for none; undo() restores the previous one.
export function setAoi(next) {
  undoStack = [...undoStack, currentAoi].slice(-MAX_UNDO);
  replaceAoi(next);
}

// Change members of the current AOI, such as its summary or its name, without an undo step.
export function updateAoi(changes) {
  if (currentAoi) replaceAoi({ ...currentAoi, ...changes });
}

export function undo() {
  if (!undoStack.length) return;
  const previous = undoStack.at(-1);
  undoStack = undoStack.slice(0, -1);
  replaceAoi(previous);
}

// Call back at each change of the AOI; returns a function that removes the listener.
export function onAoiChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function replaceAoi(next) {
  currentAoi = next;
  store("aoi", currentAoi);
  store("aoi-past", undoStack);
  for (const listener of listeners) listener(currentAoi);
}
