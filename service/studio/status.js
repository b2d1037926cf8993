/** Counts the images that are still loading, visibly. A screen reader hears one message, when all are loaded. */

import { find } from "./dom.js";

const REST_MS = 500; // nothing is announced while a slider still moves

export class Status {
  /**
   * @param {string} name of the elements `NAME-count`, which screen readers skip, and `NAME-message`, which they announce
   * @param {() => string} finished returns the message when all images are loaded
   */
  constructor(name, finished) {
    this.count = find(`#${name}-count`);
    this.message = find(`#${name}-message`);
    this.finished = finished;
    this.timer = 0;
  }

  /** @param {number} missing images that are not loaded */
  show(missing) {
    this.clear();
    if (missing) this.count.textContent = `${missing} loading`;
    else this.timer = setTimeout(() => (this.message.textContent = this.finished()), REST_MS);
  }

  /** Removes the message, because an error is shown elsewhere. */
  clear() {
    clearTimeout(this.timer);
    this.count.textContent = "";
    this.message.textContent = ""; // so that the same message is announced again
  }
}
