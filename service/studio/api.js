/** The public API of the service, as any other caller has it. */

import { askForKey, keyHeaders } from "./keys.js";

const PATIENCE = 4; // times that a full queue is asked again

/** What went wrong, in the service's words. */
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
 * Ask the service.
 * @param {string} path relative to the page
 * @param {{json?: object, form?: FormData, signal?: AbortSignal}} [options] a body makes it a POST
 * @returns {Promise<Response>} a successful one
 * @throws {Problem} what the service says is wrong, or that it does not answer
 */
export async function call(path, { json, form, signal } = {}) {
  const requestId = newId();
  /** @type {Record<string, string>} */
  const named = { "X-Request-ID": requestId };
  if (json) named["Content-Type"] = "application/json";
  const init = { method: json || form ? "POST" : "GET", body: json ? JSON.stringify(json) : form, signal };
  for (let attempt = 1; ; attempt++) {
    const headers = { ...named, ...keyHeaders() };
    const response = await fetch(path, { ...init, headers }).catch((error) => {
      if (signal?.aborted) throw error;
      throw new Problem({ title: "No answer", detail: "The service does not answer. Does it still run?" }, requestId);
    });
    if (response.ok) return response;
    if (response.status === 401 && (await askForKey(headers))) continue;
    if ((response.status !== 429 && response.status !== 503) || attempt > PATIENCE) throw await problemOf(response, requestId);
    await pause(Math.min(Number(response.headers.get("Retry-After")) || 1, 10) * 1000 * (0.5 + Math.random()), signal);
  }
}

/**
 * The routes' bounds, from the OpenAPI document.
 * @returns {Promise<{maxSide: number, maxSeeds: number}>}
 */
export async function bounds() {
  const document = await (await call("./docs.json")).json();
  /** @param {string} route @param {string} type */
  const fields = (route, type) => document.paths[route].post.requestBody.content[type].schema.properties;
  return {
    maxSide: fields("/v1/stylize", "multipart/form-data").max_side.maximum,
    maxSeeds: fields("/v1/sample", "application/json").seeds.maxItems,
  };
}

/**
 * The pictures in a .npy answer, as the walk shows them.
 * @param {ArrayBuffer} buffer of uint8 [n, h, w, c]
 * @returns {ImageData[]}
 */
export function framesOf(buffer) {
  const view = new DataView(buffer);
  const wide = view.getUint8(6) > 1;
  const start = (wide ? 12 : 10) + (wide ? view.getUint32(8, true) : view.getUint16(8, true));
  const header = new TextDecoder("latin1").decode(new Uint8Array(buffer, 0, start));
  const shape = /'shape':\s*\(([^)]*)\)/.exec(header)?.[1].split(",").map(Number);
  if (!header.includes("|u1") || !shape) throw new Error("this is no array of pictures");
  const [count, height, width, channels] = shape;
  const bytes = new Uint8Array(buffer, start);
  const size = height * width;
  return Array.from({ length: count }, (_, n) => {
    const rgba = new Uint8ClampedArray(size * 4).fill(255);
    for (let i = 0, at = n * size * channels; i < size; i++, at += channels) {
      rgba[4 * i] = bytes[at];
      rgba[4 * i + 1] = bytes[channels === 3 ? at + 1 : at];
      rgba[4 * i + 2] = bytes[channels === 3 ? at + 2 : at];
    }
    return new ImageData(rgba, width, height);
  });
}

/**
 * The files of a .zip answer, in their order; the service stores them as they are, their sizes before them.
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
 * The name that the service gives a file.
 * @param {Response} response
 */
export function fileName(response) {
  return /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") || "")?.[1] || "picture";
}

/** @param {Response} response @param {string} sent */
async function problemOf(response, sent) {
  const id = response.headers.get("X-Request-ID") || response.headers.get("X-BentoML-Request-ID") || sent;
  const fallback = { title: `Error ${response.status}`, detail: response.statusText, status: response.status };
  return new Problem(await response.json().catch(() => fallback), id);
}

function newId() {
  // randomUUID is there on https and localhost only, and a phone sees neither.
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
