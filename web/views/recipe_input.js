// The part of a form that chooses a recipe: spectral indices with formula and meaning, and single bands.

import { get } from "../lib/api.js";
import { h } from "../lib/dom.js";

let recipesRequest = null;
export const fetchRecipes = () => {
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
    h(
      "fieldset",
      { class: "ticks-of" },
      h("legend", {}, "Indices"),
      indices.map((index) => checkbox("indices", index.name, chosen, indexText(index))),
    ),
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

const checkbox = (name, value, chosen, text) =>
  h(
    "label",
    { class: "check tick" },
    h("input", { type: "checkbox", name, value, checked: chosen[name].includes(value) }),
    h("span", {}, h("b", {}, value), h("span", { class: "note" }, text)),
  );

const indexText = (index) => [
  h("span", { class: "what" }, index.title),
  index.meaning ? ` High: ${index.meaning}. ` : " ",
  h("code", {}, expandFormula(index)),
];

function bandText({ title, wavelength_nm: wavelength, resolution_m: resolution }) {
  return ` ${title}${wavelength ? `, ${Math.round(wavelength)} nm` : ""}, ${resolution} m`;
}

// The formula with band names in place of its letters.
function expandFormula({ formula, letters }) {
  return formula.replace(/[A-Za-z]\w*/g, (word) => letters[word] ?? word);
}

// The names of a recipe's indices and bands.
export const recipeNames = (recipe) => [...recipe.indices, ...recipe.bands];

// The recipe that is checked in a form.
export function readRecipe(form) {
  const data = new FormData(form);
  return { indices: data.getAll("indices"), bands: data.getAll("bands") };
}
