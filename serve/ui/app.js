// The search page: what is asked (state) -> request -> answer on the page. The address bar holds
// the words and filters, so that a search can be shared and "back" works; a picture stays here.

import * as api from "./api.js";
import { $, card, fillProduct, filterPanel, make, readable, showDegraded, showProblem, showRelease, showTiming, waiting } from "./view.js";
import { say, speak, spoken } from "./words.js";

const PAGE = 24;
const MOST_ALIKE = 96;
// `like`: the id of a product whose likes are asked for; with words it is "this, but ...".
const state = { text: "", image: null, like: "", filters: {}, rerank: true };
let facets = {};
let answeredBy = null;
let shown = 0;
let next = null; // where the next page begins
let running = null;

async function run() {
  running?.abort();
  running = new AbortController();
  const mine = running;
  showProblem(null);
  if (!state.text && !state.image && !state.like) return welcome();
  $("welcome").hidden = true;
  $("results").setAttribute("aria-busy", "true");
  if (!$("results").children.length) $("results").replaceChildren(...waiting(12));
  try {
    show(await answered(mine.signal), false);
  } catch (problem) {
    if (mine !== running || problem.name === "AbortError") return;
    $("results").replaceChildren();
    $("summary").textContent = "";
    $("more").hidden = true;
    showDegraded([]);
    $("no-match").hidden = true;
    showProblem(problem);
  } finally {
    if (mine === running) $("results").removeAttribute("aria-busy");
  }
}

/** The first page: of a search, or of what is like a product. */
async function answered(signal) {
  const isAlike = state.like && !state.text && !Object.keys(state.filters).length;
  if (isAlike) return api.similar(state.like, MOST_ALIKE, signal);
  const image = state.like ? await api.imageOf(state.like) : state.image;
  return api.search(request(image), signal);
}

/** The next page, below what is there. */
async function showMore() {
  const mine = running;
  $("more").disabled = true;
  try {
    const image = state.like ? await api.imageOf(state.like) : state.image;
    const answer = await api.search({ ...request(image), cursor: next }, mine?.signal);
    if (mine === running) show(answer, true);
  } catch (problem) {
    if (problem.name === "AbortError") return;
    if (problem.code === "release_gone") run(); // the shop has moved on: from the first page
    else showProblem(problem);
  } finally {
    $("more").disabled = false;
  }
}

function request(image) {
  const asked = { limit: PAGE };
  if (state.text) asked.text = state.text;
  if (image) asked.image = image;
  if (Object.keys(state.filters).length) asked.filter = state.filters;
  if (!state.rerank) asked.rerank = false;
  return asked;
}

function show({ hits, degraded, took_ms: took, release, next_cursor: cursor, no_good_match: isPoor }, isNext) {
  const on = { open: openProduct, similar };
  const first = isNext ? shown : 0;
  const cards = hits.map((hit, at) => card(hit, first + at + 1, on));
  if (isNext) $("results").append(...cards);
  else $("results").replaceChildren(...cards);
  shown = first + hits.length;
  next = cursor;
  $("summary").textContent = summary();
  $("more").hidden = !next;
  if (isNext) cards[0]?.querySelector(".card").focus();
  showDegraded(degraded);
  $("no-match").hidden = !isPoor || !hits.length;
  showTiming(took);
  showRelease(release);
  if (answeredBy && answeredBy !== release.id) loadFacets().catch(showProblem);
  answeredBy = release.id;
}

function summary() {
  const seen = state.like ? say("that product") : state.image && say("your picture");
  const words = state.text && say("“{0}”", state.text);
  const what = words && seen ? say("{0} and {1}", words, seen) : words || seen;
  if (!shown) return say("Nothing fits {0} with these filters. Remove a filter and try again.", what);
  return say(shown === 1 ? "1 product for {1}, best first" : "{0} products for {1}, best first", shown, what);
}

async function loadFacets() {
  facets = await api.facets();
  drawOptions();
}

function welcome() {
  $("results").replaceChildren();
  $("summary").textContent = "";
  $("more").hidden = true;
  showDegraded([]);
  $("no-match").hidden = true;
  $("timing").replaceChildren();
  $("welcome").hidden = false;
}

// What is asked

function ask(change, remember = true) {
  Object.assign(state, change);
  drawOptions();
  if (remember) history.pushState(null, "", address());
  return run();
}

function address() {
  const query = new URLSearchParams();
  if (state.text) query.set("q", state.text);
  if (state.like) query.set("like", state.like);
  for (const [name, values] of Object.entries(state.filters)) for (const value of values) query.append(`f.${name}`, value);
  if (!state.rerank) query.set("rerank", "0");
  return query.size ? `?${query}` : location.pathname;
}

function readAddress() {
  const query = new URLSearchParams(location.search);
  const filters = {};
  for (const [name, value] of query) if (name.startsWith("f.")) (filters[name.slice(2)] ||= []).push(value);
  const like = query.get("like") || "";
  return { text: (query.get("q") || "").trim(), like, filters, rerank: query.get("rerank") !== "0" };
}

function toggle(name, value) {
  const filters = structuredClone(state.filters);
  const values = filters[name] || [];
  filters[name] = values.includes(value) ? values.filter((other) => other !== value) : [...values, value];
  if (!filters[name].length) delete filters[name];
  return ask({ filters });
}

const isOn = (name, value) => Boolean(state.filters[name]?.includes(value));

function drawOptions() {
  $("text").value = state.text;
  $("rerank").checked = state.rerank;
  $("picture").hidden = !state.image && !state.like;
  if (state.like) $("picture-shown").src = api.imageUrl(state.like);
  const chosen = Object.entries(state.filters).flatMap(([name, values]) => values.map((value) => [name, value]));
  $("chosen").replaceChildren(...chosen.map(([name, value]) =>
    make("button", { type: "button", className: "chip on", onclick: () => toggle(name, value), "aria-label": say("Remove {0}", `${readable(name)} ${value}`) }, `${value} ×`)));
  if (!$("filters").hidden) drawFilters();
}

function drawFilters() {
  const focused = document.activeElement?.textContent;
  $("filters").replaceChildren(...filterPanel(facets, isOn, toggle));
  // Redrawing must not take the keyboard away from the chip that was just pressed.
  if (focused) [...$("filters").querySelectorAll(".chip")].find((chip) => chip.textContent === focused)?.focus();
}

// Pictures

async function usePicture(file) {
  try {
    const image = await api.encode(file);
    $("picture-shown").src = URL.createObjectURL(file);
    await ask({ image, like: "" });
  } catch (problem) {
    showProblem(problem);
  }
}

/** What is like a product; with words: what is like it, but as they say. */
function similar(hit, but = "") {
  $("product").close();
  scrollTo({ top: 0 });
  return ask({ like: hit.product_id, image: null, text: but, filters: {} });
}

const pictureIn = (list) => [...(list || [])].find((file) => file.type.startsWith("image/"));

// Type-ahead: titles of the shop, a moment after the last key

let typing = null;

function suggestSoon() {
  typing?.abort();
  typing = new AbortController();
  const { signal } = typing;
  const text = $("text").value.trim();
  if (text.length < 2) return $("suggestions").replaceChildren();
  setTimeout(async () => {
    if (signal.aborted) return;
    // A failure only leaves the list as it was: the search itself tells what is wrong.
    const titles = await api.suggest(text, signal).catch(() => null);
    if (titles && !signal.aborted) $("suggestions").replaceChildren(...titles.map((value) => make("option", { value })));
  }, 120);
}

// One product

async function openProduct(hit) {
  fillProduct(hit, null);
  $("product-similar").onclick = () => similar(hit);
  $("product-but").value = "";
  $("product-but-form").onsubmit = (event) => {
    event.preventDefault();
    const but = $("product-but").value.trim();
    if (but) similar(hit, but);
  };
  $("product-why").hidden = !state.text;
  $("product-why").onclick = () => why(state.text, hit);
  $("why").hidden = true;
  $("product").showModal();
  const more = await api.product(hit.product_id).catch(() => null);
  if (more && $("product-id").textContent === hit.product_id) fillProduct(hit, more);
}

/** Under the product, what in its picture and in the words asked for made the score. */
async function why(text, hit) {
  $("why").hidden = false;
  $("why-drawing").hidden = true;
  $("why-says").textContent = say("Taking the score apart…");
  try {
    const answer = await api.explain(text, hit.product_id);
    if ($("product-id").textContent !== hit.product_id) return;
    $("why-drawing").src = `data:image/svg+xml,${encodeURIComponent(answer.drawing)}`;
    $("why-drawing").alt = answer.words.map((word) => `${word.text} ${word.weight.toFixed(2)}`).join(", ");
    $("why-drawing").hidden = false;
    $("why-says").textContent = say("Without what glows, in the picture or in the words, the score falls; without what is blue, it rises.");
  } catch (problem) {
    if ($("product-id").textContent === hit.product_id) $("why-says").textContent = problem.message;
  }
}

// Ideas for a first search, made of the shop's own attributes

function ideas() {
  const named = (...names) => names.map((name) => facets[name]).find(Boolean);
  const types = usual(named("type", "article_type", "category"));
  const looks = usual(named("colour", "color", "base_colour"));
  const patterns = usual(named("pattern", "gender", "material"));
  const count = Math.min(5, types.length);
  return Array.from({ length: count }, (_, at) =>
    [patterns[(at * 3 + 1) % patterns.length], looks[(at * 5 + 2) % looks.length], types[(at * 7 + 3) % types.length]].filter(Boolean).join(" ").toLowerCase());
}

/** Under the ideas, what the first of them finds: a visitor sees the shop at once. */
async function showExample() {
  const [idea] = ideas();
  if ($("welcome").hidden || !idea) return;
  const { hits } = await api.search({ text: idea, limit: 12 });
  if ($("welcome").hidden) return;
  $("results").replaceChildren(...hits.map((hit, at) => card(hit, at + 1, { open: openProduct, similar })));
  $("summary").textContent = say("For example, “{0}”", idea);
}

const usual = (values) => Object.entries(values || {}).sort(([, a], [, b]) => b - a).map(([value]) => value);

// Wiring

function listen() {
  $("form").onsubmit = (event) => { event.preventDefault(); ask({ text: $("text").value.trim() }); };
  $("text").oninput = suggestSoon;
  $("rerank").onchange = () => ask({ rerank: $("rerank").checked });
  $("more").onclick = showMore;
  $("filters-open").onclick = () => openFilters($("filters").hidden);
  $("picture-pick").onclick = () => $("picture-file").click();
  $("picture-file").onchange = () => { const file = $("picture-file").files[0]; $("picture-file").value = ""; if (file) usePicture(file); };
  $("picture-drop").onclick = () => { ask({ image: null, like: "" }); $("text").focus(); };
  $("theme").onclick = () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark", true);
  $("lang").onclick = () => setLang(spoken() === "zh" ? "en" : "zh");
  addEventListener("popstate", () => ask({ ...readAddress(), image: null }, false));
  document.onpaste = (event) => { const file = pictureIn(event.clipboardData?.files); if (file) usePicture(file); };
  document.onkeydown = onKey;
  listenForDrops();
}

function listenForDrops() {
  document.ondragover = (event) => { event.preventDefault(); $("drop").hidden = false; };
  document.ondragleave = (event) => { if (!event.relatedTarget) $("drop").hidden = true; };
  document.ondrop = (event) => {
    event.preventDefault();
    $("drop").hidden = true;
    const file = pictureIn(event.dataTransfer?.files);
    if (file) usePicture(file);
    else if (event.dataTransfer?.files.length) showProblem(new api.Trouble(say("That file is not a picture.")));
  };
}

function onKey(event) {
  const isTyping = event.target instanceof HTMLInputElement && event.target.type !== "checkbox";
  if (event.key === "/" && !isTyping && !$("product").open) {
    event.preventDefault();
    $("text").select();
  } else if (event.key === "Escape" && !$("filters").hidden) {
    openFilters(false);
    $("filters-open").focus();
  } else if (event.key.startsWith("Arrow") && event.target.classList?.contains("card")) {
    moveAmongCards(event);
  }
}

function moveAmongCards(event) {
  const cards = [...document.querySelectorAll(".card")];
  const columns = getComputedStyle($("results")).gridTemplateColumns.split(" ").length;
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
  const next = cards[cards.indexOf(event.target) + step];
  if (!next) return;
  event.preventDefault();
  next.focus();
}

function openFilters(isOpen) {
  $("filters").hidden = !isOpen;
  $("filters-open").setAttribute("aria-expanded", String(isOpen));
  if (isOpen) drawFilters();
}

function setTheme(theme, isChosen) {
  document.documentElement.dataset.theme = theme;
  if (isChosen) keep("theme", theme);
}

function setLang(lang) {
  speak(lang);
  keep("lang", lang);
  if (shown) $("summary").textContent = summary();
}

function keep(name, value) {
  try { localStorage.setItem(name, value); } catch { /* no storage: this visit only */ }
}

function kept(name) {
  try { return localStorage.getItem(name); } catch { return null; }
}

async function start() {
  setTheme(kept("theme") || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"), false);
  speak(kept("lang") || (navigator.language.startsWith("zh") ? "zh" : "en"));
  listen();
  Object.assign(state, readAddress());
  drawOptions();
  if (!state.text) $("text").focus();
  run();
  try {
    await loadFacets();
    $("ideas").replaceChildren(...ideas().map((idea) => make("button", { type: "button", className: "chip", onclick: () => ask({ text: idea }) }, idea)));
    await showExample();
    if (!$("release").textContent) showRelease({ id: (await api.ready()).release || "none" });
  } catch (problem) {
    showProblem(problem);
  }
}

start();
