/** Which model and which style the studio shows first. No name is known here: the rules read cards and paintings. */

/** @typedef {import("./card.js").Model} Model */
/** @typedef {import("./card.js").Style} Style */

const SIDE = 24; // pixels; a painting is judged on a copy of this size

/**
 * Returns the generator that shows most: colour before grey, then the largest images. Of equals, the first.
 * @param {Model[]} models
 * @param {string} asked the name in the address
 */
export function firstGenerator(models, asked) {
  return named(models, asked) ?? best(models, ({ card }) => (card.channels ?? 1) * 1e9 + (card.width ?? 0) * (card.height ?? 0));
}

/**
 * Returns the stylizer with the most styles, or the one that has the style in the address. Of equals, the first.
 * @param {Model[]} models
 * @param {string} asked the name in the address
 * @param {string} style the style in the address, which may come without a model
 */
export function firstStylizer(models, asked, style) {
  const having = models.filter(({ card }) => card.styles?.some(({ name }) => name === style));
  return named(models, asked) ?? best(having.length ? having : models, ({ card }) => card.styles?.length ?? 0);
}

/**
 * Returns the style whose painting is the most colourful: the spread of its colours after Hasler and Süsstrunk 2003,
 * "Measuring colourfulness in natural images". Of equals, the first.
 * @param {Style[]} styles with thumbnails
 * @returns {Promise<Style>}
 */
export async function firstStyle(styles) {
  const spreads = await Promise.all(styles.map(({ thumbnail }) => (thumbnail ? spread(thumbnail).catch(() => 0) : 0)));
  return styles[spreads.indexOf(Math.max(...spreads))];
}

/** @param {string} thumbnail a JPEG, base64 @returns {Promise<number>} */
async function spread(thumbnail) {
  const image = new Image();
  image.src = `data:image/jpeg;base64,${thumbnail}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIDE;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.drawImage(image, 0, 0, SIDE, SIDE);
  const { data } = context.getImageData(0, 0, SIDE, SIDE);
  const pixels = Array.from({ length: SIDE * SIDE }, (_, i) => data.subarray(4 * i, 4 * i + 3));
  const redGreen = pixels.map(([r, g]) => r - g);
  const yellowBlue = pixels.map(([r, g, b]) => (r + g) / 2 - b);
  return Math.round(Math.sqrt(variance(redGreen) + variance(yellowBlue)));
}

/** @param {number[]} values */
function variance(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
}

/** @param {Model[]} models @param {string} name */
const named = (models, name) => models.find(({ card }) => card.name === name);

/** @param {Model[]} models @param {(model: Model) => number} score */
const best = (models, score) => models.reduce((before, model) => (score(model) > score(before) ? model : before));
