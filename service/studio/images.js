/** Loads the images that are needed now, a few at a time. Keeps them, and aborts requests for images that are no longer needed. */

/** @typedef {(url: string, index: number) => void} Shown */

export class ImageLoader {
  /**
   * @param {(keys: string[], signal: AbortSignal) => Promise<Blob[]>} load
   * @param {{parallel: number, together: number, kept: number, failed: (error: unknown) => void}} options `parallel` requests at
   *   a time for `together` keys each; at most `kept` images stay in memory
   */
  constructor(load, { parallel, together, kept, failed }) {
    this.load = load;
    this.parallel = parallel;
    this.together = together;
    this.kept = kept;
    this.failed = failed;
    /** @type {Map<string, string>} */
    this.urls = new Map();
    /** @type {Map<string, Blob>} */
    this.blobs = new Map();
    /** @type {Set<{keys: string[], controller: AbortController}>} */
    this.running = new Set();
    /** @type {string[]} */
    this.wanted = [];
    /** Whether an image has failed. The others are then not loaded, so that one problem is shown once. */
    this.stopped = false;
    /** @type {Shown} */
    this.shown = () => {};
  }

  /**
   * Sets which images are needed, in order. Calls `shown` with each one when it is loaded, immediately if it was kept.
   * @param {string[]} keys
   * @param {Shown} shown
   */
  want(keys, shown) {
    this.wanted = keys;
    this.shown = shown;
    this.stopped = false;
    for (const { keys: asked, controller } of this.running) if (!asked.some((key) => keys.includes(key))) controller.abort();
    keys.forEach((key, index) => {
      const url = this.urls.get(key);
      if (url) this.keep(key, url), shown(url, index);
    });
    this.next();
  }

  /** Number of needed images that are not loaded. */
  get missing() {
    return this.wanted.filter((key) => !this.urls.has(key)).length;
  }

  next() {
    if (this.stopped) return;
    const loading = new Set([...this.running].flatMap(({ keys }) => keys));
    const due = [...new Set(this.wanted)].filter((key) => !this.urls.has(key) && !loading.has(key));
    while (due.length && this.running.size < this.parallel) this.start(due.splice(0, this.together));
  }

  /** @param {string[]} keys */
  async start(keys) {
    const controller = new AbortController();
    const load = { keys, controller };
    this.running.add(load);
    try {
      const blobs = await this.load(keys, controller.signal);
      this.running.delete(load);
      keys.forEach((key, i) => {
        const url = URL.createObjectURL(blobs[i]);
        this.blobs.set(key, blobs[i]);
        this.keep(key, url);
        this.wanted.forEach((wanted, index) => wanted === key && this.shown(url, index));
      });
    } catch (error) {
      this.running.delete(load);
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
    this.urls.set(key, url); // the newest is last
    for (const [old, oldUrl] of this.urls) {
      if (this.urls.size <= this.kept) break;
      if (this.wanted.includes(old)) continue;
      URL.revokeObjectURL(oldUrl);
      this.urls.delete(old);
      this.blobs.delete(old);
    }
  }
}
