/** Calls the public API of the service, like any other client. */

import { askForKey, keyHeaders } from "./keys.js";

const MAX_RETRIES = 4; // after 429 or 503

/** A problem document of the service, or an error in the same form. */
export class Problem extends Error {
  /**
   * @param {{title?: string, detail?: string, status?: number, errors?: {field: string, detail: string}[]}} document
   * @param {string} requestId
   */
  constructor(document, requestId) {
    super(document.detail || document.title || "Something went wrong");
    this.title = document.title || "Something went wrong";
    this.detail = document.detail || "";
    this.status = document.status || 0;
    this.errors = document.errors || [];
    this.requestId = requestId;
  }
}

/**
 * Sends a request and returns the response.
 * @param {string} path relative to the page
 * @param {{json?: object, form?: FormData, signal?: AbortSignal}} [options] a body makes it a POST
 * @returns {Promise<Response>} with a status below 400
 * @throws {Problem} the service responds with an error, or does not respond
 */
export async function call(path, { json, form, signal } = {}) {
  const requestId = newId();
  /** @type {Record<string, string>} */
  const sent = { "X-Request-ID": requestId };
  if (json) sent["Content-Type"] = "application/json";
  const init = { method: json || form ? "POST" : "GET", body: json ? JSON.stringify(json) : form, signal };
  for (let attempt = 1; ; attempt++) {
    const headers = { ...sent, ...keyHeaders() };
    const response = await fetch(path, { ...init, headers }).catch((error) => {
      if (signal?.aborted) throw error;
      throw new Problem({ title: "No response", detail: "The service does not respond. Is it running?" }, requestId);
    });
    if (response.ok) return response;
    if (response.status === 401 && (await askForKey(headers))) continue;
    if ((response.status !== 429 && response.status !== 503) || attempt > MAX_RETRIES) throw await problemOf(response, requestId);
    await pause(Math.min(Number(response.headers.get("Retry-After")) || 1, 10) * 1000 * (0.5 + Math.random()), signal);
  }
}

/**
 * Reads the bounds of the routes, and the media types of uploads, from the OpenAPI document.
 * @returns {Promise<{maxSide: number, maxSeeds: number, uploadTypes: string[]}>}
 */
export async function bounds() {
  const document = await (await call("./docs.json")).json();
  /** @param {string} route @param {string} type */
  const body = (route, type) => document.paths[route].post.requestBody.content[type];
  const stylize = body("/v1/stylize", "multipart/form-data");
  return {
    maxSide: stylize.schema.properties.max_side.maximum,
    maxSeeds: body("/v1/sample", "application/json").schema.properties.seeds.maxItems,
    uploadTypes: stylize.encoding.image.contentType.split(", "),
  };
}

/**
 * Decodes the images of a .npy response.
 * @param {ArrayBuffer} buffer of uint8 [n, h, w, c]
 * @returns {ImageData[]}
 */
export function framesOf(buffer) {
  const view = new DataView(buffer);
  const wide = view.getUint8(6) > 1;
  const start = (wide ? 12 : 10) + (wide ? view.getUint32(8, true) : view.getUint16(8, true));
  const header = new TextDecoder("latin1").decode(new Uint8Array(buffer, 0, start));
  const shape = /'shape':\s*\(([^)]*)\)/.exec(header)?.[1].split(",").map(Number);
  if (!header.includes("|u1") || !shape) throw new Error("The response is not an array of images.");
  const [count, height, width, channels] = shape;
  const bytes = new Uint8Array(buffer, start);
  const size = height * width;
  return Array.from({ length: count }, (_, n) => {
    const rgba = new Uint8ClampedArray(size * 4).fill(255);
    for (let i = 0, at = n * size * channels; i < size; i++, at += channels) {
      rgba[4 * i] = bytes[at];
      rgba[4 * i + 1] = bytes[channels > 1 ? at + 1 : at];
      rgba[4 * i + 2] = bytes[channels > 1 ? at + 2 : at];
      if (channels === 4) rgba[4 * i + 3] = bytes[at + 3];
    }
    return new ImageData(rgba, width, height);
  });
}

/**
 * Returns the files of a .zip response in order. The service stores them uncompressed, with their sizes in the local headers.
 * @param {ArrayBuffer} buffer
 * @param {string} type of each file
 * @returns {Blob[]}
 */
export function entriesOf(buffer, type) {
  const view = new DataView(buffer);
  const entries = [];
  for (let at = 0; view.getUint32(at, true) === 0x04034b50; ) {
    const start = at + 30 + view.getUint16(at + 26, true) + view.getUint16(at + 28, true);
    at = start + view.getUint32(at + 18, true);
    entries.push(new Blob([buffer.slice(start, at)], { type }));
  }
  return entries;
}

/**
 * Returns the file name in a response.
 * @param {Response} response
 */
export function fileName(response) {
  return /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") || "")?.[1] || "image";
}

/** @param {Response} response @param {string} requestId */
async function problemOf(response, requestId) {
  const id = response.headers.get("X-Request-ID") || response.headers.get("X-BentoML-Request-ID") || requestId;
  const fallback = { title: `Error ${response.status}`, detail: response.statusText, status: response.status };
  return new Problem(await response.json().catch(() => fallback), id);
}

function newId() {
  // Not randomUUID: it exists only on https and localhost, and a phone often uses neither.
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {number} milliseconds @param {AbortSignal} [signal] @returns {Promise<void>} */
function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
