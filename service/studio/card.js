/** Shows the model card: licence, training data, metrics, and how they were measured. */

import { make } from "./dom.js";

/**
 * @typedef {{name: string, value: number, method: string, real?: number | null}} Metric `real` is what real images score
 * @typedef {{title: string, source: string, licence: string}} Source
 * @typedef {{name: string, title: string, artist: string, year: number | null, licence: string, thumbnail?: string}} Style
 * @typedef {{name: string, title: string, summary: string, kind: "generator" | "stylizer", architecture: string, licence: string,
 *   training_data: Source[], training_config: Record<string, unknown>, metrics: Metric[],
 *   latent_size?: number, height?: number, width?: number, channels?: number, classes?: string[], styles?: Style[]}} Card
 * @typedef {{version: string, card: Card}} Model
 */

/**
 * Shows the card of a model.
 * @param {HTMLElement} panel
 * @param {Model} model
 */
export function showCard(panel, { version, card }) {
  panel.replaceChildren(
    make("h2", {}, card.title),
    make("p", { class: "summary" }, card.summary),
    facts([
      ["Licence", card.licence],
      ["Architecture", card.architecture],
      ["Images", card.width ? `${card.width} × ${card.height} pixels, ${colours(card)}` : null],
      ["Classes", card.classes?.join(", ")],
      ["Version", make("code", {}, version)],
    ]),
    ...(card.metrics.length ? metrics(card) : []),
    make("h3", {}, "Trained on"),
    make("ul", {}, ...card.training_data.map((data) => make("li", {}, data.title, ". ", linked(data.source), `. ${data.licence}`))),
    ...(card.styles ? styles(card.styles) : []),
    make(
      "details",
      {},
      make("summary", {}, "Training config"),
      facts(Object.entries(card.training_config).map(([name, value]) => [name, JSON.stringify(value)]), "config"),
    ),
  );
}

/** @param {Card} card */
const colours = ({ channels }) => (channels === 1 ? "grey" : isTransparent({ channels }) ? "colour and transparency" : "colour");

/** Whether the images of a model have transparency. @param {{channels?: number}} card */
export const isTransparent = ({ channels }) => channels === 4;

/** How to read a metric, by the start of its name. */
const MEANINGS = [
  ["Frechet distance", "how far the images are from real ones; lower is better"],
  ["Precision", "share of the images that could be real"],
  ["Recall", "share of the real images that the model could make"],
  ["Density", "how close the images are to real ones"],
  ["Coverage", "share of the real images with a made image nearby"],
  ["Diversity", "how much the images differ; near 0 if all are alike"],
  ["Content loss", "how far the result is from the photo; lower is closer"],
  ["Style loss", "how far the result is from the painting; lower is closer"],
  ["Variation loss", "how rough the result is; lower is smoother"],
  ["Objective", "the sum of the three losses, which training lowers"],
  ["Equal iterations", "how long slow painting takes to be as good; higher is better"],
];

/** @param {Card} card */
function metrics({ metrics: measured, kind }) {
  const methods = [...new Set(measured.map((metric) => metric.method))];
  /** @type {Map<string | undefined, string>} */
  const explained = new Map(); // once for each meaning: a metric may have been measured at several sizes
  for (const [start, meaning] of MEANINGS) explained.set(measured.find(({ name }) => name.startsWith(start))?.name, meaning);
  const compared = measured.some(({ real }) => isNumber(real));
  const rows = measured.map((metric) =>
    make(
      "tr",
      {},
      make(
        "th",
        { scope: "row" },
        metric.name,
        explained.has(metric.name) ? make("span", { class: "hint" }, explained.get(metric.name)) : null,
        methods.length > 1 ? make("span", { class: "hint" }, metric.method) : null,
      ),
      make("td", {}, shown(metric.value)),
      compared ? make("td", {}, isNumber(metric.real) ? shown(metric.real) : "none") : null,
    ),
  );
  const columns = ["Metric", "Model", kind === "stylizer" ? "Unpainted photos" : "Real images"].map((name) => make("th", { scope: "col" }, name));
  return [
    make("h3", {}, "Metrics"),
    make("table", {}, compared ? make("thead", {}, make("tr", {}, ...columns)) : null, make("tbody", {}, ...rows)),
    ...(methods.length === 1 ? [make("p", { class: "hint" }, `Measured: ${methods[0]}`)] : []),
  ];
}

/** @param {unknown} value @returns {value is number} */
const isNumber = (value) => typeof value === "number";

/** @param {number} value */
const shown = (value) => new Intl.NumberFormat("en", { maximumSignificantDigits: 4 }).format(value);

/** @param {Style[]} painted */
function styles(painted) {
  const items = painted.map((style) =>
    make("li", {}, make("em", {}, style.title), `, ${[style.artist, style.year].filter(Boolean).join(", ")}. ${style.licence}`),
  );
  return [make("h3", {}, "Styles"), make("ul", {}, ...items)];
}

/** @param {[string, string | Node | null | undefined][]} pairs @param {string} [kind] */
function facts(pairs, kind = "") {
  const known = pairs.filter(([, value]) => value);
  return make("dl", { class: kind || null }, ...known.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

/** Turns a source into a link if it is a URL. @param {string} source */
function linked(source) {
  return /^https?:\/\/\S+$/.test(source) ? make("a", { href: source, rel: "noopener noreferrer" }, source.replace(/^https?:\/\//, "")) : source;
}
