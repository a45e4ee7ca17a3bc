"use strict";
// Text from anywhere becomes text on the page and nothing else: no markup is ever made of strings.

const at = (id) => document.getElementById(id);

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

async function call(path, body) {
  const request = body && {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  };
  let response;
  try {
    response = await fetch(path, request);
  } catch {
    throw new Error("The server does not answer.");
  }
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail);
  return answer;
}

const ids = () => at("history").value.split(/[\s,]+/).filter(Boolean);
const queries = () => at("queries").value.split("\n").map((line) => line.trim()).filter(Boolean);
const named = (item) => item.title || item.item_id;
const number = (value) => (value < 0 ? "−" : "") + Math.abs(value).toFixed(3);
const signed = (value) => (value < 0 ? "" : "+") + number(value);

let health = null;

async function introduce() {
  health = await call("health");
  at("about").textContent = `${health.model} knows ${health.items.toLocaleString("en")} items` +
    (health.titles ? "." : "; the server was given no titles, so it shows ids.") +
    (health.reads_queries ? "" : " It does not read queries.");
  at("queries").disabled = !health.reads_queries;
  await recall();
}

// The ids that were typed, with their titles; those unknown to the model are marked.
async function showClicked() {
  const wanted = ids();
  const parameters = new URLSearchParams([...new Set(wanted)].slice(0, 200).map((id) => ["id", id]));
  const found = wanted.length ? (await call(`items?${parameters}`)).items : [];
  const known = new Map(found.map((item) => [item.item_id, item]));
  if (wanted.join() !== ids().join()) return; // somebody typed on
  at("clicked").replaceChildren(...wanted.slice(0, 200).map((id) => known.has(id)
    ? element("li", {}, named(known.get(id)))
    : element("li", { class: "unknown" }, `${id}: unknown to the model`)));
}

async function showMatches() {
  const text = at("find").value.trim();
  const found = text ? await call(`items?${new URLSearchParams({ text, limit: 8 })}`) : { items: [], total: 0 };
  if (text !== at("find").value.trim()) return;
  const buttons = found.items.map((item) => {
    const button = element("button", { type: "button", value: item.item_id }, named(item));
    button.addEventListener("click", () => {
      at("history").value = [...ids(), item.item_id].join(", ");
      at("find").value = "";
      at("matches").replaceChildren();
      at("find").focus();
      attempt(showClicked);
    });
    return element("li", {}, button);
  });
  const none = text && !buttons.length ? [element("li", {}, "No such item.")] : [];
  at("matches").replaceChildren(...buttons, ...none);
}

async function recommend() {
  const typed = health.reads_queries ? queries() : [];
  const question = { history: ids(), k: Number(at("k").value), exclude_seen: at("seen").checked, explain: true };
  say("Asking …");
  const asked = [call("recommend", { ...question, queries: [] })];
  if (typed.length) asked.unshift(call("recommend", { ...question, queries: typed }));
  const answers = await Promise.all(asked);
  const without = answers.at(-1);
  const places = new Map(without.items.map((item, place) => [item.item_id, place]));
  at("with").hidden = !typed.length;
  at("without").hidden = false;
  at("without-title").textContent = typed.length ? "Without the queries" : "Recommended";
  if (typed.length) show(at("with"), answers[0], places);
  show(at("without"), without, null);
  remember();
  const moved = typed.length ? answers[0].items.filter((item, place) => places.get(item.item_id) !== place).length : 0;
  say(typed.length
    ? `${answers[0].items.length} items; the queries changed ${moved} of their places.`
    : `${without.items.length} items.`);
}

function show(section, answer, places) {
  const notes = [];
  if (answer.reason === "popularity") notes.push("Nothing to go by: these are the most popular items.");
  if (answer.unknown.length) notes.push(`Unknown to the model: ${answer.unknown.join(", ")}.`);
  section.querySelector(".note").textContent = notes.join(" ");
  section.querySelector("ol").replaceChildren(...answer.items.map((item, place) => element("li", {},
    element("div", { class: "line" },
      element("span", { class: "rank" }, String(place + 1)),
      element("span", { class: "title" }, named(item), " ", item.title ? element("span", { class: "id" }, item.item_id) : null),
      element("span", {}, places ? shift(places.get(item.item_id), place) : null, " ",
        element("span", { class: "score" }, number(item.score)))),
    item.explanation ? why(item) : null)));
}

function shift(before, now) {
  if (before === undefined) return element("span", { class: "shift new" }, "new");
  if (before === now) return null;
  const by = Math.abs(before - now);
  return before > now
    ? element("span", { class: "shift up", "aria-label": `up by ${by}` }, `▲ ${by}`)
    : element("span", { class: "shift down", "aria-label": `down by ${by}` }, `▼ ${by}`);
}

// What the score is made of; bars are as long as their part of the largest.
function why(item) {
  const parts = item.explanation;
  const groups = [];
  if (health.reads_queries) {
    groups.push(["History and queries", [["the history", parts.history], ["the queries together", parts.searches],
      ...parts.queries.map((each) => [`“${each.query}” beside the others`, each.adds])]]);
  }
  if (parts.id !== null) {
    groups.push(["Id and content", [["the item's own vector", parts.id],
      ...(parts.content === null ? [] : [["its title and categories", parts.content]])]]);
  }
  const largest = Math.max(...groups.flatMap(([, rows]) => rows.map(([, value]) => Math.abs(value))), 1e-9);
  const table = element("table", { class: "parts" }, ...groups.map(([head, rows]) => element("tbody", {},
    element("tr", {}, element("th", { scope: "rowgroup", colspan: "3" }, head)),
    ...rows.map(([label, value]) => {
      const bar = element("span", value < 0 ? { class: "less" } : {});
      bar.style.width = `${(100 * Math.abs(value)) / largest}%`;
      return element("tr", {}, element("td", {}, label), element("td", { class: "n" }, signed(value)),
        element("td", { class: "bar", "aria-hidden": "true" }, bar));
    }))));
  return element("details", {}, element("summary", {}, "Why"), table);
}

// The address holds what was asked, so that it can be kept, sent and reloaded.
function remember() {
  const asked = new URLSearchParams([["history", ids().join(",")], ["k", at("k").value]]);
  for (const query of queries()) asked.append("query", query);
  if (!at("seen").checked) asked.set("seen", "1");
  window.history.replaceState(null, "", `?${asked}`);
}

async function recall() {
  const asked = new URLSearchParams(window.location.search);
  if (!asked.has("history")) return;
  at("history").value = asked.get("history").split(",").join(", ");
  at("queries").value = asked.getAll("query").join("\n");
  at("k").value = asked.get("k") || 10;
  at("seen").checked = !asked.has("seen");
  await showClicked();
  await recommend();
}

function say(text, wrong = false) {
  at("status").textContent = text;
  at("status").className = wrong ? "wrong" : "";
}

async function attempt(step) {
  try {
    await step();
  } catch (error) {
    say(error.message, true);
  }
}

function soon(step) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(() => attempt(step), 150);
  };
}

at("history").addEventListener("input", soon(showClicked));
at("find").addEventListener("input", soon(showMatches));
at("find").addEventListener("keydown", (event) => {
  if (event.key === "Enter") event.preventDefault(); // it adds nothing by itself; the matches are next in order
});
at("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(recommend);
});
attempt(introduce);
