// A form beside a card with an estimate that follows the form: of an order's work, of a subscription's
// alerts.

import { errorBox, field, h, replaceContent, row, select } from "../lib/dom.js";
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
  const content = h("div", { class: "stack", "aria-live": "polite" });
  // What the last submission failed with stays until the form is changed or submitted again, whatever
  // estimate arrives meanwhile.
  const failure = h("div", {});
  const submitButton = h("button", { class: "first", "data-key": key, disabled: true }, label);
  let [ready, sending] = [false, false];
  const updateButton = () => {
    submitButton.disabled = !ready || sending;
  };
  const show = (shown, isReady) => {
    replaceContent(content, shown);
    ready = isReady;
    submitButton.hidden = false;
    updateButton();
  };
  let timer = null;
  const oninput = () => {
    failure.replaceChildren();
    onInput(form);
    clearTimeout(timer);
    timer = setTimeout(update, DEBOUNCE_MS);
  };
  const onsubmit = async (event) => {
    event.preventDefault();
    if (sending) return;
    failure.replaceChildren();
    sending = true;
    updateButton();
    await attempt(
      () => send(form),
      (problem) => failure.replaceChildren(errorBox(problem, null)),
    );
    sending = false;
    updateButton();
  };
  submitButton.hidden = true;
  const form = h(
    "form",
    { class: "order-form", oninput, onsubmit },
    h("div", { class: "stack wide-apart" }, fields),
    h("div", { class: "sticky" }, h("div", { class: "card" }, content, failure, row(submitButton))),
  );
  const update = latest(
    async (current) => {
      const { content: shown, ready: isReady } = await estimate(form, current);
      current.throwIfAborted();
      show(shown, isReady);
    },
    (problem, retry) => show(errorBox(problem, retry), !required),
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

// What the minimum clear share is a share of.
export const clearBaseField = (value) =>
  field(
    "Clear share of",
    select(
      { name: "min_clear_of" },
      [
        ["aoi", "the whole area"],
        ["seen", "its seen part"],
      ],
      value ?? "aoi",
    ),
  );
