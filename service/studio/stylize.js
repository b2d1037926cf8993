/** The Stylize view: a photo in every style, and a large version in one style or in a blend of two. */

import { keep, number, text } from "./address.js";
import { bindAllStyles, enable } from "./allstyles.js";
import { call, fileName } from "./api.js";
import { Batch } from "./batch.js";
import { showCard } from "./card.js";
import { CodePanel, photoCall } from "./code.js";
import { Compare } from "./compare.js";
import { counted, find, latest, make, percent, save, slider, tile } from "./dom.js";
import { firstStyle, firstStylizer } from "./first.js";
import { ImageLoader } from "./images.js";
import { showLarge } from "./lightbox.js";
import { settle, tell } from "./notices.js";
import { PREVIEW_SIDE, SMALL_SIDE, painter, stem, styleNames } from "./paint.js";
import { readPhoto } from "./photo.js";
import { Status } from "./status.js";

/** @typedef {import("./card.js").Model} Model */
/** @typedef {import("./photo.js").Photo} Photo */

export class Stylizing {
  /**
   * @param {Model[]} models
   * @param {{maxSide: number, uploadTypes: string[]}} bounds
   */
  constructor(models, { maxSide, uploadTypes }) {
    this.maxSide = maxSide;
    this.uploadTypes = uploadTypes;
    this.ask = painter(maxSide);
    this.model = firstStylizer(models, text("stylizer", ""), text("style", ""));
    /** @type {Photo | undefined} */
    this.photo = undefined;
    this.photos = 0;
    this.style = "";
    /** Whether the style was chosen: by the user, or by the address. */
    this.isChosen = false;
    this.strength = slider("strength", percent, () => this.update());
    this.keepColor = slider("keep-color", percent, () => this.update());
    this.brush = slider("brush", (value) => `${value}×`, () => this.update());
    this.mix = slider("mix", percent, () => this.update());
    this.second = /** @type {HTMLSelectElement} */ (find("#second"));
    this.format = /** @type {HTMLSelectElement} */ (find("#save-format"));
    this.compare = new Compare();
    this.code = new CodePanel(find("#stylize-code"), ["Image"]);
    this.paint = latest(80, (error) => {
      this.compare.busy = false;
      tell("stylize", error);
    });
    this.status = new Status("styles", () => `The photo in ${counted(this.styles.length, "style")} loaded`);
    this.tiles = new ImageLoader(async ([key], signal) => [await this.loadTile(key, signal)], {
      parallel: 2,
      together: 1,
      kept: 60,
      failed: (error) => {
        tell("styles", error);
        this.status.clear();
      },
    });
    this.batch = new Batch({
      settings: () => ({ fields: this.fields, caption: this.caption(), format: this.format.value }),
      paint: async (file, { fields, format }, signal) => {
        const photo = await this.read(file);
        return (await this.ask(photo, photo.file, fields, { signal, max_side: this.maxSide, format })).blob();
      },
    });
    bindAllStyles(() => this.photo && this.allStyles(this.photo));
    this.strength.set(number("strength", 1, 1));
    this.keepColor.set(number("keep_color", 0, 1));
    this.brush.set(number("brush", 1, 2, 0.5));
    this.mix.set(number("mix", 0.5, 1));
    this.second.addEventListener("change", () => this.update());
    find("#save-styled").addEventListener("click", () => this.download());
    find("#view-styled").addEventListener("click", () => this.view());
    this.choose(this.model);
  }

  get styles() {
    return this.model.card.styles ?? [];
  }

  /** Shows another stylizer. @param {Model} model */
  choose(model) {
    this.model = model;
    keep({ stylizer: model.card.name });
    showCard(find("#stylize-card"), model);
    const { styles } = this;
    const known = (/** @type {string} */ name) => styles.some((style) => style.name === name);
    this.isChosen = known(text("style", ""));
    this.style = this.isChosen ? text("style", "") : styles[0].name;
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
          this.isChosen = true;
          this.style = style.name;
          this.update();
        });
        return made.tile;
      }),
    );
    if (this.photo) this.fill();
    /** Settles when the paintings are known. A photo waits for them, because they decide the first style. */
    this.ready = this.showPaintings(model);
    this.update();
  }

  /** Shows the paintings themselves in the tiles, until the user chooses a photo, and selects the most colourful one. @param {Model} model */
  async showPaintings(model) {
    try {
      const { card } = await (await call(`./v1/models/${model.card.name}`)).json();
      /** @type {import("./card.js").Style[]} */
      const styles = card.styles;
      const first = await firstStyle(styles);
      if (this.model !== model) return;
      const tiles = find("#styles");
      if (!this.isChosen) {
        this.style = first.name;
        /** @type {HTMLInputElement} */ (find(`input[value="${first.name}"]`, tiles)).checked = true;
        this.update();
      }
      reveal(tiles);
      if (this.photo) return;
      const images = tiles.querySelectorAll("img");
      styles.forEach((style, index) => {
        if (style.thumbnail) images[index].src = `data:image/jpeg;base64,${style.thumbnail}`;
      });
    } catch (error) {
      tell("styles", error);
    }
  }

  /** Takes one photo or several. The first one is shown; several are all painted. @param {File[]} files */
  take(files) {
    this.show(files[0]);
    if (files.length > 1) this.ready?.then(() => this.batch.start(files));
  }

  /** @param {File} file */
  read(file) {
    return readPhoto(file, { previewSide: PREVIEW_SIDE, smallSide: SMALL_SIDE, maxSide: this.maxSide, types: this.uploadTypes });
  }

  /** Shows a photo in place of the previous one. If the new photo cannot be read, the previous one stays. @param {File} file */
  async show(file) {
    const turn = ++this.photos;
    const [photo] = await Promise.all([this.read(file), this.ready]);
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
    this.compare.setPhoto(photo);
    reveal(find("#styles"));
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
    const brush = this.brush.get();
    return {
      model: this.model.card.name,
      style: this.blend,
      ...(strength < 1 && { strength }),
      ...(keep_color > 0 && { keep_color }),
      ...(brush !== 1 && { brush }),
    };
  }

  /** Updates everything that depends on style, blend, strength, keep_color and brush. */
  update() {
    const { fields } = this;
    const second = this.second.value === this.style ? "" : this.second.value;
    for (const option of this.second.options) option.disabled = option.value === this.style;
    if (second !== this.second.value) this.second.value = second;
    /** @type {HTMLInputElement} */ (find("#mix")).disabled = !second;
    keep({
      style: this.style,
      second: second || null,
      mix: second ? this.mix.get() : null,
      strength: this.strength.get(),
      keep_color: this.keepColor.get(),
      brush: this.brush.get(),
    });
    const name = this.photo?.name ?? "photo.jpg";
    this.code.set("Image", photoCall(name, fields, `${stem(name)}-${styleNames(fields.style)}.jpg`));
    find("#after-caption").textContent = this.caption();
    /** @type {HTMLButtonElement} */ (find("#save-styled")).disabled = !this.photo;
    enable(Boolean(this.photo));
    if (!this.photo) return;
    const { photo } = this;
    this.compare.busy = true;
    this.paint(async (signal) => {
      const painted = await (await this.ask(photo, photo.preview, fields, { signal, max_side: PREVIEW_SIDE })).blob();
      this.compare.setPainting(painted, `The photo, ${this.caption()}`);
      this.compare.busy = false;
      settle("stylize");
    });
  }

  caption() {
    const title = (/** @type {string} */ name) => this.styles.find((style) => style.name === name)?.title ?? name;
    const parts = this.blend.split(",").map((part) => part.split(":"));
    if (parts.length === 1) return title(parts[0][0]);
    return parts.map(([name, share]) => `${title(name)} ${percent(Number(share))}`).join(", ");
  }

  /** Loads the photo in every style. */
  fill() {
    const tiles = [...find("#styles").children];
    tiles.forEach((label) => label.classList.add("waiting"));
    const keys = this.styles.map((style) => JSON.stringify([this.photos, this.model.card.name, style.name]));
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

  /** @param {Photo} photo @returns {import("./allstyles.js").Order} */
  allStyles(photo) {
    const { fields } = this;
    return {
      photo,
      styles: this.styles,
      format: this.format.value,
      maxSide: this.maxSide,
      paint: async (image, style, options) => (await this.ask(photo, image, { ...fields, style }, options)).blob(),
    };
  }

  /** Shows the whole painting and the whole photo, as large as the service allows. */
  view() {
    const { photo, fields } = this;
    if (!photo) return;
    const { urls } = this.compare;
    const painting = {
      label: `${photo.name}, ${this.caption()}`,
      name: `${stem(photo.name)}-${styleNames(fields.style)}`,
      draft: urls.painting,
      load: async (/** @type {AbortSignal} */ signal) => (await this.ask(photo, photo.file, fields, { signal, max_side: this.maxSide })).blob(),
    };
    const before = { label: `${photo.name}, the photo`, name: stem(photo.name), load: async () => photo.file };
    showLarge(photo.isRead ? [painting, before] : [painting], 0);
  }

  /** Downloads the whole photo, as large as the service allows. */
  async download() {
    if (!this.photo) return;
    const status = find("#download-status");
    status.textContent = "Preparing the download";
    try {
      const response = await this.ask(this.photo, this.photo.file, this.fields, { max_side: this.maxSide, format: this.format.value });
      save(await response.blob(), fileName(response));
      settle("download");
    } catch (error) {
      tell("download", error);
    }
    status.textContent = "";
  }
}

/** Scrolls the row of styles on a phone to the selected one. @param {HTMLElement} row */
function reveal(row) {
  const tile = row.querySelector("input:checked")?.closest(".tile");
  if (!tile) return;
  const [outer, inner] = [row.getBoundingClientRect(), tile.getBoundingClientRect()];
  row.scrollLeft += inner.left + inner.width / 2 - (outer.left + outer.width / 2);
}

/** @param {number} share */
const round = (share) => Number(share.toFixed(2));
