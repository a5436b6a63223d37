// What can be made of the pixels: indices by name with formula and meaning, and bands; a part of a form, and what was chosen in it.

import { get } from "../lib/api.js";
import { h } from "../lib/dom.js";

let recipesRequest = null;
const fetchRecipes = () => {
  recipesRequest ??= get("recipes").catch((error) => {
    recipesRequest = null;
    throw error;
  });
  return recipesRequest;
};

// A fieldset each for indices and bands. `chosen` has indices and bands that are ticked at first; `change` is called at each tick.
export async function recipeFields(chosen, change) {
  const { indices, bands } = await fetchRecipes();
  const tick = (name, value, about) =>
    h(
      "label",
      { class: "check tick" },
      h("input", { type: "checkbox", name, value, checked: chosen[name].includes(value), onchange: change }),
      h("span", {}, h("b", {}, value), about),
    );
  return [
    h(
      "fieldset",
      { class: "ticks-of" },
      h("legend", {}, "Indices"),
      indices.map((one) =>
        tick(
          "indices",
          one.name,
          h(
            "span",
            { class: "note" },
            h("span", { class: "what" }, one.title),
            one.meaning ? ` High: ${one.meaning}. ` : " ",
            h("code", {}, expandFormula(one)),
          ),
        ),
      ),
    ),
    h(
      "details",
      {},
      h("summary", {}, "Bands as well"),
      h(
        "fieldset",
        { class: "ticks-of few" },
        h("legend", { class: "unseen" }, "Bands"),
        bands.map((one) =>
          tick(
            "bands",
            one.name,
            h(
              "span",
              { class: "note" },
              ` ${one.title}${one.wavelength_nm ? `, ${Math.round(one.wavelength_nm)} nm` : ""}, ${one.resolution_m} m`,
            ),
          ),
        ),
      ),
    ),
  ];
}

// The formula with the bands themselves in place of the letters that stand for them.
function expandFormula({ formula, letters }) {
  return formula.replace(/[A-Za-z]\w*/g, (word) => letters[word] ?? word);
}

// What a recipe makes, by name.
export const recipeNames = (recipe) => [...recipe.indices, ...recipe.bands];

// What is ticked in a form, as an order or a subscription takes it.
export function readRecipe(form) {
  const data = new FormData(form);
  return { indices: data.getAll("indices"), bands: data.getAll("bands") };
}
