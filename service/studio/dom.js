/** Helpers for the page's elements, and for work that newer input replaces. */

/**
 * Returns the element that matches a selector, and throws if there is none.
 * @template {Element} T
 * @param {string} selector
 * @param {ParentNode} [root]
 * @returns {T}
 */
export function find(selector, root = document) {
  const found = root.querySelector(selector);
  if (!found) throw new Error(`The page has no ${selector}.`);
  return /** @type {T} */ (found);
}

/**
 * Makes an element. Attributes that are null or false are omitted. Text is never parsed as markup.
 * @param {string} tag
 * @param {Record<string, string | number | boolean | null | undefined>} [attributes]
 * @param {...(Node | string | null | undefined)} children
 * @returns {HTMLElement}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/**
 * Returns a function that runs only the latest work: each call aborts the previous one and waits a moment before it runs.
 * @param {number} wait milliseconds
 * @param {(error: unknown) => void} failed
 * @returns {(work: (signal: AbortSignal) => Promise<void>) => void}
 */
export function latest(wait, failed) {
  let timer = 0;
  /** @type {AbortController | undefined} */
  let controller;
  return (work) => {
    clearTimeout(timer);
    controller?.abort();
    const own = (controller = new AbortController());
    timer = setTimeout(async () => {
      try {
        await work(own.signal);
      } catch (error) {
        if (!own.signal.aborted) failed(error);
      }
    }, wait);
  };
}

/**
 * Binds a range input: shows its value beside it and passes it to `changed`.
 * @param {string} id
 * @param {(value: number) => string} text how the value is shown and announced
 * @param {(value: number) => void} changed
 * @returns {{get: () => number, set: (value: number) => void}}
 */
export function slider(id, text, changed) {
  /** @type {HTMLInputElement} */
  const input = find(`#${id}`);
  const output = document.querySelector(`output[for="${id}"]`);
  const show = () => {
    const shown = text(input.valueAsNumber);
    if (output) output.textContent = shown;
    input.setAttribute("aria-valuetext", shown);
    const { min, max } = input;
    input.style.setProperty("--filled", `${((input.valueAsNumber - Number(min)) / (Number(max) - Number(min))) * 100}%`);
  };
  input.addEventListener("input", () => {
    show();
    changed(input.valueAsNumber);
  });
  return {
    get: () => input.valueAsNumber,
    set: (value) => {
      input.value = String(value);
      show();
    },
  };
}

/** Formats a fraction, 0 to 1, as a percentage. @param {number} value */
export const percent = (value) => `${Math.round(value * 100)}%`;

/** Inflects a count: "1 image", "2 images". @param {number} count @param {string} noun */
export const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

/** Whether the user prefers reduced motion. */
export const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/**
 * Saves a file on the user's device.
 * @param {Blob} blob
 * @param {string} name
 */
export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = make("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/**
 * Makes a radio button that looks like an image.
 * @param {{name: string, value: string, label: string, caption?: string, checked?: boolean}} choice
 * @returns {{tile: HTMLElement, input: HTMLInputElement, image: HTMLImageElement, text: HTMLElement}}
 */
export function tile({ name, value, label, caption = "", checked = false }) {
  const input = /** @type {HTMLInputElement} */ (make("input", { type: "radio", name, value, checked, "aria-label": label }));
  const image = /** @type {HTMLImageElement} */ (make("img", { alt: "", decoding: "async" }));
  const text = make("span", { class: "caption", "aria-hidden": "true" }, caption);
  return { tile: make("label", { class: "tile" }, input, make("span", { class: "frame" }, image), text), input, image, text };
}
