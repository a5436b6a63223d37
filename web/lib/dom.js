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
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
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
  keepFocus(element, () => element.replaceChildren(...children.flat().filter(isContent)));
}

// Replace the rows of a table's body; each has a data-row that is its own. Rows that look the same stay, so
// that a click meets its button while others change.
export function replaceRows(body, rows) {
  const shown = new Map([...body.rows].map((row) => [row.dataset.row, row]));
  const next = rows.map((row) => {
    const before = shown.get(row.dataset.row);
    return before?.isEqualNode(row) ? before : row;
  });
  const kept = new Set(next);
  keepFocus(body, () => {
    for (const row of shown.values()) if (!kept.has(row)) row.remove();
    next.forEach((row, index) => {
      if (body.rows[index] !== row) body.insertBefore(row, body.rows[index] ?? null);
    });
  });
}

function keepFocus(element, change) {
  const key = element.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  change();
  if (key !== undefined)
    element.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
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
      try {
        await work(event);
      } finally {
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
