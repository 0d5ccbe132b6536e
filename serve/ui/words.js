// What the page says, in English and Chinese. English is the key: what has no translation stays.

const ZH = {
  "Skip to the results": "跳到结果",
  "What are you looking for?": "你在找什么？",
  "Describe it, in English or 中文, or drop a picture": "用中文或英文描述，或拖入一张图片",
  "Search by picture": "以图搜索",
  "Remove the picture": "移除图片",
  "Search": "搜索",
  "Switch between light and dark": "切换明暗",
  "Filters": "筛选",
  "Rerank": "精排",
  "A second, slower model reads the first hits again and re-orders them": "第二个较慢的模型重读前面的结果并重新排序",
  "Nothing here fits well. These are the nearest that the shop has.": "没有很合适的商品，这些是店里最接近的。",
  "Find it by saying it.": "说出来，就能找到。",
  "Or by showing it.": "给张图，也能找到。",
  "Type what you see in your mind, or drop a picture anywhere on this page.": "输入你想象中的样子，或把图片拖到页面任意位置。",
  "Show more": "更多",
  "Close": "关闭",
  "More like this": "更多类似商品",
  "Why this?": "为什么是它？",
  "Open in the shop": "在商店中打开",
  "Like this, but": "类似这个，但是",
  "in blue, with long sleeves": "蓝色，长袖",
  "Find": "找",
  "Drop the picture to search with it": "放开图片即可搜索",
  "untitled": "无标题",
  "no picture": "无图片",
  "similar": "相似",
  "More like {0}": "更多类似 {0} 的商品",
  "rank {0}": "第 {0} 名",
  "score, comparable within this answer": "得分，只在本次结果内可比",
  "Remove {0}": "移除 {0}",
  "your picture": "你的图片",
  "that product": "那件商品",
  "“{0}”": "“{0}”",
  "{0} and {1}": "{0}和{1}",
  "1 product for {1}, best first": "{1}：1 件商品",
  "{0} products for {1}, best first": "{1}：{0} 件商品，最合适的在前",
  "Nothing fits {0} with these filters. Remove a filter and try again.": "在这些筛选条件下没有符合{0}的商品，请去掉一个条件再试。",
  "For example, “{0}”": "例如“{0}”",
  "That file is not a picture.": "这个文件不是图片。",
  "Taking the score apart…": "正在分析得分…",
  "Without what glows, in the picture or in the words, the score falls; without what is blue, it rises.": "去掉图中或词中发亮的部分，得分下降；去掉蓝色的部分，得分上升。",
  "Busy: fewer products than usual were re-ordered by the second model.": "繁忙：第二个模型只重排了较少的商品。",
  "Busy: the second model was skipped; this is the first order.": "繁忙：跳过了第二个模型，这是初步排序。",
  "This release has no reranker; this is the first order.": "此版本没有精排模型，这是初步排序。",
  "Busy: the words were not weighed.": "繁忙：没有分析词的权重。",
  "Very busy: this is what the same search found a while ago.": "非常繁忙：这是同一搜索不久前的结果。",
  "The service does not answer. Is it running?": "服务没有响应。它在运行吗？",
  "中文": "English",
};

let isChinese = false;

/** The text in the page's language; {0}, {1} are filled in. */
export function say(text, ...values) {
  const chosen = (isChinese && ZH[text]) || text;
  return chosen.replace(/\{(\d)\}/g, (_, place) => values[place]);
}

/** "zh" or "en", and all that the page itself says in it. */
export function speak(lang) {
  isChinese = lang === "zh";
  document.documentElement.lang = isChinese ? "zh" : "en";
  for (const element of document.querySelectorAll("[data-say]")) {
    element.dataset.say ||= element.textContent.trim();
    element.textContent = say(element.dataset.say);
  }
  for (const name of ["placeholder", "aria-label", "title"]) {
    for (const element of document.querySelectorAll(`[data-say-${name}]`)) {
      element.setAttribute(name, say(element.getAttribute(`data-say-${name}`)));
    }
  }
}

export const spoken = () => (isChinese ? "zh" : "en");
