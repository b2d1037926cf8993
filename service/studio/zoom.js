/** Zooms and moves an image within a frame: by wheel, pinch, drag, double click and the methods. */

const STEP = 1.5;

export class Zoom {
  /**
   * @param {HTMLElement} frame
   * @param {HTMLImageElement} image positioned in the frame's top left corner
   * @param {(scale: number) => void} changed 1 shows each pixel of the image as one pixel of the page
   */
  constructor(frame, image, changed) {
    this.frame = frame;
    this.image = image;
    this.changed = changed;
    this.scale = 1;
    this.x = this.y = 0;
    /** @type {Map<number, PointerEvent>} The fingers or the mouse on the frame. */
    this.pointers = new Map();
    frame.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.by(Math.exp(-event.deltaY / 300), event);
    }, { passive: false });
    frame.addEventListener("dblclick", (event) => (this.isFit ? this.to(Math.max(1, this.fitting * 2), event) : this.fit()));
    frame.addEventListener("pointerdown", (event) => {
      frame.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, event);
    });
    frame.addEventListener("pointermove", (event) => this.drag(event));
    for (const ended of ["pointerup", "pointercancel"]) {
      frame.addEventListener(ended, (event) => this.pointers.delete(/** @type {PointerEvent} */ (event).pointerId));
    }
    new ResizeObserver(() => this.isFit && this.fit()).observe(frame);
    this.isFit = true;
  }

  /** The scale at which the whole image fills the frame. */
  get fitting() {
    const { naturalWidth: width, naturalHeight: height } = this.image;
    return width ? Math.min(this.frame.clientWidth / width, this.frame.clientHeight / height) : 1;
  }

  /** Whether a part of the image is outside of the frame. While the next image loads, the scale is still that of the last one. */
  get isCut() {
    return !this.image.hidden && !this.isFit && this.scale > this.fitting * 1.001;
  }

  fit() {
    this.to(this.fitting);
    this.isFit = true;
  }

  enlarge() {
    this.by(STEP);
  }

  reduce() {
    this.by(1 / STEP);
  }

  /** @param {number} factor @param {{clientX: number, clientY: number}} [around] the point that stays; the middle if left out */
  by(factor, around) {
    this.to(this.scale * factor, around);
  }

  /** @param {number} scale @param {{clientX: number, clientY: number}} [around] */
  to(scale, around) {
    const { left, top, width, height } = this.frame.getBoundingClientRect();
    const px = around ? around.clientX - left : width / 2;
    const py = around ? around.clientY - top : height / 2;
    const before = this.scale;
    this.scale = Math.min(Math.max(scale, Math.min(this.fitting, 1)), Math.max(8, this.fitting * 4));
    this.isFit = false;
    const ratio = this.scale / before;
    this.move(px - (px - this.x) * ratio - this.x, py - (py - this.y) * ratio - this.y);
    this.changed(this.scale);
  }

  /** Moves the image, but never out of the frame. @param {number} dx @param {number} dy */
  move(dx, dy) {
    const { clientWidth, clientHeight } = this.frame;
    this.x = held(this.x + dx, clientWidth - this.image.naturalWidth * this.scale);
    this.y = held(this.y + dy, clientHeight - this.image.naturalHeight * this.scale);
    this.image.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
  }

  /** @param {PointerEvent} event */
  drag(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const other = [...this.pointers.values()].find(({ pointerId }) => pointerId !== event.pointerId);
    this.pointers.set(event.pointerId, event);
    if (other) {
      const middle = { clientX: (event.clientX + other.clientX) / 2, clientY: (event.clientY + other.clientY) / 2 };
      this.by(distance(event, other) / Math.max(1, distance(before, other)), middle);
    } else this.move(event.clientX - before.clientX, event.clientY - before.clientY);
  }
}

/** Keeps an edge within the frame; centres an image that is smaller. @param {number} at @param {number} room */
const held = (at, room) => (room >= 0 ? room / 2 : Math.min(0, Math.max(room, at)));

/** @param {PointerEvent} a @param {PointerEvent} b */
const distance = (a, b) => Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
