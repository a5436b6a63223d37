// Marks in a recipe's form of what the products over the current AOI lack, such as an index whose bands the
// newest product does not have.

import { post } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { attempt } from "../lib/latest.js";
import { aoi, geometryOf } from "../lib/state.js";

const COLLECTIONS = { L2A: "sentinel-2-l2a", L1C: "sentinel-2-l1c" };

// Args: `form` with the checkboxes `indices` and `bands`; `products`, ids of the only products that are meant,
// or none. Nothing is marked where the source does not list its files.
export function markMissingBands(form, products, signal) {
  const show = () =>
    attempt(
      async () => {
        const bands = await newestBands(form.elements.level?.value ?? "L2A", products, signal);
        for (const box of form.querySelectorAll("input[name=indices], input[name=bands]")) {
          const needed = box.name === "bands" ? [box.value] : box.dataset.bands.split(" ");
          mark(box.closest("label"), bands.size ? needed.filter((name) => !bands.has(name)) : []);
        }
      },
      () => null,
    );
  form.elements.level?.addEventListener("change", show);
  return show();
}

function mark(label, lacking) {
  label.classList.toggle("lacking", lacking.length > 0);
  label.querySelector(".lacks")?.remove();
  if (lacking.length)
    label.lastElementChild.append(
      h("span", { class: "note lacks" }, `The newest product lacks ${lacking.join(", ")}.`),
    );
}

// The bands of the newest product over the AOI; empty where there is none or its files are not listed.
async function newestBands(level, products, signal) {
  const area = aoi();
  const place = area?.tile ? { tiles: [area.tile] } : area ? { intersects: geometryOf(area) } : {};
  const body = {
    limit: 1,
    sortby: [{ field: "properties.datetime", direction: "desc" }],
    fields: { include: ["assets"] },
    ...(products.length
      ? { ids: products.slice(0, 1) }
      : { collections: [COLLECTIONS[level] ?? COLLECTIONS.L2A], ...place }),
  };
  const { features } = await post("stac/search", body, { signal });
  const assets = Object.values(features[0]?.assets ?? {});
  return new Set(assets.flatMap(({ bands = [] }) => bands.map(({ name }) => name)));
}
