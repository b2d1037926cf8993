/** The API key, if the service needs one. The page asks for it once and keeps it while the tab is open. */

import { find } from "./dom.js";

const NAME = "ganvas-api-key";

let key = sessionStorage.getItem(NAME) ?? "";

/** @type {Promise<boolean> | undefined} */
let asking;

/** Returns the headers that carry the key. @returns {Record<string, string>} */
export const keyHeaders = () => (key ? { Authorization: `Bearer ${key}` } : {});

/**
 * Asks for a key after a request was rejected. Concurrent requests share one dialog.
 * @param {Record<string, string>} rejected the headers of the request
 * @returns {Promise<boolean>} whether there is another key to try
 */
export async function askForKey(rejected) {
  if ((keyHeaders().Authorization ?? "") !== (rejected.Authorization ?? "")) return true; // another request has asked already
  asking ??= showDialog().finally(() => (asking = undefined));
  return asking;
}

/** @returns {Promise<boolean>} */
function showDialog() {
  /** @type {HTMLDialogElement} */
  const dialog = find("#key-dialog");
  /** @type {HTMLInputElement} */
  const input = find("#key");
  find("#key-wrong").textContent = key ? "The service rejected this key." : "";
  dialog.showModal();
  return new Promise((resolve) => {
    const submit = (/** @type {Event} */ event) => {
      event.preventDefault();
      key = input.value.trim();
      sessionStorage.setItem(NAME, key);
      input.value = "";
      close(true);
    };
    const cancel = () => close(false);
    const close = (/** @type {boolean} */ another) => {
      dialog.removeEventListener("submit", submit);
      dialog.removeEventListener("cancel", cancel);
      dialog.close();
      resolve(another);
    };
    dialog.addEventListener("submit", submit);
    dialog.addEventListener("cancel", cancel);
  });
}
