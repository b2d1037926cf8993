/** Where photos come from: the file dialog, the drop area, the clipboard, and the examples. */

import { find } from "./dom.js";
import { settle, tell } from "./notices.js";

/**
 * Passes on all photos that the user gives anywhere on the page.
 * @param {(files: File[]) => void} take called with one file or several
 */
export function takePhotos(take) {
  /** @param {FileList | undefined} files */
  const given = (files) => {
    if (files?.length) take([...files]);
  };
  const input = /** @type {HTMLInputElement} */ (find("#photo"));
  input.addEventListener("change", () => {
    given(input.files ?? undefined);
    input.value = ""; // so that the same file can be chosen again
  });
  find("#invitation").addEventListener("click", () => input.click());
  for (const button of find("#examples").querySelectorAll("button")) {
    button.addEventListener("click", () => example(button.value, take));
  }
  addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dragging");
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dragging");
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dragging");
    given(event.dataTransfer?.files);
  });
  addEventListener("paste", (event) => given(event.clipboardData?.files));
}

/** @param {string} name of a file in examples/ @param {(files: File[]) => void} take */
async function example(name, take) {
  try {
    const response = await fetch(`./studio/examples/${name}`);
    if (!response.ok) throw new Error(`${name} cannot be loaded.`);
    take([new File([await response.blob()], name, { type: "image/jpeg" })]);
    settle("example");
  } catch (error) {
    tell("example", error);
  }
}
