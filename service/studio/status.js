/** How many pictures are to come: counted for the eye as they come, said to a screen reader once, when all are there. */

import { find } from "./dom.js";

const REST_MS = 500; // in which nothing changes: a slider that moves on is not talked over

export class Status {
  /**
   * @param {string} name of the elements `NAME-count`, which readers do not see, and `NAME-said`, which is announced
   * @param {() => string} ended what is said when all pictures are there
   */
  constructor(name, ended) {
    this.count = find(`#${name}-count`);
    this.said = find(`#${name}-said`);
    this.ended = ended;
    this.timer = 0;
  }

  /** @param {number} missing pictures that are to come */
  show(missing) {
    this.clear();
    if (missing) this.count.textContent = `${missing} to come`;
    else this.timer = setTimeout(() => (this.said.textContent = this.ended()), REST_MS);
  }

  /** Say nothing: what is to be said is an error, and said elsewhere. */
  clear() {
    clearTimeout(this.timer);
    this.count.textContent = "";
    this.said.textContent = ""; // the same words again are a change, and announced
  }
}
