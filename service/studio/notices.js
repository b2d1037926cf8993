/** Shows problems where a screen reader announces them. Each source has at most one, which is removed when the source succeeds. */

import { find, make } from "./dom.js";
import { Problem } from "./api.js";

/** @type {Map<string, HTMLElement>} */
const shown = new Map();

/**
 * Shows a problem.
 * @param {string} source the action that failed; a new problem replaces the previous problem of the same source
 * @param {unknown} error
 */
export function tell(source, error) {
  const problem = error instanceof Problem ? error : new Problem({ title: "The studio failed", detail: String(error) }, "");
  const dismiss = make("button", { type: "button", "aria-label": "Dismiss" }, "×");
  const notice = make(
    "div",
    { class: "notice" },
    make("p", {}, make("strong", {}, problem.title), problem.detail ? ` ${sentence(problem.detail)}` : null),
    problem.requestId ? make("p", { class: "hint" }, "Request ", make("code", {}, problem.requestId)) : null,
    dismiss,
  );
  dismiss.addEventListener("click", () => settle(source));
  settle(source);
  shown.set(source, notice);
  find("#notices").append(notice);
}

/** Removes the problem of a source. @param {string} source */
export function settle(source) {
  shown.get(source)?.remove();
  shown.delete(source);
}

/** @param {string} text */
const sentence = (text) => (/[.!?]$/.test(text) ? text : `${text}.`);
