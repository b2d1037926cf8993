/** The Sample view: a grid of images, one per seed, that follows the sliders; and the walk between two of them. */

import { keep, number, text } from "./address.js";
import { call, entriesOf } from "./api.js";
import { isTransparent, showCard } from "./card.js";
import { CodePanel, jsonCall } from "./code.js";
import { find, make, save, slider, tile } from "./dom.js";
import { firstGenerator } from "./first.js";
import { ImageLoader } from "./images.js";
import { showLarge } from "./lightbox.js";
import { settle, tell } from "./notices.js";
import { SEED_LIMIT, SeedField, readSeed } from "./seed.js";
import { decoded, sheet } from "./sheet.js";
import { Status } from "./status.js";
import { Walk } from "./walk.js";

const SLIDER_SEEDS = 1000; // the range of the slider; the number field beside it takes any seed

/** @typedef {import("./card.js").Model} Model */

export class Sampling {
  /**
   * @param {Model[]} models
   * @param {{maxSeeds: number}} bounds
   */
  constructor(models, { maxSeeds }) {
    this.model = firstGenerator(models, text("generator", ""));
    /** @type {HTMLSelectElement} */
    this.classes = find("#class");
    this.truncation = slider("truncation", (value) => value.toFixed(2), () => this.update());
    this.seedSlider = slider("seed", (value) => String(value), (value) => this.setSeed(value));
    this.seedField = new SeedField((seed) => this.setSeed(seed));
    const asked = readSeed(text("seed", "1"));
    this.seed = "seed" in asked ? asked.seed : 1;
    /** Whether the view has been shown. Until then it requests no images. */
    this.isOpen = false;
    /** @type {number[] | null} The ends of the walk; null means the first two images of the grid. */
    this.ends = null;
    this.code = new CodePanel(find("#sample-code"), ["Image", "Walk"]);
    this.status = new Status("grid", () => `${this.seeds.length} images from seed ${this.seed} loaded`);
    this.walk = new Walk({ described: (ends, steps) => this.describeWalk(ends, steps) });
    this.images = new ImageLoader((keys, signal) => this.load(keys, signal), {
      parallel: 4,
      together: Math.min(4, maxSeeds), // the grid of a slow model fills one row at a time
      kept: 400,
      failed: (error) => {
        tell("sample", error);
        this.status.clear();
      },
    });

    this.truncation.set(number("truncation", 1, 1));
    this.classes.addEventListener("change", () => this.update());
    const count = /** @type {HTMLSelectElement} */ (find("#count"));
    if (matchMedia("(max-width: 40rem)").matches) count.value = "9";
    count.addEventListener("change", () => this.update());
    find("#shuffle").addEventListener("click", () => this.setSeed(Math.floor(Math.random() * SLIDER_SEEDS)));
    find("#walk-swap").addEventListener("click", () => {
      this.ends = [...this.currentEnds].reverse();
      this.startWalk(true);
    });
    find("#save-grid").addEventListener("click", () => this.saveGrid());
    find("#view-grid").addEventListener("click", () => this.view(this.ends?.[1] ?? this.seed));
    const grid = find("#grid");
    grid.addEventListener("dblclick", (event) => this.viewTile(event));
    grid.addEventListener("keydown", (event) => event.key === "Enter" && this.viewTile(event));
    this.choose(this.model, text("class", ""));
    this.setSeed(this.seed);
    if ("wrong" in asked) this.seedField.complain(`The address has a wrong seed. ${asked.wrong} This is seed 1.`);
  }

  /** Loads the images when the view is shown for the first time. */
  open() {
    if (this.isOpen) return;
    this.isOpen = true;
    this.update();
  }

  /** Shows another generator. @param {Model} model @param {string} [asked] a class, which stays if the generator has it */
  choose(model, asked = this.classes.value) {
    this.model = model;
    this.ends = null;
    showCard(find("#sample-card"), model);
    const { classes = [] } = model.card;
    find("#classes").hidden = !classes.length;
    this.classes.replaceChildren(make("option", { value: "" }, "Any"), ...classes.map((name) => make("option", { value: name }, name)));
    this.classes.value = classes.includes(asked) ? asked : "";
    const { width = 1, height = 1 } = model.card;
    const view = /** @type {HTMLElement} */ (find("#sample"));
    view.style.setProperty("--aspect", `${width} / ${height}`);
    view.classList.toggle("tiny", width < 48);
    view.classList.toggle("transparent", isTransparent(model.card));
    keep({ generator: model.card.name });
    if (this.seed !== undefined) this.update();
  }

  /** @param {number} seed */
  setSeed(seed) {
    this.seed = Math.min(Math.max(Math.floor(seed), 0), SEED_LIMIT - 1);
    this.seedSlider.set(this.seed);
    this.seedField.set(this.seed);
    this.update();
  }

  get seeds() {
    const count = Number(/** @type {HTMLSelectElement} */ (find("#count")).value);
    return Array.from({ length: count }, (_, i) => (this.seed + i) % SEED_LIMIT);
  }

  get currentEnds() {
    return this.ends ?? this.seeds.slice(0, 2);
  }

  /** Updates everything that depends on seed, truncation and count. */
  update() {
    keep({ seed: this.seed, class: this.classes.value || null, truncation: this.truncation.get() });
    this.layTiles();
    if (!this.isOpen) return;
    this.fill();
    this.startWalk(false);
  }

  get columns() {
    return Math.ceil(Math.sqrt(this.seeds.length));
  }

  layTiles() {
    const grid = find("#grid");
    const { seeds } = this;
    while (grid.children.length > seeds.length) grid.lastElementChild?.remove();
    seeds.forEach((seed, index) => {
      if (index >= grid.children.length) {
        const made = tile({ name: "image", value: "", label: "" });
        made.input.addEventListener("change", () => this.goTo(Number(made.input.value)));
        grid.append(made.tile);
      }
      const label = grid.children[index];
      const input = /** @type {HTMLInputElement} */ (find("input", label));
      input.value = String(seed);
      input.setAttribute("aria-label", `Seed ${seed}`);
      input.checked = seed === this.ends?.[1];
      find(".caption", label).textContent = String(seed);
    });
    find("#sample").style.setProperty("--columns", String(this.columns));
  }

  fill() {
    const tiles = [...find("#grid").children];
    const { seeds } = this;
    tiles.forEach((label) => label.classList.add("waiting"));
    const saveButton = /** @type {HTMLButtonElement} */ (find("#save-grid"));
    saveButton.disabled = true;
    const report = () => {
      const { missing, stopped } = this.images;
      saveButton.disabled = missing > 0;
      if (missing && stopped) this.status.clear();
      else this.status.show(missing);
      if (!missing) settle("sample");
    };
    this.images.want(seeds.map((seed) => this.key(seed)), (url, index) => {
      const image = /** @type {HTMLImageElement} */ (find("img", tiles[index]));
      if (image.src !== url) image.src = url;
      tiles[index].classList.remove("waiting");
      report();
    });
  }

  /** @param {number} seed */
  key(seed) {
    return JSON.stringify([this.fields, seed]);
  }

  /** @param {string[]} keys of the same fields @param {AbortSignal} signal */
  async load(keys, signal) {
    const requests = keys.map((key) => JSON.parse(key));
    const json = { ...requests[0][0], seeds: requests.map(([, seed]) => seed), format: "zip" };
    return entriesOf(await (await call("./v1/sample", { json, signal })).arrayBuffer(), "image/png");
  }

  /** Saves all images of the grid as one PNG. */
  async saveGrid() {
    const { seeds, columns } = this;
    const { width = 1, height = 1 } = this.model.card;
    try {
      const urls = seeds.map((seed) => this.images.urls.get(this.key(seed)) ?? "");
      const tiles = (await Promise.all(urls.map(decoded))).map((image) => ({ image }));
      const made = await sheet(tiles, { columns, width, height, clear: isTransparent(this.model.card) });
      save(made, `${this.stem}-${seeds[0]}-${seeds[seeds.length - 1]}.png`);
      settle("grid");
    } catch (error) {
      tell("grid", error);
    }
  }

  /** @param {Event} event in a tile */
  viewTile(event) {
    const input = /** @type {HTMLElement} */ (event.target).closest(".tile")?.querySelector("input");
    if (!input) return;
    event.preventDefault(); // Enter would press the button that gets the focus
    this.view(Number(input.value));
  }

  /** Shows the images of the grid in the lightbox. @param {number} seed the first that is shown */
  view(seed) {
    const { seeds } = this;
    const { stem } = this;
    const { title, width = 1 } = this.model.card;
    const label = [title, this.classes.value].filter(Boolean).join(", ");
    const items = seeds.map((one) => {
      const key = this.key(one);
      const load = async (/** @type {AbortSignal} */ signal) => this.images.blobs.get(key) ?? (await this.load([key], signal))[0];
      return { label: `${label}, seed ${one}`, name: `${stem}-${one}`, load };
    });
    showLarge(items, Math.max(0, seeds.indexOf(seed)), { tiny: width < 48, transparent: isTransparent(this.model.card) });
  }

  /** Walks from the last end to another image. @param {number} seed */
  goTo(seed) {
    this.ends = [this.currentEnds[this.ends ? 1 : 0], seed];
    this.startWalk(true);
  }

  /** @param {boolean} goThere */
  startWalk(goThere) {
    const [from, to] = this.currentEnds;
    const { fields, stem } = this;
    const { width = 1, height = 1 } = this.model.card;
    this.walk.between({ from, to, fields, stem, pixels: width * height }, { goThere });
    const seed = this.ends ? to : from;
    this.code.set("Image", jsonCall("sample", { ...fields, seed, format: "png" }, `${stem}-${seed}.png`));
  }

  /** What all requests share: the model, and the class and the truncation if they are set. @returns {Record<string, string | number>} */
  get fields() {
    const truncation = this.truncation.get();
    return {
      model: this.model.card.name,
      ...(this.classes.value && { class: this.classes.value }),
      ...(truncation < 1 && { truncation }),
    };
  }

  /** The start of a file's name, as the service begins it: `digits`, or `digits_three` for images of one class. */
  get stem() {
    const safe = this.classes.value.replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[.-]+|[.-]+$/g, "");
    return safe ? `${this.model.card.name}_${safe}` : this.model.card.name;
  }

  /** @param {import("./walk.js").Ends} ends @param {number} steps */
  describeWalk({ from, to, fields, stem }, steps) {
    this.code.set("Walk", jsonCall("interpolate", { ...fields, seeds: [from, to], steps, format: "webp" }, `${stem}-${from}-${to}.webp`));
  }
}
