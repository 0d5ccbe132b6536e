// The HTTP interface, as the page uses it. Every failure becomes a Trouble with a readable message.

import { say } from "./words.js";

export class Trouble extends Error {
  constructor(message, { code = "", field = null } = {}) {
    super(message);
    this.code = code;
    this.field = field;
  }
}

export const search = (request, signal) => post("/v1/search", request, signal);
export const facets = () => call("/v1/facets").then((body) => body.facets);
export const similar = (id, limit, signal) => call(`/v1/products/${path(id)}/similar?limit=${limit}`, { signal });
export const product = (id) => call(`/v1/products/${path(id)}`);
export const explain = (text, id) => post("/v1/explain", { text, product_id: id });
export const suggest = (text, signal) => call(`/v1/suggest?q=${encodeURIComponent(text.slice(0, 200))}`, { signal }).then((body) => body.suggestions);
export const ready = () => call("/readyz");
export const imageUrl = (id) => `/v1/products/${path(id)}/image`;

/** The product's first picture as base64. */
export async function imageOf(id) {
  const answer = await reach(imageUrl(id));
  if (!answer.ok) throw await trouble(answer);
  return base64(await answer.blob());
}

/** A picture file as base64: as it is if it is small and common, else scaled down by the browser. */
export async function encode(file) {
  const common = /^image\/(jpeg|png|webp|gif)$/.test(file.type);
  if (common && file.size < 1_500_000) return base64(file);
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Trouble(`${file.name || "the file"} is not a picture that this browser can read`);
  }
  const scale = Math.min(1, 1024 / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return base64(await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92)));
}

const post = (url, body, signal) =>
  call(url, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal });

async function call(url, options) {
  const answer = await reach(url, options);
  if (!answer.ok) throw await trouble(answer);
  return answer.json();
}

async function reach(url, options) {
  try {
    return await fetch(url, options);
  } catch (problem) {
    if (problem.name === "AbortError") throw problem;
    throw new Trouble(say("The service does not answer. Is it running?"), { code: "unreachable" });
  }
}

async function trouble(answer) {
  let error = null;
  try {
    error = (await answer.json()).error;
  } catch { /* a proxy's own page: the status has to do */ }
  return new Trouble(error?.message || `The service answered ${answer.status} ${answer.statusText}`, error || {});
}

// A product id may hold slashes; each piece is escaped by itself.
const path = (id) => id.split("/").map(encodeURIComponent).join("/");

function base64(blob) {
  return new Promise((done, fail) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => fail(new Trouble("The picture could not be read"));
    reader.readAsDataURL(blob);
  });
}
