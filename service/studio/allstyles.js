/** The photo in every style of a model, saved as one sheet or as a zip. */

import { find, save } from "./dom.js";
import { settle, tell } from "./notices.js";
import { PREVIEW_SIDE, SUFFIXES, forEach, stem } from "./paint.js";
import { decoded, sheet } from "./sheet.js";
import { zipped } from "./zip.js";

const PARALLEL = 2; // paintings
const COLUMNS = 3;

/**
 * @typedef {{photo: import("./photo.js").Photo, styles: import("./card.js").Style[], format: string, maxSide: number,
 *   paint: (image: Blob, style: string, options: {max_side: number, format: string}) => Promise<Blob>}} Order
 */

/** Binds the two buttons. @param {() => Order | null} order what to paint, null if no photo is chosen */
export function bindAllStyles(order) {
  /** @type {[string, (order: Order) => Promise<void>][]} */
  const buttons = [
    ["save-sheet", saveSheet],
    ["save-zip", saveZip],
  ];
  for (const [id, make] of buttons) {
    find(`#${id}`).addEventListener("click", async () => {
      const given = order();
      if (!given) return;
      enable(false);
      try {
        await make(given);
        settle("all-styles");
      } catch (error) {
        tell("all-styles", error);
      }
      find("#download-status").textContent = "";
      enable(true);
    });
  }
}

/** @param {boolean} enabled */
export function enable(enabled) {
  for (const id of ["save-sheet", "save-zip"]) /** @type {HTMLButtonElement} */ (find(`#${id}`)).disabled = !enabled;
}

/** @param {Order} order @param {Blob} image @param {{max_side: number, format: string}} options */
async function paintAll({ styles, paint }, image, options) {
  const status = find("#download-status");
  let done = 0;
  /** @type {Blob[]} */
  const paintings = [];
  /** @type {unknown[]} */
  const errors = [];
  const report = () => (status.textContent = `${done} of ${styles.length} styles painted`);
  report();
  await forEach(styles, PARALLEL, async (style, index) => {
    if (errors.length) return; // one problem is shown once
    try {
      paintings[index] = await paint(image, style.name, options);
      done += 1;
      report();
    } catch (error) {
      errors.push(error);
    }
  });
  if (errors.length) throw errors[0];
  return paintings;
}

/** @param {Order} order */
async function saveSheet(order) {
  const { photo, styles } = order;
  const paintings = await paintAll(order, photo.preview, { max_side: PREVIEW_SIDE, format: "jpeg" });
  const urls = [photo.preview, ...paintings].map((blob) => URL.createObjectURL(blob));
  // The first painting shows the photo if the browser cannot read the photo itself.
  const images = await Promise.all(urls.map((url, index) => decoded(url).catch(() => decoded(urls[index + 1]))));
  urls.forEach((url) => URL.revokeObjectURL(url));
  const captions = ["The photo", ...styles.map(({ artist, title }) => `${artist}, ${title}`)];
  const { naturalWidth: width, naturalHeight: height } = images[1];
  const tiles = images.map((image, index) => ({ image, caption: captions[index] }));
  save(await sheet(photo.isRead ? tiles : tiles.slice(1), { columns: COLUMNS, width, height }), `${stem(photo.name)}-styles.png`);
}

/** @param {Order} order */
async function saveZip(order) {
  const { photo, styles, format, maxSide } = order;
  const paintings = await paintAll(order, photo.file, { max_side: maxSide, format });
  const files = paintings.map((blob, index) => ({ name: `${stem(photo.name)}-${styles[index].name}.${SUFFIXES[format]}`, blob }));
  save(await zipped(files), `${stem(photo.name)}-styles.zip`);
}
