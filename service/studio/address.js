/** Keeps the user's choices in the page's address, so that the page can be reloaded, bookmarked and shared. */

const fields = new URLSearchParams(location.search);

/**
 * Returns a text from the address.
 * @param {string} name
 * @param {string} otherwise
 */
export const text = (name, otherwise) => fields.get(name) ?? otherwise;

/**
 * Returns a number from the address if it is `min` to `max`.
 * @param {string} name
 * @param {number} otherwise
 * @param {number} max
 * @param {number} [min]
 */
export function number(name, otherwise, max, min = 0) {
  const value = Number(fields.get(name) ?? NaN);
  return value >= min && value <= max ? value : otherwise;
}

let timer = 0;
const address = () => `?${fields}${location.hash}`;

/**
 * Writes choices into a new entry of the history. The previous entry keeps the previous choices.
 * @param {Record<string, string>} choices
 */
export function visit(choices) {
  clearTimeout(timer);
  history.replaceState(null, "", address());
  for (const [name, value] of Object.entries(choices)) fields.set(name, value);
  history.pushState(null, "", address());
}

/**
 * Writes choices into the address when they have not changed for a moment: browsers reject a hundred changes per second.
 * @param {Record<string, string | number | null>} choices null removes a choice
 */
export function keep(choices) {
  for (const [name, value] of Object.entries(choices)) {
    if (value === null) fields.delete(name);
    else fields.set(name, String(value));
  }
  clearTimeout(timer);
  timer = setTimeout(() => history.replaceState(null, "", address()), 300);
}
