"use strict";
// What models write is shown as text alone: nothing here makes markup of a string.
const $ = (id) => document.getElementById(id);
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const state = { row: null, exampleText: null, round: null, panes: [], abort: null, canVote: false };

const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

const say = (text, isError = false) => {
  $("status").textContent = text;
  $("status").classList.toggle("error", isError);
};

async function request(path, body, signal) {
  const headers = { Authorization: `Bearer ${sessionStorage.getItem("key") ?? ""}` };
  const options = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const response = await fetch(path, { ...options, headers, signal });
  if (response.ok) return response;
  if (response.status === 401) { $("login").hidden = false; $("ask").hidden = true; $("key").focus(); }
  const answer = await response.json().catch(() => null);
  throw new Error(answer?.error?.message ?? `The server answered with ${response.status}.`);
}

async function start() {
  const found = await (await request("page/state")).json();
  $("login").hidden = true;
  $("ask").hidden = false;
  $("title").textContent = found.title;
  $("verdict").textContent = found.verdict;
  $("chat").hidden = !found.has_chat;
  $("example").hidden = !found.has_examples;
  $("arms").replaceChildren(...found.arms.map((arm) => {
    const box = make("input", { type: "checkbox", name: "arm", value: arm.name, checked: true });
    return make("label", { className: "chip", title: arm.note || arm.method }, box, make("span", { textContent: arm.name }));
  }));
  showStandings(found.standings);
  $("prompt").focus();
}

function showStandings(rows) {
  $("standings").hidden = rows.length === 0;
  const percent = (share) => (100 * share).toFixed(0);
  $("standings").querySelector("tbody").replaceChildren(...rows.map((row) => make("tr", {},
    make("th", { scope: "row", textContent: row.arm }),
    make("td", { className: "bar" }, drawInterval(row)),
    make("td", {}, `${percent(row.rate)} % `, make("small", { textContent: `${percent(row.low)} to ${percent(row.high)}` })),
    make("td", { textContent: row.votes }))));
}

function drawInterval({ rate, low, high }) {
  const draw = (name, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  const at = (share) => `${2 + 96 * share}%`;
  const picture = draw("svg", { "aria-hidden": "true" });
  picture.append(
    draw("line", { class: "chance", x1: at(0.5), x2: at(0.5), y1: 0, y2: 18 }),
    draw("line", { class: "range", x1: at(low), x2: at(high), y1: 9, y2: 9 }),
    draw("circle", { class: "rate", cx: at(rate), cy: 9, r: 5 }));
  return picture;
}

async function takeExample() {
  const found = await (await request(`page/example?after=${state.row ?? -1}`)).json();
  Object.assign(state, { row: found.row, exampleText: found.source });
  $("prompt").value = found.source;
  $("ask").elements.kind.value = "run";
  $("reference").hidden = false;
  $("reference").querySelector("p").textContent = found.reference;
  await ask();
}

function openPanes(names) {
  state.panes = names.map((name, index) => {
    const pane = {
      begun: performance.now(), first: null, tokens: 0,
      title: make("h2", { textContent: name }), meter: make("p", { className: "meter" }),
      text: make("p", { className: "text", dir: "auto", tabIndex: 0 }),
    };
    pane.text.setAttribute("aria-label", `Answer of ${name}`);
    pane.card = make("article", { className: "card pane open" }, pane.title, pane.text, pane.meter);
    pane.card.dataset.pane = index;
    return pane;
  });
  $("answers").replaceChildren(...state.panes.map((pane) => pane.card));
}

const describe = ({ tokens, seconds, first_seconds: first, reason }) => {
  const rate = tokens > 1 && seconds > first ? `${((tokens - 1) / (seconds - first)).toFixed(1)} tokens/s · ` : "";
  return `${rate}${tokens} tokens · ${first.toFixed(2)} s to the first${reason === "length" ? " · cut" : ""}`;
};

function receive(event, isBlind) {
  if (event.error) throw new Error(event.error.message);
  if (event.panes) { state.round = event.round; openPanes(event.panes); return; }
  const pane = state.panes[event.pane];
  if (event.text) pane.text.textContent += event.text;
  if (event.end) {
    pane.card.classList.remove("open");
    pane.end = event.end;
    if (!isBlind) pane.meter.textContent = describe(event.end);
  } else if (!isBlind) {
    pane.tokens += 1;
    pane.first ??= performance.now();
    const seconds = (performance.now() - pane.first) / 1000;
    if (seconds > 0.3) pane.meter.textContent = `${((pane.tokens - 1) / seconds).toFixed(1)} tokens/s`;
  }
}

async function readEvents(response, onEvent) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) onEvent(JSON.parse(part.slice("data: ".length)));
  }
}

async function ask() {
  const text = $("prompt").value;
  const arms = [...document.querySelectorAll("input[name=arm]:checked")].map((box) => box.value);
  const isBlind = $("blind").checked;
  if (!text.trim()) { say("Write a prompt first.", true); return; }
  if (arms.length < (isBlind ? 2 : 1)) { say(isBlind ? "A blind comparison needs two models." : "Choose a model.", true); return; }
  state.abort?.abort();
  const abort = state.abort = new AbortController();
  const isExample = text === state.exampleText;
  if (!isExample) { state.row = null; $("reference").hidden = true; }
  endVote();
  $("stop").hidden = false;
  say("");
  try {
    const response = await request("page/rounds", {
      kind: $("ask").elements.kind.value, text, row: isExample ? state.row : null, arms, blind: isBlind,
      max_tokens: $("tokens").valueAsNumber || 128, temperature: $("temperature").valueAsNumber || 0,
    }, abort.signal);
    await readEvents(response, (event) => receive(event, isBlind));
    if (isBlind) beginVote();
  } catch (error) {
    if (abort !== state.abort) return; // another question has taken its place
    say(error.name === "AbortError" ? "Stopped." : error.message, error.name !== "AbortError");
  } finally {
    if (abort === state.abort) {
      $("stop").hidden = true;
      for (const pane of state.panes) pane.card.classList.remove("open");
    }
  }
}

function beginVote() {
  state.canVote = true;
  const buttons = state.panes.map((pane, index) => make("button", { type: "button", onclick: () => vote(index) },
    pane.title.textContent, make("kbd", { textContent: index + 1 })));
  const tie = make("button", { type: "button", onclick: () => vote(null) }, "Tie", make("kbd", { textContent: "0" }));
  $("vote").replaceChildren(make("p", { textContent: "Which answer is better?" }), ...buttons, tie);
  $("vote").hidden = false;
}

function endVote() {
  state.canVote = false;
  $("vote").hidden = true;
}

async function vote(choice) {
  if (!state.canVote) return;
  endVote();
  try {
    const found = await (await request("page/votes", { round: state.round, choice })).json();
    state.panes.forEach((pane, index) => {
      pane.title.textContent = `${LETTERS[index]}: ${found.arms[index]}`;
      pane.meter.textContent = describe(pane.end);
      pane.card.classList.toggle("chosen", index === choice);
    });
    showStandings(found.standings);
    say("Your vote is stored.");
  } catch (error) { say(error.message, true); }
}

const attempt = (action) => action().catch((error) => say(error.message, true));
$("login").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("key", $("key").value);
  start().catch((error) => { $("login").querySelector("label").textContent = error.message; });
});
$("ask").addEventListener("submit", (event) => { event.preventDefault(); attempt(ask); });
$("example").addEventListener("click", () => attempt(takeExample));
$("stop").addEventListener("click", () => state.abort?.abort());
$("prompt").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); attempt(ask); }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") { state.abort?.abort(); event.target.blur?.(); return; }
  const isTyping = event.target.matches("textarea, input:not([type=checkbox], [type=radio])");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || $("ask").hidden) return;
  if (event.key === "e" && !$("example").hidden) attempt(takeExample);
  else if (event.key === "b") $("blind").click();
  else if (event.key === "/") { event.preventDefault(); $("prompt").focus(); }
  else if (/^\d$/.test(event.key) && Number(event.key) <= state.panes.length) vote(event.key === "0" ? null : Number(event.key) - 1);
});
start().catch((error) => { if ($("login").hidden) { $("ask").hidden = false; say(error.message, true); } });
