/** Shows images as large as the window, one at a time, with zoom. */

import { find, percent, save } from "./dom.js";
import { tell } from "./notices.js";
import { Zoom } from "./zoom.js";

const PAN = 80; // pixels that an arrow key moves a zoomed image

/**
 * @typedef {{label: string, name: string, load: (signal: AbortSignal) => Promise<Blob>, draft?: string}} Item
 * `name` is the file name without its suffix; `draft` is the URL of a smaller image to show until the image is loaded
 */

class Lightbox {
  constructor() {
    /** @type {HTMLDialogElement} */
    this.dialog = find("#lightbox");
    /** @type {HTMLImageElement} */
    this.image = find("#large");
    this.status = find("#large-status");
    this.zoom = new Zoom(find("#large-frame"), this.image, (scale) => (find("#zoom").textContent = percent(scale)));
    /** @type {Item[]} */
    this.items = [];
    this.index = 0;
    /** @type {Blob | undefined} */
    this.blob = undefined;
    this.url = "";
    this.loading = new AbortController();
    const click = (/** @type {string} */ id, /** @type {() => void} */ action) => find(`#${id}`).addEventListener("click", action);
    click("large-close", () => this.dialog.close());
    click("large-previous", () => this.go(-1));
    click("large-next", () => this.go(1));
    click("zoom-in", () => this.zoom.enlarge());
    click("zoom-out", () => this.zoom.reduce());
    click("zoom-fit", () => this.zoom.fit());
    click("zoom-full", () => this.zoom.to(1));
    click("large-save", () => this.blob && save(this.blob, `${this.item.name}.${suffix(this.blob)}`));
    this.dialog.addEventListener("close", () => this.clear());
    this.dialog.addEventListener("keydown", (event) => this.press(event));
  }

  get item() {
    return this.items[this.index];
  }

  /**
   * @param {Item[]} items
   * @param {number} index the first that is shown
   * @param {{tiny?: boolean, transparent?: boolean}} [options] whether pixels stay square, as in a drawing; whether squares
   *   behind the image show what is transparent
   */
  show(items, index, { tiny = false, transparent = false } = {}) {
    this.items = items;
    this.image.classList.toggle("pixelated", tiny);
    this.image.classList.toggle("checked", transparent);
    for (const id of ["large-previous", "large-next"]) find(`#${id}`).hidden = items.length < 2;
    this.dialog.showModal();
    find("#large-close").focus();
    this.open(index);
  }

  /** @param {number} by */
  go(by) {
    if (this.items.length > 1) this.open((this.index + by + this.items.length) % this.items.length);
  }

  /** @param {number} index */
  async open(index) {
    this.clear();
    const { signal } = (this.loading = new AbortController());
    this.index = index;
    const { label, load, draft } = this.item;
    find("#large-title").textContent = label;
    this.image.alt = label;
    this.status.textContent = "Loading the full size";
    try {
      if (draft) await this.draw(draft, signal);
      const blob = await load(signal);
      if (signal.aborted) return;
      this.blob = blob;
      this.url = URL.createObjectURL(blob);
      await this.draw(this.url, signal);
      const { naturalWidth, naturalHeight } = this.image;
      this.status.textContent = `${naturalWidth} × ${naturalHeight} pixels`;
      /** @type {HTMLButtonElement} */ (find("#large-save")).disabled = false;
    } catch (error) {
      if (signal.aborted) return;
      this.dialog.close();
      tell("lightbox", error);
    }
  }

  /** @param {string} url @param {AbortSignal} signal */
  async draw(url, signal) {
    this.image.src = url;
    await this.image.decode();
    if (signal.aborted) return;
    this.image.hidden = false;
    this.zoom.fit();
  }

  clear() {
    this.loading.abort();
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = "";
    this.blob = undefined;
    this.image.hidden = true;
    this.image.removeAttribute("src");
    /** @type {HTMLButtonElement} */ (find("#large-save")).disabled = true;
  }

  /** @param {KeyboardEvent} event */
  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const way = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (way && this.zoom.isCut) this.zoom.move(way[0] * PAN, way[1] * PAN);
    else if (way && way[0]) this.go(-way[0]);
    else if (event.key === "PageUp") this.go(-1);
    else if (event.key === "PageDown") this.go(1);
    else if (event.key === "+" || event.key === "=") this.zoom.enlarge();
    else if (event.key === "-") this.zoom.reduce();
    else if (event.key === "0") this.zoom.fit();
    else if (event.key === "1") this.zoom.to(1);
    else return;
    event.preventDefault();
  }
}

/** @param {Blob} blob */
const suffix = (blob) => ({ "image/jpeg": "jpg", "image/webp": "webp" })[blob.type] ?? "png";

/** @type {Lightbox | undefined} */
let lightbox;

/** Shows images in the page's one lightbox; see `Lightbox.show`. @param {Parameters<Lightbox["show"]>} given */
export function showLarge(...given) {
  lightbox ??= new Lightbox();
  lightbox.show(...given);
}
