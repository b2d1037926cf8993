/** Lays out images in rows on one sheet, with optional captions. */

const GAP = 8; // pixels
const CAPTION = 30; // pixels, below each image
const FONT = "15px system-ui, sans-serif";

/**
 * @param {{image: CanvasImageSource, caption?: string}[]} tiles
 * @param {{columns: number, width: number, height: number, clear?: boolean}} layout the size of each image, in pixels; `clear`:
 *   the sheet is transparent, not white
 * @returns {Promise<Blob>} a PNG
 */
export function sheet(tiles, { columns, width, height, clear = false }) {
  const below = tiles.some(({ caption }) => caption) ? CAPTION : 0;
  const canvas = document.createElement("canvas");
  canvas.width = columns * (width + GAP) - GAP;
  canvas.height = Math.ceil(tiles.length / columns) * (height + below + GAP) - GAP;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.fillStyle = "white";
  if (!clear) context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = "#23211d";
  context.font = FONT;
  context.textBaseline = "middle";
  tiles.forEach(({ image, caption }, index) => {
    const x = (index % columns) * (width + GAP);
    const y = Math.floor(index / columns) * (height + below + GAP);
    context.drawImage(image, x, y, width, height);
    if (caption) context.fillText(caption, x + 4, y + height + CAPTION / 2, width - 8);
  });
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("The sheet is too large for this browser."))), "image/png");
  });
}

/** Decodes an image. @param {string} url @returns {Promise<HTMLImageElement>} */
export async function decoded(url) {
  const image = new Image();
  image.src = url;
  await image.decode();
  return image;
}
