/** The API key, where the service wants one: asked for once, kept while the tab is open, and shown to nobody. */

import { find } from "./dom.js";

const NAME = "ganvas-api-key";

let key = sessionStorage.getItem(NAME) ?? "";

/** @type {Promise<boolean> | undefined} */
let asking;

/** What a request brings along. @returns {Record<string, string>} */
export const keyHeaders = () => (key ? { Authorization: `Bearer ${key}` } : {});

/**
 * Ask for a key, after one or none was refused; all who ask meanwhile share the answer.
 * @param {Record<string, string>} refused the headers that were sent
 * @returns {Promise<boolean>} whether there is another key to try
 */
export async function askForKey(refused) {
  if ((keyHeaders().Authorization ?? "") !== (refused.Authorization ?? "")) return true; // another has asked already
  asking ??= shown().finally(() => (asking = undefined));
  return asking;
}

/** @returns {Promise<boolean>} */
function shown() {
  /** @type {HTMLDialogElement} */
  const dialog = find("#key-dialog");
  /** @type {HTMLInputElement} */
  const input = find("#key");
  find("#key-wrong").textContent = key ? "The service does not know this key." : "";
  dialog.showModal();
  return new Promise((resolve) => {
    const given = (/** @type {Event} */ event) => {
      event.preventDefault();
      key = input.value.trim();
      sessionStorage.setItem(NAME, key);
      input.value = "";
      close(true);
    };
    const left = () => close(false);
    const close = (/** @type {boolean} */ another) => {
      dialog.removeEventListener("submit", given);
      dialog.removeEventListener("cancel", left);
      dialog.close();
      resolve(another);
    };
    dialog.addEventListener("submit", given);
    dialog.addEventListener("cancel", left);
  });
}
