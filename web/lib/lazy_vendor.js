// Vendored libraries that are classic scripts or stylesheets, each loaded once, when it is first needed.

const loaded = new Map();

function loadOnce(url, make) {
  if (!loaded.has(url)) {
    loaded.set(
      url,
      new Promise((resolve, reject) => {
        const element = make();
        element.addEventListener("load", () => resolve());
        element.addEventListener("error", () => {
          loaded.delete(url);
          element.remove();
          reject(new Error(`the module ${url} could not be loaded`));
        });
        document.head.append(element);
      }),
    );
  }
  return loaded.get(url);
}

const loadScript = (url) =>
  loadOnce(url, () => Object.assign(document.createElement("script"), { src: url }));
const loadStylesheet = (url) =>
  loadOnce(url, () => Object.assign(document.createElement("link"), { rel: "stylesheet", href: url }));

export async function loadGeotiff() {
  await loadScript("vendor/geotiff-3.0.5/geotiff.js");
  return globalThis.GeoTIFF;
}

export async function loadUPlot() {
  await Promise.all([
    loadScript("vendor/uplot-1.6.32/uPlot.iife.min.js"),
    loadStylesheet("vendor/uplot-1.6.32/uPlot.min.css"),
  ]);
  return globalThis.uPlot;
}
