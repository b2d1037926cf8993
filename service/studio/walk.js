/** The walk between two images. Its frames are loaded together, so the slider needs no requests. */

import { call, fileName, framesOf } from "./api.js";
import { find, latest, percent, save, slider, still } from "./dom.js";
import { settle, tell } from "./notices.js";

const STEPS = 40; // from one image to the other
const MAX_BYTES = 24e6; // of the frames in memory; a walk between large images has fewer steps
const STRIDE_MS = 1600; // time from one image to the other
const PAUSE_MS = 250; // wait until no slider moves; the images of the grid load first

/**
 * `fields` are those of /v1/interpolate but for the seeds and the steps; `stem` begins the names of files.
 * @typedef {{from: number, to: number, fields: Record<string, string | number>, stem: string, pixels: number}} Ends
 */

export class Walk {
  /** @param {{described: (ends: Ends, steps: number) => void}} options */
  constructor({ described }) {
    /** @type {HTMLCanvasElement} */
    this.canvas = find("#walk-image");
    /** @type {HTMLButtonElement} */
    this.playButton = find("#walk-play");
    this.described = described;
    this.load = latest(PAUSE_MS, (error) => tell("walk", error));
    this.position = slider("walk-position", (value) => `${Math.round(value)}%`, () => {
      this.stop();
      this.draw();
    });
    /** @type {ImageData[]} */
    this.frames = [];
    /** @type {Ends | undefined} */
    this.ends = undefined;
    this.playing = 0;
    this.playButton.addEventListener("click", () => (this.playing ? this.stop() : this.play(Infinity)));
    find("#save-png").addEventListener("click", () => this.saveImage());
    for (const format of ["webp", "gif"]) find(`#save-${format}`).addEventListener("click", () => this.saveAnimation(format));
  }

  get steps() {
    const frames = Math.floor(MAX_BYTES / ((this.ends?.pixels ?? 1) * 4));
    return Math.max(2, Math.min(STEPS, frames));
  }

  /**
   * Walks between two other images.
   * @param {Ends} ends
   * @param {{goThere?: boolean}} [options] whether to play the walk once, to its end
   */
  between(ends, { goThere = false } = {}) {
    this.stop();
    this.ends = ends;
    this.described(ends, this.steps);
    this.load(async (signal) => {
      const json = { ...ends.fields, seeds: [ends.from, ends.to], steps: this.steps, loop: false, format: "npy" };
      this.frames = framesOf(await (await call("./v1/interpolate", { json, signal })).arrayBuffer());
      settle("walk");
      paint(find("#walk-from"), this.frames[0], `Seed ${ends.from}`);
      paint(find("#walk-to"), this.frames[this.frames.length - 1], `Seed ${ends.to}`);
      if (goThere && still()) this.position.set(100);
      else if (goThere) this.position.set(0);
      this.draw();
      if (goThere && !still()) this.play(1);
    });
  }

  draw() {
    const frame = this.frames[Math.round((this.position.get() / 100) * (this.frames.length - 1))];
    if (!frame || !this.ends) return;
    const { from, to } = this.ends;
    const way = `${percent(this.position.get() / 100)} of the way from seed ${from} to seed ${to}`;
    paint(this.canvas, frame, `The image ${way}`);
    find("#walk-position").setAttribute("aria-valuetext", way);
  }

  /** Plays the walk to its end, back, and so on. @param {number} strides number of ways between the ends */
  play(strides) {
    this.stop();
    if (!this.frames.length) return;
    const before = this.position.get() / 100;
    const offset = before < 1 ? before : 0;
    const start = performance.now();
    /** @param {number} now */
    const step = (now) => {
      const passed = offset + (now - start) / STRIDE_MS;
      const ended = passed >= strides;
      const way = ended ? strides % 2 : passed % 2;
      const there = way <= 1 ? way : 2 - way;
      this.position.set(100 * (0.5 - Math.cos(Math.PI * there) / 2));
      this.draw();
      if (ended) this.stop();
      else this.playing = requestAnimationFrame(step);
    };
    this.playing = requestAnimationFrame(step);
    this.playButton.textContent = "Pause";
  }

  stop() {
    cancelAnimationFrame(this.playing);
    this.playing = 0;
    this.playButton.textContent = "Play";
  }

  saveImage() {
    const { stem, from, to } = this.ends ?? { stem: "", from: 0, to: 0 };
    const way = Math.round(this.position.get());
    const name = way === 0 ? `${stem}-${from}` : way === 100 ? `${stem}-${to}` : `${stem}-${from}-${to}-at-${way}`;
    this.canvas.toBlob((blob) => blob && save(blob, `${name}.png`));
  }

  /** @param {string} format */
  async saveAnimation(format) {
    if (!this.ends) return;
    const { fields, from, to } = this.ends;
    const status = find("#walk-status");
    status.textContent = "Preparing the animation";
    try {
      const response = await call("./v1/interpolate", { json: { ...fields, seeds: [from, to], steps: this.steps, format } });
      save(await response.blob(), fileName(response));
      settle("animation");
    } catch (error) {
      tell("animation", error);
    }
    status.textContent = "";
  }
}

/** @param {HTMLCanvasElement} canvas @param {ImageData} frame @param {string} label */
function paint(canvas, frame, label) {
  if (canvas.width !== frame.width || canvas.height !== frame.height) Object.assign(canvas, { width: frame.width, height: frame.height });
  canvas.getContext("2d")?.putImageData(frame, 0, 0);
  canvas.setAttribute("aria-label", label);
}
