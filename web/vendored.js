// Libraries that are classic scripts and bring a stylesheet: each is loaded once, when something first needs it.

const loaded = new Map();

function once(url, make) {
  if (!loaded.has(url)) {
    loaded.set(url, new Promise((resolve, reject) => {
      const element = make();
      element.addEventListener("load", () => resolve());
      element.addEventListener("error", () => {
        loaded.delete(url);
        element.remove();
        reject(new Error(`the module ${url} could not be loaded`));
      });
      document.head.append(element);
    }));
  }
  return loaded.get(url);
}

const script = (url) => once(url, () => Object.assign(document.createElement("script"), { src: url }));
const sheet = (url) => once(url, () => Object.assign(document.createElement("link"), { rel: "stylesheet", href: url }));

export async function geotiff() {
  await script("vendor/geotiff-3.0.5/geotiff.js");
  return globalThis.GeoTIFF;
}

export async function uPlot() {
  await Promise.all([script("vendor/uplot-1.6.32/uPlot.iife.min.js"), sheet("vendor/uplot-1.6.32/uPlot.min.css")]);
  return globalThis.uPlot;
}
