/** The photo and its painting in one frame. A slider moves the line between them. */

import { find, slider } from "./dom.js";

export class Compare {
  constructor() {
    this.frame = find("#sides");
    this.slider = slider("compare", (value) => `${value}% photo`, (value) => this.divide(value));
    this.slider.set(50);
    this.divide(50);
  }

  /** @param {number} share of the width that shows the photo, 0 to 100 */
  divide(share) {
    this.frame.style.setProperty("--photo", `${share}%`);
  }

  /** Shows a photo without a painting. @param {import("./photo.js").Photo} photo */
  setPhoto(photo) {
    this.frame.style.setProperty("--aspect", String(photo.aspect));
    show("#before", photo.preview, `The photo ${photo.name}`);
    find("#after").removeAttribute("src");
  }

  /** @param {Blob} painting @param {string} label */
  setPainting(painting, label) {
    show("#after", painting, label);
  }

  /** URLs of what is shown. */
  get urls() {
    const url = (/** @type {string} */ id) => /** @type {HTMLImageElement} */ (find(id)).getAttribute("src") ?? undefined;
    return { photo: url("#before"), painting: url("#after") };
  }

  /** @param {boolean} busy */
  set busy(busy) {
    find("#result").setAttribute("aria-busy", String(busy));
  }
}

/** @param {string} selector @param {Blob} blob @param {string} label */
function show(selector, blob, label) {
  const image = /** @type {HTMLImageElement} */ (find(selector));
  if (image.src.startsWith("blob:")) URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(blob);
  image.alt = label;
}
