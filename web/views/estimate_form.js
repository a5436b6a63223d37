// A form beside a card with an estimate that follows the form: of an order's work, of a subscription's
// alerts.

import { appendError, errorBox, field, h, replaceContent, row } from "../lib/dom.js";
import { attempt, latest } from "../lib/latest.js";

const DEBOUNCE_MS = 400;

// Args:
//   fields            elements of the form
//   signal            ends all requests
//   onInput(form)     called at each change, before the estimate
//   estimate(form, signal)
//                     resolves to { content, ready }: elements for the card, and whether the form may be
//                     submitted
//   required          whether a failed estimate disables the submit button
//   label, key        text and data-key of the submit button
//   send(form)        submits the form
// Returns { form, update() }.
export function estimateForm({ fields, signal, onInput, estimate, required, label, key, send }) {
  const card = h("div", { class: "card", "aria-live": "polite" });
  const submitButton = (ready) =>
    row(h("button", { class: "first", "data-key": key, disabled: !ready }, label));
  let timer = null;
  const oninput = () => {
    onInput(form);
    clearTimeout(timer);
    timer = setTimeout(update, DEBOUNCE_MS);
  };
  const onsubmit = (event) => {
    event.preventDefault();
    const pressed = form.querySelector(`[data-key=${key}]`);
    if (pressed) pressed.disabled = true;
    attempt(
      () => send(form),
      (problem) => {
        if (pressed) pressed.disabled = false;
        appendError(card, problem);
      },
    );
  };
  const form = h(
    "form",
    { class: "order-form", oninput, onsubmit },
    h("div", { class: "stack wide-apart" }, fields),
    h("div", { class: "sticky" }, card),
  );
  const update = latest(
    async (current) => {
      const { content, ready } = await estimate(form, current);
      current.throwIfAborted();
      replaceContent(card, content, submitButton(ready));
    },
    (problem, retry) => replaceContent(card, errorBox(problem, retry), submitButton(!required)),
    signal,
  );
  return { form, update };
}

// A number from 0 to 100; an empty field means no limit.
export const percentField = (name, label, note, value) =>
  field(
    label,
    h("input", { name, type: "number", min: 0, max: 100, step: 1, value: value ?? "", placeholder: "any" }),
    note,
  );

// A date since the first Sentinel-2 image.
export const dateField = (name, label, note, value) =>
  field(label, h("input", { name, type: "date", min: "2015-06-23", value: value ?? "" }), note);
