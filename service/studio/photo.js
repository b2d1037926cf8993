/** Reads the user's photo: small copies for the previews, the file itself for the download. */

/**
 * @typedef {{name: string, file: Blob, preview: Blob, small: Blob, aspect: number, isRead: boolean}} Photo
 * `file` goes to the service; `preview` and `small` are small copies; `aspect` is width over height; `isRead` is false if
 * the browser cannot read the photo.
 */

/**
 * Reads a photo. If the browser cannot read it, it goes to the service unchanged, which reads it or says what is wrong.
 * @param {File} file
 * @param {{previewSide: number, smallSide: number, maxSide: number, types: string[]}} options sides in pixels; `types` are the
 *   media types that the service reads
 * @returns {Promise<Photo>}
 */
export async function readPhoto(file, { previewSide, smallSide, maxSide, types }) {
  const name = file.name || "photo";
  const bitmap = await createImageBitmap(file).catch(() => null); // applies the EXIF orientation
  if (!bitmap) return { name, file, preview: file, small: file, aspect: 1.5, isRead: false };
  const aspect = bitmap.width / bitmap.height;
  const preview = await shrink(bitmap, previewSide);
  const small = await shrink(bitmap, smallSide);
  const readable = types.includes(file.type);
  const whole = readable ? file : await shrink(bitmap, maxSide); // such as HEIC from a phone
  bitmap.close();
  return { name: readable ? name : `${name}.jpg`, file: whole, preview, small, aspect, isRead: true };
}

/** @param {ImageBitmap} bitmap @param {number} side @returns {Promise<Blob>} a JPEG */
async function shrink(bitmap, side) {
  const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.fillStyle = "white"; // behind transparent pixels, as in the service
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("The photo cannot be shrunk."))), "image/jpeg", 0.92);
  });
}
