/** What is chosen, in the page's address: it can be reloaded, kept and sent to others. */

const fields = new URLSearchParams(location.search);

/**
 * A text of the address.
 * @param {string} name
 * @param {string} otherwise
 */
export const text = (name, otherwise) => fields.get(name) ?? otherwise;

/**
 * A number of the address that is within its bounds.
 * @param {string} name
 * @param {number} otherwise
 * @param {number} max
 */
export function number(name, otherwise, max) {
  const value = Number(fields.get(name) ?? NaN);
  return value >= 0 && value <= max ? value : otherwise;
}

let timer = 0;
const address = () => `?${fields}${location.hash}`;

/**
 * Write choices into an entry of the history of their own; those before stay in the last one.
 * @param {Record<string, string>} choices
 */
export function visit(choices) {
  clearTimeout(timer);
  history.replaceState(null, "", address());
  for (const [name, value] of Object.entries(choices)) fields.set(name, value);
  history.pushState(null, "", address());
}

/**
 * Write choices into the address, once they rest: browsers refuse a hundred changes a second.
 * @param {Record<string, string | number | null>} choices null takes one out
 */
export function keep(choices) {
  for (const [name, value] of Object.entries(choices)) {
    if (value === null) fields.delete(name);
    else fields.set(name, String(value));
  }
  clearTimeout(timer);
  timer = setTimeout(() => history.replaceState(null, "", address()), 300);
}
