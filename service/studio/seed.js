/** The field for a seed. A wrong seed is explained beside the field and changes nothing. */

import { find } from "./dom.js";

export const SEED_LIMIT = 2 ** 32; // as in ganvas/api.py

const ALLOWED = `A seed is a whole number from 0 to ${SEED_LIMIT - 1}.`;

/**
 * Reads a seed.
 * @param {string} typed
 * @returns {{seed: number} | {wrong: string}}
 */
export function readSeed(typed) {
  const text = typed.trim();
  const value = Number(text);
  if (/^\d+$/.test(text) && value < SEED_LIMIT) return { seed: value };
  if (text === "") return { wrong: `The seed is empty. ${ALLOWED}` };
  if (/^\d+$/.test(text)) return { wrong: `${short(text)} is too large. ${ALLOWED}` };
  if (Number.isNaN(value)) return { wrong: `“${short(text)}” is not a number. ${ALLOWED}` };
  if (value < 0) return { wrong: `${short(text)} is negative. ${ALLOWED}` };
  return { wrong: `${short(text)} is not a whole number in digits. ${ALLOWED}` };
}

/** @param {string} text */
const short = (text) => (text.length > 20 ? `${text.slice(0, 20)}…` : text);

export class SeedField {
  /** @param {(seed: number) => void} changed called with each right seed */
  constructor(changed) {
    /** @type {HTMLInputElement} */
    this.input = find("#seed-number");
    this.message = find("#seed-wrong");
    this.changed = changed;
    this.seed = 0;
    this.input.addEventListener("input", () => this.read());
    this.input.addEventListener("keydown", (event) => {
      const step = { ArrowUp: 1, ArrowDown: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const next = Math.min(Math.max(this.seed + step, 0), SEED_LIMIT - 1);
      this.set(next);
      changed(next);
    });
  }

  read() {
    const read = readSeed(this.input.value);
    if ("seed" in read) {
      this.complain("");
      this.seed = read.seed;
      this.changed(read.seed);
    } else this.complain(read.wrong);
  }

  /** Shows a seed that was chosen elsewhere. @param {number} seed */
  set(seed) {
    this.seed = seed;
    const read = readSeed(this.input.value);
    if (!("seed" in read) || read.seed !== seed) this.input.value = String(seed); // "007" stays while it is typed
    this.complain("");
  }

  /** @param {string} message "" if the seed is right */
  complain(message) {
    if (this.message.textContent !== message) this.message.textContent = message;
    this.message.hidden = !message;
    this.input.setAttribute("aria-invalid", String(Boolean(message)));
  }
}
