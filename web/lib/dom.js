// Elements from data. Text only ever becomes text: nothing that somebody wrote is read as markup.

const SVG = "http://www.w3.org/2000/svg";

// An element with attributes and children; children are elements or text, null is left out.
export function h(name, attributes = {}, ...children) {
  return build(document.createElement(name), attributes, children);
}

// The same in SVG.
export function svg(name, attributes = {}, ...children) {
  return build(document.createElementNS(SVG, name), attributes, children);
}

function build(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export function byId(id) {
  return document.getElementById(id);
}

// Replace what an element holds, keeping the keyboard where it was: on the element of the same data-key.
export function replaceContent(element, ...children) {
  const key = element.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
  if (key !== undefined)
    element.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
}

// What went wrong, in a sentence that says what to do, with a button that does it.
export function errorBox(error, retry, signIn = null) {
  return h(
    "div",
    { class: "trouble", role: "alert" },
    h("p", {}, error.message),
    h(
      "p",
      { class: "row" },
      signIn ? h("button", { type: "button", class: "first", onclick: signIn }, "Sign in") : null,
      retry
        ? h(
            "button",
            {
              type: "button",
              onclick: (event) => {
                event.target.closest(".trouble").remove();
                retry();
              },
            },
            "Try again",
          )
        : null,
    ),
  );
}

// The same beneath what an element holds, in place of what it said there before.
export function appendError(element, error) {
  element.querySelector(":scope > .trouble")?.remove();
  element.append(errorBox(error, null));
}

// A dialog over the page until it is closed, by app.js where another view comes: its returnValue is "left" then.
export function openDialog(attributes, ...children) {
  const made = h("dialog", attributes, ...children);
  made.addEventListener("close", () => made.remove());
  document.body.append(made);
  made.showModal();
  return made;
}

export function table(caption, columns, rows, attributes = {}) {
  return h(
    "table",
    attributes,
    h("caption", {}, caption),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        columns.map(([title, kind]) => h("th", { scope: "col", class: kind }, title)),
      ),
    ),
    h("tbody", {}, rows),
  );
}
