/** The page at /docs: Swagger UI over the service's OpenAPI document. It asks for an API key like the studio. */

import { call } from "./api.js";
import { askForKey, keyHeaders } from "./keys.js";
import { tell } from "./notices.js";

/** @typedef {import("./card.js").Model} Model */

/** The colours follow the user's system. Swagger UI has a class for dark ones. */
const dark = matchMedia("(prefers-color-scheme: dark)");
const colour = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", colour);

/** Returns the served models, or none if the service needs a key that the page does not have yet. @returns {Promise<Model[]>} */
async function served() {
  const response = await fetch("./v1/models", { headers: keyHeaders() });
  return response.ok ? (await response.json()).models : [];
}

/**
 * Fills the forms with values that the service accepts. Swagger UI would fill every field, and fields exclude each other.
 * @param {any} document
 * @param {Model[]} models
 */
function giveExamples(document, models) {
  /** @param {string} route @param {string} type */
  const body = (route, type) => document.paths[route].post.requestBody.content[type];
  const generator = models.find(({ card }) => card.kind === "generator")?.card;
  const stylizer = models.find(({ card }) => card.kind === "stylizer")?.card;
  const named = generator ? { model: generator.name } : {};
  body("/v1/sample", "application/json").example = { ...named, n: 16, seed: 7, format: "png" };
  body("/v1/interpolate", "application/json").example = { ...named, seeds: [7, 8], steps: 24, format: "webp" };
  const fields = body("/v1/stylize", "multipart/form-data").schema.properties;
  if (stylizer) Object.assign(fields.model, { example: stylizer.name });
  if (stylizer?.styles) Object.assign(fields.style, { example: stylizer.styles[0].name });
}

async function start() {
  colour();
  const [spec, models] = await Promise.all([call("./docs.json").then((response) => response.json()), served()]);
  giveExamples(spec, models);
  spec.servers = [{ url: new URL(".", location.href).href.replace(/\/$/, "") }];
  // @ts-ignore swagger-ui-bundle.js is a plain script, which defines this name.
  SwaggerUIBundle({
    spec,
    dom_id: "#api",
    validatorUrl: null, // no badge of validator.swagger.io
    deepLinking: true,
    tryItOutEnabled: true,
    displayRequestDuration: true,
    defaultModelsExpandDepth: 0,
    requestInterceptor: (/** @type {{headers: object}} */ request) => {
      Object.assign(request.headers, keyHeaders());
      return request;
    },
    responseInterceptor: async (/** @type {{status: number}} */ response) => {
      if (response.status === 401) await askForKey(keyHeaders());
      return response;
    },
  });
}

start().catch((error) => tell("start", error));
