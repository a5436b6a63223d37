// DOM elements made from data. Text is only ever added as text: user input is never parsed as markup.

const SVG = "http://www.w3.org/2000/svg";

const isContent = (child) => child !== null && child !== undefined;

// An element with attributes (on... are listeners) and children: elements, text or nested lists; null is left
// out.
export function h(name, attributes = {}, ...children) {
  return build(document.createElement(name), attributes, children);
}

// The same for SVG.
export function svg(name, attributes = {}, ...children) {
  return build(document.createElementNS(SVG, name), attributes, children);
}

function build(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) listen(element, key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter(isContent));
  return element;
}

export function byId(id) {
  return document.getElementById(id);
}

// Replace an element's children. Focus stays on the element with the same data-key.
export function replaceContent(element, ...children) {
  const key = element.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  element.replaceChildren(...children.flat().filter(isContent));
  if (key !== undefined)
    element.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
}

// Make an element's children look like new ones, and keep those that are there: a press on a button that is
// updated before it is released is still a click, and focus, scroll positions and open details stay. A child
// matches the next one of its name with the same data-key; what may move among its like needs one.
export function updateContent(element, ...children) {
  const focused = document.activeElement;
  const shown = children.flat().filter(isContent);
  updateChildren(
    element,
    shown.map((child) => (child instanceof Node ? child : document.createTextNode(child))),
  );
  // An element that is moved loses the focus.
  if (focused !== document.activeElement && element.contains(focused)) focused.focus({ preventScroll: true });
}

function updateChildren(element, next) {
  const rest = new Set(element.childNodes);
  const stay = new Set(next.filter((node) => rest.has(node)));
  const shown = next.map((node) => {
    const before = stay.has(node) ? node : [...rest].find((each) => !stay.has(each) && matches(each, node));
    rest.delete(before);
    if (before && before !== node) updateNode(before, node);
    return before ?? node;
  });
  for (const node of rest) node.remove();
  shown.forEach((node, index) => {
    const at = element.childNodes[index] ?? null;
    if (at !== node) element.insertBefore(node, at);
  });
}

const matches = (before, node) =>
  before.nodeName === node.nodeName && before.dataset?.key === node.dataset?.key;

function updateNode(before, node) {
  if (before.nodeType === Node.TEXT_NODE) {
    if (before.data !== node.data) before.data = node.data;
    return;
  }
  updateAttributes(before, node);
  for (const [type, listener] of Object.entries(listeners.get(node) ?? {})) listen(before, type, listener);
  updateChildren(before, [...node.childNodes]);
  if (before.nodeName === "SELECT" && before.value !== node.value) before.value = node.value;
}

function updateAttributes(before, node) {
  const isOwn = (name) => name === "open" || (name === "disabled" && atWork.has(before));
  for (const { name } of [...before.attributes])
    if (!isOwn(name) && !node.hasAttribute(name)) before.removeAttribute(name);
  for (const { name, value } of node.attributes) {
    if (before.getAttribute(name) === value) continue;
    before.setAttribute(name, value);
    if (name === "value") before.value = value;
  }
}

// Listeners by element and type, so that an element that stays can be given those of the new one.
const listeners = new WeakMap();
// Buttons whose work runs.
const atWork = new WeakSet();

function listen(element, type, listener) {
  const known = listeners.get(element) ?? {};
  if (!known[type]) element.addEventListener(type, (event) => known[type](event));
  known[type] = listener;
  listeners.set(element, known);
}

// Buttons and inputs of one line.
export const row = (...children) => h("p", { class: "row" }, ...children);

export const button = (label, onclick, attributes = {}) =>
  h("button", { type: "button", onclick, ...attributes }, label);

// A button that is disabled while `work(event)` runs.
export function workButton(label, work, attributes = {}) {
  return button(
    label,
    async (event) => {
      const { currentTarget } = event;
      currentTarget.disabled = true;
      atWork.add(currentTarget);
      try {
        await work(event);
      } finally {
        atWork.delete(currentTarget);
        currentTarget.disabled = false;
      }
    },
    attributes,
  );
}

// A labelled form control with an optional explanation below it.
export const field = (label, control, note = null) =>
  h("label", { class: "field" }, h("span", {}, label), control, note && h("small", {}, note));

// A select; `options` are [value, text].
export const select = (attributes, options, chosen) =>
  h(
    "select",
    attributes,
    options.map(([value, text]) => h("option", { value, selected: value === chosen }, text)),
  );

// Names and values; entries that are null are left out.
export const facts = (entries) =>
  h(
    "dl",
    { class: "facts" },
    entries.filter(Boolean).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
  );

// A region that scrolls by itself and can be reached by the keyboard.
export const scrollRegion = (label, children, kind = "scroll") =>
  h("div", { class: kind, tabindex: "0", role: "region", "aria-label": label }, children);

export const rowHeader = (...children) => h("th", { scope: "row" }, ...children);
export const cell = (...children) => h("td", {}, ...children);
export const numberCell = (...children) => h("td", { class: "number" }, ...children);

// `columns` are [title, class of its cells].
export function table(caption, columns, rows, attributes = {}) {
  const heads = columns.map(([title, kind]) => h("th", { scope: "col", class: kind }, title));
  return h(
    "table",
    attributes,
    h("caption", {}, caption),
    h("thead", {}, h("tr", {}, heads)),
    h("tbody", {}, rows),
  );
}

// An error with the buttons that may resolve it.
export function errorBox(error, retry, signIn = null) {
  const again = (event) => {
    event.target.closest(".trouble").remove();
    retry();
  };
  return h(
    "div",
    { class: "trouble", role: "alert" },
    h("p", {}, error.message),
    row(signIn && button("Sign in", signIn, { class: "first" }), retry && button("Try again", again)),
  );
}

// Show an error below the content of an element, replacing an earlier one.
export function appendError(element, error) {
  element.querySelector(":scope > .trouble")?.remove();
  element.append(errorBox(error, null));
}

// A modal dialog. When another view opens, app.js closes it with the returnValue "left".
export function openDialog(attributes, ...children) {
  const box = h("dialog", attributes, ...children);
  box.addEventListener("close", () => box.remove());
  document.body.append(box);
  box.showModal();
  return box;
}
