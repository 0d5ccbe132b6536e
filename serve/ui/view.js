// Drawing: data in, elements out. Text is always text (textContent), never markup.

import { imageUrl } from "./api.js";
import { say } from "./words.js";

const DEGRADED = {
  rerank_fewer: "Busy: fewer products than usual were re-ordered by the second model.",
  rerank_skipped: "Busy: the second model was skipped; this is the first order.",
  rerank_unavailable: "This release has no reranker; this is the first order.",
  words_skipped: "Busy: the words were not weighed.",
  cached_answer: "Very busy: this is what the same search found a while ago.",
};

export const $ = (id) => document.getElementById(id);

/** An element with properties and children; strings become text nodes. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export function readable(name) {
  return name.replaceAll("_", " ");
}

/** One hit as a list item; `on.open(hit)` and `on.similar(hit)` are called for its two buttons. */
export function card(hit, rank, on) {
  const words = Object.values(hit.attributes).slice(0, 6).join(" · ");
  const title = hit.title
    ? make("h3", {}, hit.title)
    : make("h3", { className: "untitled" }, say("untitled"));
  const open = make(
    "button",
    { type: "button", className: "card", onclick: () => on.open(hit) },
    picture(hit), title, make("p", {}, words),
    make("span", { className: "rank", "aria-label": say("rank {0}", rank) }, `#${rank}`),
    make("span", { className: "score", title: say("score, comparable within this answer") }, hit.score.toFixed(3)),
  );
  const like = make("button", { type: "button", className: "like", onclick: () => on.similar(hit) }, say("similar"));
  like.setAttribute("aria-label", say("More like {0}", hit.title || hit.product_id));
  return make("li", {}, open, like);
}

export function waiting(count) {
  return Array.from({ length: count }, () => make("li", { className: "waiting", "aria-hidden": "true" }));
}

export function showProblem(problem) {
  const box = $("problem");
  box.hidden = !problem;
  if (!problem) return;
  const where = problem.field ? ` (${problem.field})` : "";
  box.replaceChildren(problem.message + where);
  if (problem.code) box.append(make("code", {}, problem.code));
}

export function showDegraded(notes) {
  $("degraded").hidden = !notes.length;
  $("degraded").textContent = notes.map((note) => (DEGRADED[note] ? say(DEGRADED[note]) : readable(note))).join(" ");
}

/** Milliseconds by stage, the total first. */
export function showTiming(took) {
  const stages = Object.entries(took).sort(([a], [b]) => (b === "total") - (a === "total"));
  $("timing").replaceChildren(
    ...stages.map(([stage, ms]) => make("span", {}, make("b", {}, `${ms.toFixed(1)} ms`), ` ${readable(stage)}`)),
  );
}

export function showRelease(release) {
  $("release").textContent = release.matcher
    ? `release ${release.id} · matcher ${release.matcher} · index ${release.index} · catalog ${release.catalog}`
    : `release ${release.id}`;
}

/** The filter panel: attributes that most products have come first. */
export function filterPanel(facets, isOn, toggle) {
  const covered = (values) => Object.values(values).reduce((sum, count) => sum + count, 0);
  const names = Object.keys(facets).sort((a, b) => covered(facets[b]) - covered(facets[a]));
  return names.map((name) => {
    const values = Object.entries(facets[name]).sort(([, a], [, b]) => b - a);
    const chips = values.map(([value, count]) =>
      make("button", {
        type: "button", className: "chip", onclick: () => toggle(name, value),
        "aria-pressed": String(isOn(name, value)),
      }, value, make("small", {}, String(count))));
    return make("div", { role: "group", "aria-label": readable(name) },
      make("h3", {}, readable(name)), make("div", { className: "chips" }, ...chips));
  });
}

export function fillProduct(hit, more) {
  $("product-title").textContent = hit.title || say("untitled");
  $("product-price").textContent = more?.price == null ? "" : more.price.toFixed(2);
  $("product-description").textContent = more?.description || "";
  $("product-id").textContent = hit.product_id;
  $("product-image").src = imageUrl(hit.product_id);
  $("product-image").alt = hit.title || hit.product_id;
  $("product-attributes").replaceChildren(
    ...Object.entries(hit.attributes).flatMap(([name, value]) => [make("dt", {}, readable(name)), make("dd", {}, value)]));
  const isWeb = /^https?:\/\//i.test(more?.url || "");
  $("product-link").hidden = !isWeb;
  if (isWeb) $("product-link").href = more.url;
}

function picture(hit) {
  const frame = make("div", { className: "frame" });
  const image = make("img", { src: imageUrl(hit.product_id), alt: "", loading: "lazy", decoding: "async" });
  image.onerror = () => frame.replaceChildren(say("no picture"));
  frame.append(image);
  return frame;
}
