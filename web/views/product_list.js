// The products of a search as a list and as footprints on the map, linked both ways. An opened product shows
// its quicklook and its files.

import { apiUrl, downloadFile, get, loadImage } from "../lib/api.js";
import { button, errorBox, h, row, workButton } from "../lib/dom.js";
import * as format from "../lib/format.js";
import { attempt } from "../lib/latest.js";
import { addLayer, getMap, parseFeatures, removeLayers, styles, zoomTo } from "../map/map.js";

const HIT_TOLERANCE_PX = 5;

// Args: `place` to fill; `first`, a STAC ItemCollection; `loadNext(link)` fetches the page of a next link;
// `fit`, whether to zoom the map to all of them. Returns { close() }.
export function productList(place, first, loadNext, route, fit) {
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
  const plain = ({ geometry }) => ({ type: "Feature", properties: {}, geometry });
  if (fit) zoomTo({ type: "FeatureCollection", features: first.features.map(plain) });

  function addPage(page) {
    for (const item of page.features) {
      if (rows.has(item.id)) continue;
      rows.set(item.id, renderRow(item));
      list.append(rows.get(item.id).element);
      const { id, geometry } = item;
      shapes.getSource().addFeatures(parseFeatures({ type: "Feature", id, properties: {}, geometry }));
    }
    const next = page.links?.find((link) => link.rel === "next");
    count.textContent = countText(rows.size, page.numberMatched ?? (next ? null : rows.size));
    foot.replaceChildren(...(next ? [button("Show more", (event) => loadMore(event.target, next))] : []));
  }

  function loadMore(pressed, next) {
    pressed.disabled = true;
    const before = rows.size;
    return attempt(
      async () => {
        addPage(await loadNext(next));
        [...rows.values()][before]?.toggleButton.focus();
      },
      (problem) => foot.replaceChildren(errorBox(problem, () => loadMore(pressed, next))),
    );
  }

  function highlight(ids) {
    if (ids.size === highlighted.size && [...ids].every((id) => highlighted.has(id))) return;
    for (const id of highlighted) rows.get(id)?.element.classList.remove("pointed");
    highlighted = ids;
    for (const id of highlighted) rows.get(id)?.element.classList.add("pointed");
    shapes.changed();
  }

  function renderRow(item) {
    const details = h("div", { class: "inside", hidden: true });
    const on = () => highlight(new Set([item.id]));
    const off = () => highlight(new Set());
    const toggleButton = h(
      "button",
      {
        type: "button",
        "aria-expanded": "false",
        onclick: () => toggle(item, toggleButton, details, route),
        onfocus: on,
        onblur: off,
      },
      rowText(item.properties),
    );
    const element = h("li", { onpointerenter: on, onpointerleave: off }, toggleButton, details);
    return { element, toggleButton };
  }

  const map = getMap();
  const featureIdsAt = ({ pixel }) => {
    const options = { layerFilter: (layer) => layer === shapes, hitTolerance: HIT_TOLERANCE_PX };
    return new Set(map.getFeaturesAtPixel(pixel, options).map((feature) => feature.getId()));
  };
  const moveListener = map.on("pointermove", (event) => !event.dragging && highlight(featureIdsAt(event)));
  const clickListener = map.on("singleclick", (event) => {
    const hits = featureIdsAt(event);
    const id = [...rows.keys()].find((each) => hits.has(each));
    if (!id) return;
    const { toggleButton } = rows.get(id);
    if (toggleButton.getAttribute("aria-expanded") === "false") toggleButton.click();
    toggleButton.focus();
    toggleButton.scrollIntoView({ block: "center" });
  });

  return {
    close() {
      ol.Observable.unByKey([moveListener, clickListener]);
      removeLayers(shapes);
    },
  };
}

function countText(shown, all) {
  if (all === null) return `${format.count(shown)} products (newest first)`;
  const total = format.plural(all, "product");
  return shown < all ? `${format.count(shown)} of ${total} (newest first)` : `${total} (newest first)`;
}

function rowText(properties) {
  const { datetime, platform, "grid:code": grid, "eo:cloud_cover": cloud } = properties;
  const baseline = properties["s2:processing_baseline"];
  const parts = [
    platformName(platform),
    grid?.replace("MGRS-", ""),
    baseline ? `N${baseline.replace(".", "")}` : null,
  ];
  return [
    h("span", { class: "when" }, format.date(datetime)),
    h("span", { class: "what" }, parts.filter(Boolean).join(" · ")),
    h(
      "span",
      { class: "cloud" },
      cloud === undefined || cloud === null ? "cloud unknown" : `${Math.round(cloud)} % cloud`,
    ),
  ];
}

const platformName = (platform) =>
  platform
    ? platform.replace(/^sentinel-(\d)(\w)$/i, (_, number, letter) => `S${number}${letter.toUpperCase()}`)
    : null;

async function toggle(item, toggleButton, details, route) {
  const opening = details.hidden;
  details.hidden = !opening;
  toggleButton.setAttribute("aria-expanded", String(opening));
  if (opening && !details.childElementCount) await loadDetails(item, details, route);
}

function loadDetails(item, details, route) {
  const { datetime, "sat:relative_orbit": orbit, "revisit:source": source } = item.properties;
  const sources = item.properties["revisit:sources"] ?? [source];
  const files = h(
    "div",
    { class: "stack" },
    h("p", { class: "note", "aria-busy": "true" }, "Listing the files …"),
  );
  const order = h(
    "a",
    { class: "button small", href: `#order?products=${encodeURIComponent(item.id)}` },
    "Process this product",
  );
  details.replaceChildren(
    quicklook(item, route) ?? "",
    h("p", { class: "note id" }, item.id),
    h("p", { class: "note" }, `${format.time(datetime)}${orbit ? `, relative orbit ${orbit}` : ""}`),
    h("p", { class: "note path" }, sources.length > 1 ? "Sources: " : "Source: ", sources.join(", ")),
    row(order),
    files,
  );
  const path = `stac/collections/${encodeURIComponent(item.collection)}/items/${encodeURIComponent(item.id)}`;
  return attempt(
    async () => {
      const whole = await get(path, route.signal);
      if (!details.querySelector(".quicklook")) details.prepend(quicklook(whole, route) ?? "");
      files.replaceChildren(...assetLinks(await listAssets(whole, route), item.id, route));
    },
    (problem) => files.replaceChildren(errorBox(problem, () => loadDetails(item, details, route))),
  );
}

// The assets of an item; those of a product whose files are listed on request, by their names.
async function listAssets(item, { signal }) {
  const { product, ...assets } = item.assets;
  if (product?.type !== "application/json") return item.assets;
  if (Object.values(assets).some((asset) => asset.roles?.includes("data"))) return assets;
  const { files } = await get(apiPath(product.href), signal);
  return { ...assets, ...Object.fromEntries(files.map(fileAsset)) };
}

const BAND_FILE = /(_B\w\w|_SCL|_TCI|^B\w\w|^SCL)[^/]*\.(jp2|tiff?)$/i;

const fileAsset = ({ path, href, size }) => [
  path.split("/").at(-1),
  { href, title: path, size, roles: [BAND_FILE.test(path) ? "data" : "metadata"] },
];

function quicklook(item, { signal }) {
  const asset = item.assets?.thumbnail ?? item.assets?.preview ?? item.assets?.overview;
  if (!asset || !/^image\/(png|jpe?g|webp)/.test(asset.type ?? "")) return null;
  const missing = () => h("p", { class: "note quicklook" }, "The quicklook could not be loaded.");
  const image = h("img", {
    class: "quicklook",
    alt: `Quicklook of ${format.date(item.properties.datetime)}`,
    referrerpolicy: "no-referrer",
    onerror: () => image.replaceWith(missing()),
  });
  if (isOwnServer(asset.href))
    loadImage(apiPath(asset.href), image, signal).catch(() => image.dispatchEvent(new Event("error")));
  else image.setAttribute("src", asset.href);
  return image;
}

const isOwnServer = (href) => new URL(href, location.href).origin === new URL(apiUrl("")).origin;

function apiPath(href) {
  const url = new URL(href, location.href);
  return url.pathname + url.search;
}

const isWebLink = ([, { href }]) =>
  URL.canParse(href, location.href) && /^https?:/.test(new URL(href, location.href).protocol);
const isBand = ([, { roles, type }]) => roles?.includes("data") || /tiff|jp2/.test(type ?? "");

// Bands and other files. Files of the API are downloaded with the token; others are plain links.
function assetLinks(assets, id, route) {
  const all = Object.entries(assets).filter(isWebLink);
  const groups = [
    ["Bands", all.filter(isBand)],
    ["Other files", all.filter((entry) => !isBand(entry))],
  ].filter(([, entries]) => entries.length);
  if (!groups.length) {
    const hint = "The source offers no download links. Process the product, or use revisit download.";
    return [h("p", { class: "note" }, hint)];
  }
  return groups.flatMap(([heading, entries]) => [
    h("h2", { class: "small" }, heading),
    h(
      "ul",
      { class: "files" },
      entries.map((entry) => assetLine(entry, id, route)),
    ),
  ]);
}

function assetLine([name, asset], id, route) {
  const title = asset.title ?? null;
  const link = isOwnServer(asset.href)
    ? workButton(name, (event) => downloadAsset(event.currentTarget, asset, id, route), {
        class: "plain",
        title,
      })
    : h("a", { href: asset.href, rel: "noreferrer", title }, name);
  return h(
    "li",
    {},
    link,
    asset.size ? h("span", { class: "note" }, ` ${format.fileSize(asset.size)}`) : null,
  );
}

function downloadAsset(pressed, asset, id, { signal }) {
  const file = new URL(asset.href, location.href).pathname.split("/").at(-1);
  return attempt(
    () => downloadFile(apiPath(asset.href), `${id}_${file}`, signal),
    (problem) => pressed.after(h("span", { class: "wrong" }, ` ${problem.message}`)),
  );
}
