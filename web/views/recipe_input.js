// The part of a form that chooses a recipe: spectral indices with formula and meaning, found by words; formulas
// of the user's own; and single bands.

import { get } from "../lib/api.js";
import { errorBox, h, replaceContent } from "../lib/dom.js";
import { attempt } from "../lib/latest.js";

let recipesRequest = null;
const fetchRecipes = () => {
  recipesRequest ??= get("recipes").catch((error) => {
    recipesRequest = null;
    throw error;
  });
  return recipesRequest;
};

// Fieldsets of indices and bands; `chosen` holds the names of those that are checked: { indices, bands }.
export async function recipeFields(chosen) {
  const { indices, bands } = await fetchRecipes();
  return [
    await indexChooser(indices, chosen),
    h(
      "details",
      {},
      h("summary", {}, "Add single bands"),
      h(
        "fieldset",
        { class: "ticks-of few" },
        h("legend", { class: "unseen" }, "Bands"),
        bands.map((band) => checkbox("bands", band.name, chosen, bandText(band))),
      ),
    ),
  ];
}

// The indices in most use, those that are checked, and those that the words of the search find.
async function indexChooser(indices, chosen) {
  const named = new Set(indices.map(({ name }) => name));
  const others = chosen.indices.filter((name) => !named.has(name));
  const own = await Promise.all(
    others.map((text) =>
      attempt(
        () => fetchFormula(text),
        () => null,
      ),
    ),
  );
  const entries = [...own.filter(Boolean), ...indices].map((index) => entryOf(index, chosen));
  const list = h(
    "div",
    { class: "ticks-of" },
    entries.map(({ label }) => label),
  );
  const found = h("p", { class: "note", role: "status" });
  const show = (text) => {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const matches = ({ searched }) => words.every((word) => searched.includes(word));
    for (const entry of entries)
      entry.label.hidden = !(entry.box.checked || (words.length ? matches(entry) : entry.index.common));
    const count = entries.filter(matches).length;
    found.textContent = words.length ? `${count} of ${entries.length} indices match` : "";
  };
  const add = (index) => {
    const before = entries.find(({ box }) => box.value === definitionOf(index));
    const entry = before ?? entryOf(index, chosen);
    if (!before) entries.unshift(entry);
    entry.label.hidden = false;
    entry.box.checked = true;
    list.prepend(entry.label);
    entry.box.dispatchEvent(new Event("input", { bubbles: true }));
  };
  show("");
  return h(
    "fieldset",
    {},
    h("legend", {}, "Indices"),
    searchInput(`Search ${indices.length} indices: name, use or band`, show),
    found,
    list,
    formulaInput(add),
  );
}

function entryOf(index, chosen) {
  const label = checkbox("indices", definitionOf(index), chosen, indexText(index), index.name);
  const box = label.querySelector("input");
  box.dataset.bands = index.bands.join(" ");
  const searched = [
    index.name,
    ...index.aliases,
    index.title,
    index.meaning,
    index.application,
    ...index.bands,
  ];
  return { index, label, box, searched: searched.join(" ").toLowerCase() };
}

// An input that is no part of the form: it changes neither the estimate nor what is sent.
function searchInput(placeholder, show) {
  const input = h("input", { type: "search", placeholder, "aria-label": placeholder, autocomplete: "off" });
  input.addEventListener("input", (event) => {
    event.stopPropagation();
    show(input.value);
  });
  input.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
  return input;
}

function formulaInput(add) {
  const label = "Formula of your own";
  const input = h("input", { "aria-label": label, placeholder: "wet=(B8A-B11)/(B8A+B11)", maxlength: 1000 });
  const says = h("div", {});
  const check = () =>
    attempt(
      async () => {
        add(await fetchFormula(input.value));
        input.value = "";
        replaceContent(says);
      },
      (problem) => replaceContent(says, errorBox(problem)),
    );
  input.addEventListener("input", (event) => event.stopPropagation());
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    check();
  });
  const button = h("button", { type: "button", class: "small", onclick: check }, "Add formula");
  return h(
    "details",
    {},
    h("summary", {}, "Add a formula"),
    h("p", { class: "note" }, `${label}, of bands, numbers, + - * / ** and sqrt, abs, exp, log, min, max.`),
    h("div", { class: "row" }, input, button),
    says,
  );
}

async function fetchFormula(text) {
  const { indices } = await get(`indices?${new URLSearchParams({ formula: text })}`);
  return indices[0];
}

// What a recipe holds of an index: its name, or "name=formula".
const definitionOf = ({ name, formula, application }) =>
  application === "own" ? `${name}=${formula}` : name;

const checkbox = (name, value, chosen, text, shown = value) =>
  h(
    "label",
    { class: "check tick" },
    h("input", { type: "checkbox", name, value, checked: chosen[name].includes(value) }),
    h("span", {}, h("b", {}, shown), h("span", { class: "note" }, text)),
  );

const indexText = (index) => [
  h("span", { class: "what" }, index.title),
  index.meaning ? ` High: ${index.meaning}. ` : " ",
  h("code", {}, index.formula_in_bands),
];

function bandText({ title, wavelength_nm: wavelength, resolution_m: resolution }) {
  return ` ${title}${wavelength ? `, ${Math.round(wavelength)} nm` : ""}, ${resolution} m`;
}

// The names of a recipe's indices, which its results have.
export const indexNames = (recipe) => recipe.indices.map((definition) => definition.split("=")[0]);

// The names of a recipe's indices and bands.
export const recipeNames = (recipe) => [...indexNames(recipe), ...recipe.bands];

// The recipe that is checked in a form.
export function readRecipe(form) {
  const data = new FormData(form);
  return { indices: data.getAll("indices"), bands: data.getAll("bands") };
}
