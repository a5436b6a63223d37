// Dialogs that change or delete a subscription.

import { send } from "../lib/api.js";
import { appendError, button, field, h, openDialog, row } from "../lib/dom.js";
import { attempt } from "../lib/latest.js";
import { clearBaseField, percentField } from "./estimate_form.js";

// Values that were entered but not saved when another view opened, by path of the subscription.
const unsavedChanges = new Map();

export function openChangeDialog(subscription, path, show) {
  const initial = unsavedChanges.get(path) ?? subscription;
  const { box, form } = openFormDialog(
    `Change ${subscription.name}`,
    [
      field("Name", h("input", { name: "name", required: true, maxlength: 200, value: initial.name })),
      percentField("max_cloud", "Maximum scene cloud cover (%)", null, initial.max_cloud),
      percentField("min_coverage", "Minimum coverage of the area (%)", null, initial.min_coverage),
      percentField("min_clear", "Minimum clear share (%)", null, initial.min_clear),
      clearBaseField(initial.min_clear_of),
    ],
    "Save",
    async () => {
      const {
        name,
        max_cloud: cloud,
        min_coverage: coverage,
        min_clear: clear,
        min_clear_of: base,
      } = form.elements;
      const limit = (input) => (input.value === "" ? null : input.valueAsNumber);
      show(
        await send("PATCH", path, {
          name: name.value.trim(),
          max_cloud: limit(cloud),
          min_coverage: limit(coverage),
          min_clear: limit(clear),
          min_clear_of: base.value,
        }),
      );
      box.close();
    },
  );
  box.addEventListener("close", () => {
    if (box.returnValue === "left") unsavedChanges.set(path, Object.fromEntries(new FormData(form)));
    else unsavedChanges.delete(path);
  });
}

export function openDeleteDialog(subscription, path, route) {
  const text = "Monitoring stops and the feed is removed. Results and log are kept until they expire.";
  const { box } = openFormDialog(`Delete ${subscription.name}?`, [h("p", {}, text)], "Delete", async () => {
    await send("DELETE", path);
    if (!box.open) return;
    box.close();
    route.navigate("watch");
  });
}

// A dialog with a form; `submit()` runs when it is submitted, and its Problem is shown in the form.
function openFormDialog(heading, children, verb, submit) {
  const form = h(
    "form",
    {
      method: "dialog",
      onsubmit: (event) => {
        event.preventDefault();
        attempt(submit, (problem) => appendError(form, problem));
      },
    },
    h("h2", {}, heading),
    children,
    row(
      h("button", { class: "first" }, verb),
      button("Cancel", () => box.close()),
    ),
  );
  const box = openDialog({ "aria-label": heading }, form);
  return { box, form };
}
