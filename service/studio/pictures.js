/** Pictures that are wanted now: loaded a few at a time, kept, and given up when they are no longer wanted. */

/** @typedef {(url: string, index: number) => void} Shown */

export class Pictures {
  /**
   * @param {(key: string, signal: AbortSignal) => Promise<Blob>} load
   * @param {{parallel: number, kept: number, failed: (error: unknown) => void}} options
   */
  constructor(load, { parallel, kept, failed }) {
    this.load = load;
    this.parallel = parallel;
    this.kept = kept;
    this.failed = failed;
    /** @type {Map<string, string>} */
    this.urls = new Map();
    /** @type {Map<string, AbortController>} */
    this.running = new Map();
    /** @type {string[]} */
    this.wanted = [];
    /** Whether one of the wanted has failed: the others are not tried, so that one problem is told once. */
    this.stopped = false;
    /** @type {Shown} */
    this.shown = () => {};
  }

  /**
   * Say which pictures are wanted, in their order; `shown` gets each as soon as it is there, at once if it was kept.
   * @param {string[]} keys
   * @param {Shown} shown
   */
  want(keys, shown) {
    this.wanted = keys;
    this.shown = shown;
    this.stopped = false;
    for (const [key, controller] of this.running) if (!keys.includes(key)) controller.abort();
    keys.forEach((key, index) => {
      const url = this.urls.get(key);
      if (url) this.keep(key, url), shown(url, index);
    });
    this.next();
  }

  /** How many of the wanted ones are still to come. */
  get missing() {
    return this.wanted.filter((key) => !this.urls.has(key)).length;
  }

  next() {
    for (const key of this.wanted) {
      if (this.stopped || this.running.size >= this.parallel) return;
      if (!this.urls.has(key) && !this.running.has(key)) this.start(key);
    }
  }

  /** @param {string} key */
  async start(key) {
    const controller = new AbortController();
    this.running.set(key, controller);
    try {
      const url = URL.createObjectURL(await this.load(key, controller.signal));
      this.keep(key, url);
      this.running.delete(key);
      this.wanted.forEach((wanted, index) => wanted === key && this.shown(url, index));
    } catch (error) {
      this.running.delete(key);
      if (!controller.signal.aborted) {
        this.stopped = true;
        this.failed(error);
      }
    }
    this.next();
  }

  /** @param {string} key @param {string} url */
  keep(key, url) {
    this.urls.delete(key);
    this.urls.set(key, url); // the newest last
    for (const [old, oldUrl] of this.urls) {
      if (this.urls.size <= this.kept) break;
      if (this.wanted.includes(old)) continue;
      URL.revokeObjectURL(oldUrl);
      this.urls.delete(old);
    }
  }
}
