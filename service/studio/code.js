/** "Copy as curl / Python": commands that make what the page shows. */

import { make } from "./dom.js";
import { keyHeaders } from "./keys.js";

/** @typedef {Record<string, string | number | boolean | number[]>} Fields */
/** @typedef {{curl: string, python: string}} Snippets */

const LANGUAGES = /** @type {const} */ ({ curl: "curl", python: "Python" });
const base = new URL(".", location.href).href.replace(/\/$/, "");

/**
 * Describes a call with a JSON body whose response is saved to a file.
 * @param {"sample" | "interpolate"} route
 * @param {Fields} fields
 * @param {string} file
 * @returns {Snippets}
 */
export function jsonCall(route, fields, file) {
  return {
    curl: [
      `curl --fail-with-body -sS ${base}/v1/${route}`,
      ...key(),
      `-H 'Content-Type: application/json'`,
      `-d ${quoted(JSON.stringify(fields))}`,
      `-o ${quoted(file)}`,
    ].join(" \\\n  "),
    python: python(route, named(fields), file),
  };
}

/**
 * Describes a call that uploads a photo.
 * @param {string} photo
 * @param {Fields} fields
 * @param {string} file
 * @returns {Snippets}
 */
export function photoCall(photo, fields, file) {
  const parts = Object.entries(fields).map(([name, value]) => `-F ${quoted(`${name}=${value}`)}`);
  // In -F, curl needs double quotes around a name with commas or semicolons.
  const source = /[,;"\\]/.test(photo) ? `"${photo.replace(/["\\]/g, "\\$&")}"` : photo;
  return {
    curl: [`curl --fail-with-body -sS ${base}/v1/stylize`, ...key(), `-F ${quoted(`image=@${source}`)}`, ...parts, `-o ${quoted(file)}`].join(" \\\n  "),
    python: python("stylize", [JSON.stringify(photo), ...named(fields)], file),
  };
}

/** The command names a variable and does not show the key. `ganvas.Client` reads the same variable. */
const key = () => (keyHeaders().Authorization ? [`-H "Authorization: Bearer $GANVAS_API_KEY"`] : []);

/** @param {string} method @param {string[]} given @param {string} file */
function python(method, given, file) {
  return [
    "import ganvas",
    "",
    `with ganvas.Client(${JSON.stringify(base)}) as client:`,
    `    images = client.${method}(\n        ${given.join(",\n        ")},\n    )`,
    `    images.save(${JSON.stringify(file)})`,
  ].join("\n");
}

/** @param {Fields} fields */
const named = (fields) =>
  Object.entries(fields).map(([name, value]) => `${name === "class" ? "class_" : name}=${typeof value === "boolean" ? (value ? "True" : "False") : JSON.stringify(value)}`);

/** Quotes a word for a shell. @param {string} text */
const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

/** The panel that shows the snippets. */
export class CodePanel {
  /**
   * @param {HTMLElement} panel
   * @param {string[]} subjects what the code makes; the code of the first is shown
   */
  constructor(panel, subjects) {
    this.subject = subjects[0];
    /** @type {keyof Snippets} */
    this.language = "curl";
    /** @type {Record<string, Snippets>} */
    this.snippets = {};
    this.code = make("code");
    const text = make("pre", { tabindex: 0, role: "region", "aria-label": "Code" }, this.code);
    const copy = make("button", { type: "button" }, "Copy");
    const message = make("span", { class: "status", role: "status" });
    copy.addEventListener("click", async () => {
      const done = await copied(this.code);
      message.textContent = done ? "Copied" : "Select the text and copy it yourself";
      setTimeout(() => (message.textContent = ""), 4000);
    });
    const name = panel.id;
    const choose = subjects.length > 1 && switcher(`${name}-subject`, "What", subjects, (subject) => this.show({ subject }));
    const languages = switcher(`${name}-language`, "Language", Object.values(LANGUAGES), (label) =>
      this.show({ language: label === LANGUAGES.curl ? "curl" : "python" }),
    );
    const head = make("div", { class: "panel-head" }, make("h2", {}, "Copy as"), languages);
    panel.replaceChildren(head, ...(choose ? [choose] : []), text, make("div", { class: "buttons" }, copy, message));
  }

  /** @param {string} subject @param {Snippets} snippets */
  set(subject, snippets) {
    this.snippets[subject] = snippets;
    this.show({});
  }

  /** @param {{subject?: string, language?: keyof Snippets}} choice */
  show({ subject = this.subject, language = this.language }) {
    this.subject = subject;
    this.language = language;
    this.code.textContent = this.snippets[subject]?.[language] ?? "";
  }
}

/**
 * Makes radio buttons in one row.
 * @param {string} name
 * @param {string} label
 * @param {string[]} options the first is selected
 * @param {(option: string) => void} chosen
 */
function switcher(name, label, options, chosen) {
  const row = make("div", { class: "switch", role: "radiogroup", "aria-label": label });
  for (const option of options) {
    const input = make("input", { type: "radio", name, value: option, checked: option === options[0] });
    input.addEventListener("change", () => chosen(option));
    row.append(make("label", {}, input, make("span", {}, option)));
  }
  return row;
}

/** Copies the text of an element, even if the page is not on https. @param {HTMLElement} element */
async function copied(element) {
  try {
    await navigator.clipboard.writeText(element.textContent ?? "");
    return true;
  } catch {
    getSelection()?.selectAllChildren(element);
    return document.execCommand("copy");
  }
}
