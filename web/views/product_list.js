// Products that were found: a list and their footprints on the map, which point at each other; opened, one shows its picture and its files.

import { apiUrl, downloadFile, get, loadImage, Problem } from "../lib/api.js";
import { errorBox, h } from "../lib/dom.js";
import * as format from "../lib/format.js";
import { addLayer, getMap, parseFeatures, removeLayers, styles, zoomTo } from "../map/map.js";

// Args: the element to fill; the first page, a STAC ItemCollection; `more` fetches the page of a next link; `fit`, whether to look at all of them.
export function productList(place, first, more, route, fit) {
  const { ol } = globalThis;
  const rows = new Map();
  let highlighted = new Set();
  const shapes = addLayer(
    (feature, resolution) =>
      styles[highlighted.has(feature.getId()) ? "pointed" : "footprint"](feature, resolution),
    2,
  );
  const list = h("ol", { class: "found", "aria-label": "Products" });
  const count = h("p", { class: "note" });
  const foot = h("p", { class: "row" });
  place.append(count, list, foot);
  addPage(first);
  if (fit)
    zoomTo({
      type: "FeatureCollection",
      features: first.features.map(({ geometry }) => ({ type: "Feature", properties: {}, geometry })),
    });

  function addPage(page) {
    for (const item of page.features) {
      if (rows.has(item.id)) continue;
      rows.set(item.id, renderRow(item));
      list.append(rows.get(item.id).element);
      for (const feature of parseFeatures({
        type: "Feature",
        id: item.id,
        properties: {},
        geometry: item.geometry,
      }))
        shapes.getSource().addFeature(feature);
    }
    const next = page.links?.find((link) => link.rel === "next");
    const all = page.numberMatched ?? (next ? null : rows.size);
    count.textContent =
      all === null
        ? `The newest ${format.count(rows.size)}`
        : rows.size < all
          ? `${format.count(rows.size)} of ${format.plural(all, "product")}, the newest first`
          : `${format.plural(rows.size, "product")}, the newest first`;
    foot.replaceChildren(
      ...(next
        ? [h("button", { type: "button", onclick: (event) => loadMore(event.target, next) }, "Show more")]
        : []),
    );
  }

  async function loadMore(button, next) {
    button.disabled = true;
    const before = rows.size;
    try {
      addPage(await more(next));
      [...rows.values()][before]?.button.focus();
    } catch (error) {
      if (error.name === "AbortError") return;
      if (!(error instanceof Problem)) throw error;
      foot.replaceChildren(errorBox(error, () => loadMore(button, next)));
    }
  }

  function highlight(ids) {
    if (ids.size === highlighted.size && [...ids].every((id) => highlighted.has(id))) return;
    for (const id of highlighted) rows.get(id)?.element.classList.remove("pointed");
    highlighted = ids;
    for (const id of highlighted) rows.get(id)?.element.classList.add("pointed");
    shapes.changed();
  }

  function renderRow(item) {
    const told = item.properties;
    const inside = h("div", { class: "inside", hidden: true });
    const button = h(
      "button",
      {
        type: "button",
        "aria-expanded": "false",
        onclick: () => toggle(item, button, inside, route),
        onfocus: () => highlight(new Set([item.id])),
        onblur: () => highlight(new Set()),
      },
      h("span", { class: "when" }, format.date(told.datetime)),
      h(
        "span",
        { class: "what" },
        [
          platformName(told.platform),
          told["grid:code"]?.replace("MGRS-", ""),
          told["s2:processing_baseline"] ? `N${told["s2:processing_baseline"].replace(".", "")}` : null,
        ]
          .filter(Boolean)
          .join(" · "),
      ),
      h(
        "span",
        { class: "cloud" },
        told["eo:cloud_cover"] === undefined || told["eo:cloud_cover"] === null
          ? "cloud unknown"
          : `${Math.round(told["eo:cloud_cover"])} % cloud`,
      ),
    );
    const element = h(
      "li",
      { onpointerenter: () => highlight(new Set([item.id])), onpointerleave: () => highlight(new Set()) },
      button,
      inside,
    );
    return { element, button };
  }

  const map = getMap();
  const featureIdsAt = (event) =>
    new Set(
      map
        .getFeaturesAtPixel(event.pixel, { layerFilter: (one) => one === shapes, hitTolerance: 5 })
        .map((one) => one.getId()),
    );
  const moveListener = map.on("pointermove", (event) => !event.dragging && highlight(featureIdsAt(event)));
  const clickListener = map.on("singleclick", (event) => {
    const there = featureIdsAt(event);
    const id = [...rows.keys()].find((one) => there.has(one));
    if (!id) return;
    const { button } = rows.get(id);
    if (button.getAttribute("aria-expanded") === "false") button.click();
    button.focus();
    button.scrollIntoView({ block: "center" });
  });

  return {
    end() {
      ol.Observable.unByKey([moveListener, clickListener]);
      removeLayers(shapes);
    },
  };
}

const platformName = (platform) =>
  platform
    ? platform.replace(/^sentinel-(\d)(\w)$/i, (_, number, letter) => `S${number}${letter.toUpperCase()}`)
    : null;

async function toggle(item, button, inside, route) {
  const opening = inside.hidden;
  inside.hidden = !opening;
  button.setAttribute("aria-expanded", String(opening));
  if (!opening || inside.childElementCount) return;
  await loadDetails(item, inside, route);
}

async function loadDetails(item, inside, route) {
  const told = item.properties;
  const files = h(
    "div",
    { class: "stack" },
    h("p", { class: "note", "aria-busy": "true" }, "Asking the source for its files …"),
  );
  inside.replaceChildren(
    quicklook(item, route) ?? "",
    h("p", { class: "note id" }, item.id),
    h(
      "p",
      { class: "note" },
      [
        format.time(told.datetime),
        told["sat:relative_orbit"] ? `relative orbit ${told["sat:relative_orbit"]}` : null,
      ]
        .filter(Boolean)
        .join(", "),
    ),
    h(
      "p",
      { class: "row" },
      h(
        "a",
        { class: "button small", href: `#order?products=${encodeURIComponent(item.id)}` },
        "Order from this product",
      ),
    ),
    files,
  );
  try {
    const whole = await get(
      `stac/collections/${encodeURIComponent(item.collection)}/items/${encodeURIComponent(item.id)}`,
      route.signal,
    );
    if (!inside.querySelector(".quicklook")) inside.prepend(quicklook(whole, route) ?? "");
    files.replaceChildren(...assetLinks(await listAssets(whole, route), item.id, route));
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof Problem)) throw error;
    files.replaceChildren(errorBox(error, () => loadDetails(item, inside, route)));
  }
}

// The assets of an item; where its files lie behind one more question, those by their names.
async function listAssets(item, { signal }) {
  const { product, ...assets } = item.assets;
  if (product?.type !== "application/json") return item.assets;
  if (Object.values(assets).some((one) => one.roles?.includes("data"))) return assets;
  const { files } = await get(apiPath(product.href), signal);
  return {
    ...assets,
    ...Object.fromEntries(
      files.map((one) => [
        one.path.split("/").at(-1),
        {
          href: one.href,
          title: one.path,
          size: one.size,
          roles: [/(_B\w\w|_SCL|_TCI|^B\w\w|^SCL)[^/]*\.(jp2|tiff?)$/i.test(one.path) ? "data" : "metadata"],
        },
      ]),
    ),
  };
}

function quicklook(item, { signal }) {
  const asset = item.assets?.thumbnail ?? item.assets?.preview ?? item.assets?.overview;
  if (!asset || !/^image\/(png|jpe?g|webp)/.test(asset.type ?? "")) return null;
  const image = h("img", {
    class: "quicklook",
    alt: `Quicklook of ${format.date(item.properties.datetime)}`,
    referrerpolicy: "no-referrer",
    onerror: () => image.replaceWith(h("p", { class: "note quicklook" }, "Its quicklook cannot be loaded.")),
  });
  if (isOwnServer(asset.href))
    loadImage(apiPath(asset.href), image, signal).catch(() => image.dispatchEvent(new Event("error")));
  else image.setAttribute("src", asset.href);
  return image;
}

const isOwnServer = (href) => new URL(href, location.href).origin === new URL(apiUrl("")).origin;
const apiPath = (href) => {
  const url = new URL(href, location.href);
  return url.pathname + url.search;
};

// Bands and whatever else the product has; what this server hands out is fetched with the token, the rest is plain links.
function assetLinks(assets, id, route) {
  const all = Object.entries(assets).filter(
    ([, asset]) =>
      URL.canParse(asset.href, location.href) && /^https?:/.test(new URL(asset.href, location.href).protocol),
  );
  const band = ([, asset]) => asset.roles?.includes("data") || /tiff|jp2/.test(asset.type ?? "");
  const list = (entries) =>
    h(
      "ul",
      { class: "files" },
      entries.map(([name, asset]) =>
        h(
          "li",
          {},
          isOwnServer(asset.href)
            ? h(
                "button",
                {
                  type: "button",
                  class: "plain",
                  title: asset.title ?? null,
                  onclick: (event) => downloadAsset(event.target, asset, id, route),
                },
                name,
              )
            : h("a", { href: asset.href, rel: "noreferrer", title: asset.title ?? null }, name),
          asset.size ? h("span", { class: "note" }, ` ${format.fileSize(asset.size)}`) : null,
        ),
      ),
    );
  const bands = all.filter(band),
    others = all.filter((entry) => !band(entry));
  return [
    bands.length ? h("h2", { class: "small" }, "Bands") : null,
    bands.length ? list(bands) : null,
    others.length ? h("h2", { class: "small" }, "Other files") : null,
    others.length ? list(others) : null,
    all.length
      ? null
      : h(
          "p",
          { class: "note" },
          "Its source hands out no files by link; order a result, or use revisit download.",
        ),
  ].filter(Boolean);
}

async function downloadAsset(button, asset, id, route) {
  button.disabled = true;
  try {
    await downloadFile(
      apiPath(asset.href),
      `${id}_${new URL(asset.href, location.href).pathname.split("/").at(-1)}`,
      route.signal,
    );
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof Problem)) throw error;
    button.after(h("span", { class: "wrong" }, ` ${error.message}`));
  } finally {
    button.disabled = false;
  }
}
