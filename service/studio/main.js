/** The studio's entry: lists the served models and shows a view for each kind of model. */

import { keep, text, visit } from "./address.js";
import { Problem, bounds, call } from "./api.js";
import { find, make } from "./dom.js";
import { takePhotos } from "./intake.js";
import { tell } from "./notices.js";
import { Sampling } from "./sample.js";
import { Stylizing } from "./stylize.js";

/** @typedef {import("./card.js").Model} Model */

const VIEWS = ["sample", "stylize"];

/** @type {Sampling | undefined} */
let sampling;

/** @param {string} wanted */
function show(wanted) {
  for (const name of VIEWS) find(`#${name}`).hidden = name !== wanted;
  if (wanted === "sample") sampling?.open();
  for (const link of find("#views").querySelectorAll("a")) {
    if (link.dataset.view === wanted) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  keep({ view: wanted });
}

/** Shows a view, so that the browser's Back button returns to the previous view. @param {string} wanted */
function go(wanted) {
  if (find(`#${wanted}`).hidden) visit({ view: wanted });
  show(wanted);
}

/**
 * Shows radio buttons for the models of one kind, unless there is only one model.
 * @param {string} view
 * @param {Model[]} models
 * @param {{model: Model, choose: (model: Model) => void}} studio
 */
function chooser(view, models, studio) {
  const field = find(`#${view} .models`);
  field.hidden = models.length < 2;
  find(".choices", field).replaceChildren(
    ...models.map((model) => {
      const { name, title } = model.card;
      const input = make("input", { type: "radio", name: `${view}-model`, value: name, checked: model === studio.model });
      input.addEventListener("change", () => studio.choose(model));
      const preview = make("img", { alt: "", width: 44, height: 44 });
      call(`./v1/models/${name}/preview.png`)
        .then((response) => response.blob())
        .then((blob) => preview.setAttribute("src", URL.createObjectURL(blob)))
        .catch(() => preview.remove()); // the stylizer has no thumbnails
      return make("label", { class: "choice" }, input, preview, make("span", {}, title));
    }),
  );
}

/** Returns the view that an address without a view means: the view whose choices it has. */
function meant() {
  return ["style", "stylizer", "second"].some((name) => text(name, "")) ? "stylize" : "sample";
}

async function start() {
  const [listed, limits] = await Promise.all([call("./v1/models").then((response) => response.json()), bounds()]);
  /** @type {Model[]} */
  const models = listed.models;
  const generators = models.filter((model) => model.card.kind === "generator");
  const stylizers = models.filter((model) => model.card.kind === "stylizer");
  for (const { file, reason } of listed.refused) tell(file, new Problem({ title: `${file} is not served`, detail: `The reason: ${reason}` }, ""));
  find("#loading").remove();
  find("#none").hidden = models.length > 0;
  const asked = text("view", "") || meant(); // before the views write their choices into the address
  const views = [...(generators.length ? ["sample"] : []), ...(stylizers.length ? ["stylize"] : [])];
  find("#unknown").hidden = !models.length || views.length > 0;
  if (!views.length) return;
  if (generators.length) {
    sampling = new Sampling(generators, limits);
    chooser("sample", generators, sampling);
  }
  if (stylizers.length) {
    const stylizing = new Stylizing(stylizers, limits);
    chooser("stylize", stylizers, stylizing);
    takePhotos((files) => {
      go("stylize");
      stylizing.take(files);
    });
  }
  const nav = find("#views");
  nav.hidden = views.length < 2;
  nav.addEventListener("click", (event) => {
    const view = /** @type {HTMLElement} */ (event.target).dataset.view;
    if (!view || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return; // the link opens in a new tab or window
    event.preventDefault();
    go(view);
  });
  const known = (/** @type {string | null} */ view) => (view && views.includes(view) ? view : views[0]);
  // The Back button changes the view. The choices in each view stay.
  addEventListener("popstate", () => show(known(new URLSearchParams(location.search).get("view"))));
  show(known(asked));
}

start().catch((error) => {
  find("#loading").remove();
  tell("start", error);
});
