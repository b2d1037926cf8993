/** The Stylize view: a photo in every style, and a large version in one style or in a blend of two. */

import { keep, number, text } from "./address.js";
import { call, fileName } from "./api.js";
import { showCard } from "./card.js";
import { CodePanel, photoCall } from "./code.js";
import { counted, find, latest, make, percent, save, slider, tile } from "./dom.js";
import { settle, tell } from "./notices.js";
import { readPhoto } from "./photo.js";
import { ImageLoader } from "./images.js";
import { Status } from "./status.js";

const PREVIEW_SIDE = 640; // pixels
const SMALL_SIDE = 256; // pixels

/** @typedef {import("./card.js").Model} Model */

export class Stylizing {
  /**
   * @param {Model[]} models
   * @param {{maxSide: number, uploadTypes: string[]}} bounds
   */
  constructor(models, { maxSide, uploadTypes }) {
    this.maxSide = maxSide;
    this.uploadTypes = uploadTypes;
    this.model = models.find((model) => model.card.name === text("stylizer", "")) ?? models[0];
    /** @type {import("./photo.js").Photo | undefined} */
    this.photo = undefined;
    this.photos = 0;
    this.style = "";
    this.strength = slider("strength", percent, () => this.update());
    this.keepColor = slider("keep-color", percent, () => this.update());
    this.mix = slider("mix", percent, () => this.update());
    this.second = /** @type {HTMLSelectElement} */ (find("#second"));
    this.code = new CodePanel(find("#stylize-code"), ["Image"]);
    this.paint = latest(80, (error) => {
      this.busy(false);
      tell("stylize", error);
    });
    this.status = new Status("styles", () => `The photo in ${counted(this.model.card.styles?.length ?? 0, "style")} loaded`);
    this.tiles = new ImageLoader(async ([key], signal) => [await this.loadTile(key, signal)], {
      parallel: 2,
      together: 1,
      kept: 60,
      failed: (error) => {
        tell("styles", error);
        this.status.clear();
      },
    });
    this.strength.set(number("strength", 1, 1));
    this.keepColor.set(number("keep_color", 0, 1));
    this.mix.set(number("mix", 0.5, 1));
    this.listen();
    this.choose(this.model);
  }

  listen() {
    const input = /** @type {HTMLInputElement} */ (find("#photo"));
    input.addEventListener("change", () => {
      if (input.files?.[0]) this.take(input.files[0]);
      input.value = ""; // so that the same file can be chosen again
    });
    this.second.addEventListener("change", () => this.update());
    find("#save-styled").addEventListener("click", () => this.download());
  }

  /** Shows another stylizer. @param {Model} model */
  async choose(model) {
    this.model = model;
    keep({ stylizer: model.card.name });
    showCard(find("#stylize-card"), model);
    const styles = model.card.styles ?? [];
    const known = (/** @type {string} */ name) => styles.some((style) => style.name === name);
    this.style = known(text("style", "")) ? text("style", "") : styles[0].name;
    this.second.replaceChildren(
      make("option", { value: "" }, "nothing"),
      ...styles.map((style) => make("option", { value: style.name }, style.title)),
    );
    this.second.value = known(text("second", "")) ? text("second", "") : "";
    find("#blend").hidden = styles.length < 2;
    find("#styles").replaceChildren(
      ...styles.map((style) => {
        const caption = [style.artist, style.year].filter(Boolean).join(", ");
        const label = `${style.title}, ${caption}`;
        const made = tile({ name: "style", value: style.name, label, checked: style.name === this.style });
        made.text.append(make("b", {}, style.title), make("small", {}, caption));
        made.input.addEventListener("change", () => {
          this.style = style.name;
          this.update();
        });
        return made.tile;
      }),
    );
    this.update();
    if (this.photo) this.fill();
    else await this.showPaintings(model);
  }

  /** Shows the paintings themselves in the tiles, until the user chooses a photo. @param {Model} model */
  async showPaintings(model) {
    try {
      const { card } = await (await call(`./v1/models/${model.card.name}`)).json();
      if (this.photo || this.model !== model) return;
      const images = find("#styles").querySelectorAll("img");
      /** @type {import("./card.js").Style[]} */ (card.styles).forEach((style, index) => {
        if (style.thumbnail) images[index].src = `data:image/jpeg;base64,${style.thumbnail}`;
      });
    } catch (error) {
      tell("styles", error);
    }
  }

  /** Takes a photo in place of the previous one. If the new photo cannot be read, the previous one stays. @param {File} file */
  async take(file) {
    const turn = ++this.photos;
    const sides = { previewSide: PREVIEW_SIDE, smallSide: SMALL_SIDE, maxSide: this.maxSide };
    const photo = await readPhoto(file, { ...sides, types: this.uploadTypes });
    try {
      if (!photo.isRead) await this.ask(photo, photo.file, this.fields, { max_side: SMALL_SIDE });
    } catch (error) {
      tell("photo", error);
      return;
    }
    if (turn !== this.photos) return;
    settle("photo");
    this.photo = photo;
    find("#stylize").classList.add("has-photo");
    find("#sides").style.setProperty("--aspect", String(photo.aspect));
    this.show("#before", photo.preview);
    find("#before").setAttribute("alt", `The photo ${photo.name}`);
    find("#after").removeAttribute("src");
    this.fill();
    this.update();
  }

  /** The style or the blend of two, in the API's syntax. */
  get blend() {
    const share = this.mix.get();
    const second = this.second.value;
    if (!second || second === this.style || share === 0) return this.style;
    return share === 1 ? second : `${this.style}:${round(1 - share)},${second}:${round(share)}`;
  }

  get fields() {
    const strength = this.strength.get();
    const keep_color = this.keepColor.get();
    return { model: this.model.card.name, style: this.blend, ...(strength < 1 && { strength }), ...(keep_color > 0 && { keep_color }) };
  }

  /** Updates everything that depends on style, blend, strength and keep_color. */
  update() {
    const { fields } = this;
    const second = this.second.value === this.style ? "" : this.second.value;
    for (const option of this.second.options) option.disabled = option.value === this.style;
    if (second !== this.second.value) this.second.value = second;
    /** @type {HTMLInputElement} */ (find("#mix")).disabled = !second;
    keep({ style: this.style, second: second || null, mix: second ? this.mix.get() : null, strength: this.strength.get(), keep_color: this.keepColor.get() });
    const name = this.photo?.name ?? "photo.jpg";
    this.code.set("Image", photoCall(name, fields, `${name.replace(/\.[^.]*$/, "")}-${styleNames(fields.style)}.jpg`));
    find("#after-caption").textContent = this.caption();
    /** @type {HTMLButtonElement} */ (find("#save-styled")).disabled = !this.photo;
    if (!this.photo) return;
    const { photo } = this;
    this.busy(true);
    this.paint(async (signal) => {
      const painted = await (await this.ask(photo, photo.preview, fields, { signal, max_side: PREVIEW_SIDE })).blob();
      this.show("#after", painted);
      find("#after").setAttribute("alt", `The photo, ${this.caption()}`);
      this.busy(false);
      settle("stylize");
    });
  }

  caption() {
    const title = (/** @type {string} */ name) => this.model.card.styles?.find((style) => style.name === name)?.title ?? name;
    const parts = this.blend.split(",").map((part) => part.split(":"));
    if (parts.length === 1) return title(parts[0][0]);
    return parts.map(([name, share]) => `${title(name)} ${percent(Number(share))}`).join(", ");
  }

  /** Loads the photo in every style. */
  fill() {
    const tiles = [...find("#styles").children];
    tiles.forEach((label) => label.classList.add("waiting"));
    const keys = (this.model.card.styles ?? []).map((style) => JSON.stringify([this.photos, this.model.card.name, style.name]));
    this.tiles.want(keys, (url, index) => {
      find("img", tiles[index]).setAttribute("src", url);
      tiles[index].classList.remove("waiting");
      const { missing, stopped } = this.tiles;
      if (missing && stopped) this.status.clear();
      else this.status.show(missing);
      if (!missing) settle("styles");
    });
  }

  /** @param {string} key @param {AbortSignal} signal */
  async loadTile(key, signal) {
    const [, model, style] = JSON.parse(key);
    if (!this.photo) throw new Error("No photo is chosen.");
    return (await this.ask(this.photo, this.photo.small, { model, style }, { signal, max_side: SMALL_SIDE })).blob();
  }

  /**
   * @param {import("./photo.js").Photo} photo
   * @param {Blob} image the photo, or a copy of it
   * @param {Record<string, string | number>} fields
   * @param {{signal?: AbortSignal, max_side: number, format?: string}} options
   */
  ask(photo, image, fields, { signal, max_side, format = "jpeg" }) {
    const form = new FormData();
    form.append("image", image, photo.name);
    for (const [name, value] of Object.entries({ ...fields, max_side: Math.min(max_side, this.maxSide), format })) form.append(name, String(value));
    return call("./v1/stylize", { form, signal });
  }

  /** Downloads the whole photo, as large as the service allows. */
  async download() {
    if (!this.photo) return;
    const status = find("#download-status");
    const format = /** @type {HTMLSelectElement} */ (find("#save-format")).value;
    status.textContent = "Preparing the download";
    try {
      const response = await this.ask(this.photo, this.photo.file, this.fields, { max_side: this.maxSide, format });
      save(await response.blob(), fileName(response));
      settle("download");
    } catch (error) {
      tell("download", error);
    }
    status.textContent = "";
  }

  /** @param {string} selector @param {Blob} blob */
  show(selector, blob) {
    const image = /** @type {HTMLImageElement} */ (find(selector));
    if (image.src.startsWith("blob:")) URL.revokeObjectURL(image.src);
    image.src = URL.createObjectURL(blob);
  }

  /** @param {boolean} busy */
  busy(busy) {
    find("#after").closest("figure")?.setAttribute("aria-busy", String(busy));
  }
}

/** @param {number} share */
const round = (share) => Number(share.toFixed(2));

/** Returns a blend as a part of a file name. @param {string} blend */
const styleNames = (blend) => blend.replace(/:[\d.]+/g, "").replaceAll(",", "-");
