/** A photo of the user's: small copies for what is only looked at, the file itself for the download. */

const READ_BY_THE_SERVICE = ["image/jpeg", "image/png", "image/webp"];

/**
 * @typedef {{name: string, file: Blob, preview: Blob, small: Blob, aspect: number, isRead: boolean}} Photo
 * `file` is what the service can read; `preview` and `small` are small copies; `aspect` is width over height; `isRead` is
 * false where the browser could not read it.
 */

/**
 * Read a photo. What the browser cannot read stays as it is: the service may, or says what it is not.
 * @param {File} file
 * @param {{previewSide: number, smallSide: number, maxSide: number}} sides
 * @returns {Promise<Photo>}
 */
export async function readPhoto(file, { previewSide, smallSide, maxSide }) {
  const name = file.name || "photo";
  const bitmap = await createImageBitmap(file).catch(() => null); // turned as its EXIF says
  if (!bitmap) return { name, file, preview: file, small: file, aspect: 1.5, isRead: false };
  const aspect = bitmap.width / bitmap.height;
  const preview = await shrunk(bitmap, previewSide);
  const small = await shrunk(bitmap, smallSide);
  const readable = READ_BY_THE_SERVICE.includes(file.type);
  const whole = readable ? file : await shrunk(bitmap, maxSide); // a phone's HEIC, say
  bitmap.close();
  return { name: readable ? name : `${name}.jpg`, file: whole, preview, small, aspect, isRead: true };
}

/** @param {ImageBitmap} bitmap @param {number} side @returns {Promise<Blob>} a JPEG */
async function shrunk(bitmap, side) {
  const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.fillStyle = "white"; // under what is transparent, as the service has it
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the photo cannot be shrunk"))), "image/jpeg", 0.92);
  });
}
