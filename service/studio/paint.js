/** Asks the service to paint photos: one, one in every style, or several. */

import { call } from "./api.js";

/** @typedef {import("./photo.js").Photo} Photo */
/** @typedef {Record<string, string | number>} Fields */
/** @typedef {(photo: Photo, image: Blob, fields: Fields, options: {signal?: AbortSignal, max_side: number, format?: string}) => Promise<Response>} Paint */

export const PREVIEW_SIDE = 640; // pixels
export const SMALL_SIDE = 256; // pixels
export const SUFFIXES = /** @type {Record<string, string>} */ ({ jpeg: "jpg", png: "png", webp: "webp" });

/**
 * Returns a function that paints an image, the photo or a copy of it.
 * @param {number} limit the largest `max_side` of the service, in pixels
 * @returns {Paint}
 */
export const painter = (limit) => (photo, image, fields, { signal, max_side, format = "jpeg" }) => {
  const form = new FormData();
  form.append("image", image, photo.name);
  const all = { ...fields, max_side: Math.min(max_side, limit), format };
  for (const [name, value] of Object.entries(all)) form.append(name, String(value));
  return call("./v1/stylize", { form, signal });
};

/** Returns a file name without its suffix. @param {string} name */
export const stem = (name) => name.replace(/\.[^.]*$/, "");

/** Returns a blend as a part of a file name. @param {string | number} blend */
export const styleNames = (blend) => String(blend).replace(/:[\d.]+/g, "").replaceAll(",", "-");

/**
 * Runs work for each item, `parallel` at a time. Work that fails must not throw.
 * @template T
 * @param {T[]} items
 * @param {number} parallel
 * @param {(item: T, index: number) => Promise<void>} work
 */
export async function forEach(items, parallel, work) {
  const queue = items.entries();
  const one = async () => {
    for (const [index, item] of queue) await work(item, index);
  };
  await Promise.all(Array.from({ length: parallel }, one));
}
