/** Several photos at once: paints each, shows the progress, and lists the failures. */

import { counted, find, make, save } from "./dom.js";
import { showLarge } from "./lightbox.js";
import { SUFFIXES, forEach, stem, styleNames } from "./paint.js";
import { zipped } from "./zip.js";

const PARALLEL = 2; // photos

/**
 * @typedef {import("./paint.js").Fields} Fields
 * @typedef {{fields: Fields, caption: string, format: string}} Settings
 * @typedef {{file: File, row: HTMLElement, painting?: Blob, name: string, failed: boolean}} Entry
 */

export class Batch {
  /**
   * @param {{settings: () => Settings, paint: (file: File, settings: Settings, signal: AbortSignal) => Promise<Blob>}} options
   *   `paint` paints a whole photo
   */
  constructor({ settings, paint }) {
    this.panel = find("#batch");
    this.list = find("#batch-list");
    this.progress = /** @type {HTMLProgressElement} */ (find("#batch-progress"));
    this.settings = settings;
    this.paint = paint;
    this.running = new AbortController();
    /** @type {Entry[]} */
    this.entries = [];
    find("#batch-again").addEventListener("click", () => this.run());
    find("#batch-stop").addEventListener("click", () => this.running.abort());
    find("#batch-close").addEventListener("click", () => this.close());
    find("#batch-save").addEventListener("click", async () => save(await zipped(this.painted), "photos.zip"));
  }

  /** Paints other photos. @param {File[]} files */
  start(files) {
    this.running.abort();
    this.entries = files.map((file) => ({ file, row: make("li"), name: "", failed: false }));
    this.list.replaceChildren(...this.entries.map(({ row }) => row));
    this.panel.hidden = false;
    this.run();
  }

  close() {
    this.running.abort();
    this.entries = [];
    this.list.replaceChildren();
    this.panel.hidden = true;
  }

  /** The paintings as files. */
  get painted() {
    return this.entries.flatMap(({ name, painting }) => (painting ? [{ name, blob: painting }] : []));
  }

  async run() {
    this.running.abort();
    const { signal } = (this.running = new AbortController());
    const settings = this.settings();
    for (const entry of this.entries) {
      Object.assign(entry, { painting: undefined, failed: false });
      this.show(entry, "Waiting");
    }
    this.report(settings, true);
    await forEach(this.entries, PARALLEL, async (entry) => {
      if (signal.aborted) return;
      this.show(entry, "Painting");
      try {
        entry.painting = await this.paint(entry.file, settings, signal);
        entry.name = `${stem(entry.file.name)}-${styleNames(settings.fields.style)}.${SUFFIXES[settings.format]}`;
        if (!signal.aborted) this.show(entry, "");
      } catch (error) {
        if (signal.aborted) return;
        entry.failed = true;
        this.show(entry, error instanceof Error ? error.message : String(error));
      }
      if (!signal.aborted) this.report(settings, true);
    });
    if (this.running.signal !== signal) return; // another run has begun
    for (const entry of this.entries) if (!entry.painting && !entry.failed) this.show(entry, "Stopped");
    this.report(settings, false);
  }

  /** @param {Settings} settings @param {boolean} isRunning */
  report({ caption }, isRunning) {
    const { length } = this.entries;
    const failed = this.entries.filter((entry) => entry.failed).length;
    const done = this.painted.length + failed;
    this.progress.max = length;
    this.progress.value = done;
    this.progress.hidden = !isRunning;
    find("#batch-title").textContent = `${counted(length, "photo")} in ${caption}`;
    const stopped = !isRunning && done < length ? `, ${length - done} stopped` : "";
    find("#batch-status").textContent = `${this.painted.length} of ${length} painted${failed ? `, ${failed} failed` : ""}${stopped}`;
    find("#batch-stop").hidden = !isRunning;
    find("#batch-again").hidden = isRunning;
    /** @type {HTMLButtonElement} */ (find("#batch-save")).disabled = isRunning || !this.painted.length;
  }

  /** @param {Entry} entry @param {string} state "" if the photo is painted */
  show(entry, state) {
    const { row, file, painting, failed } = entry;
    row.classList.toggle("failed", failed);
    const old = row.querySelector("img");
    if (old) URL.revokeObjectURL(old.src);
    if (!painting) {
      row.replaceChildren(make("b", {}, file.name), " ", make("span", {}, state));
      return;
    }
    const image = make("img", { src: URL.createObjectURL(painting), alt: "" });
    const open = make("button", { type: "button", "aria-label": `View ${file.name}, painted` }, image);
    open.addEventListener("click", () => this.view(entry));
    row.replaceChildren(open, make("b", {}, file.name));
  }

  /** @param {Entry} entry */
  view(entry) {
    const painted = this.entries.filter(({ painting }) => painting);
    const items = painted.map(({ file, name, painting }) => {
      return { label: `${file.name}, painted`, name: stem(name), load: async () => /** @type {Blob} */ (painting) };
    });
    showLarge(items, painted.indexOf(entry));
  }
}
