"use strict";
// Texts are set as texts, never as HTML: labels and reasons were written by others.
const token = document.querySelector("meta[name=token]").content;
const get = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

function make(tag, attributes = {}, ...children) {
  const isDrawn = ["svg", "polyline", "rect", "title"].includes(tag);
  const element = isDrawn ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function drawCurves(trial) {
  const all = [...trial.train, ...trial.validation];
  if (all.length < 2) return "";
  const xs = all.map((p) => p[0]), ys = all.map((p) => p[1]);
  const [left, low] = [Math.min(...xs), Math.min(...ys)];
  const [width, height] = [Math.max(...xs) - left || 1, Math.max(...ys) - low || 1];
  const place = (points) =>
    points.map(([x, y]) => `${(((x - left) / width) * 100).toFixed(2)},${(38 - ((y - low) / height) * 36).toFixed(2)}`);
  return make("svg", { viewBox: "0 0 100 40", preserveAspectRatio: "none", role: "img", "aria-label": `losses of ${trial.name}` },
    make("polyline", { points: place(trial.train).join(" "), class: "train" }),
    make("polyline", { points: place(trial.validation).join(" "), class: "validation" }));
}

function drawTrial(trial) {
  const last = trial.train.length ? trial.train[trial.train.length - 1][1].toFixed(3) : "–";
  const box = make("div", { class: "trial" },
    make("p", {}, make("span", { class: trial.state }, `${trial.mark} ${trial.state}`), ` · ${trial.name}`),
    drawCurves(trial), make("p", { class: "quiet" }, `training loss ${last}`));
  if (trial.progress) box.append(make("p", {}, trial.progress));
  if (trial.reason) box.append(make("p", { class: trial.state }, trial.reason));
  if (trial.state === "running" && token) {
    const button = make("button", {}, "Stop this trial");
    button.addEventListener("click", () => decide({ stop: trial.id }, `stop ${trial.name}`));
    box.append(button);
  }
  return box;
}

function drawTimeline(view) {
  const spans = view.trials.flatMap((trial) => trial.spans.map((span) => ({ ...span, trial })));
  const start = Math.min(...spans.map((s) => s.start)), end = Math.max(...spans.map((s) => s.end));
  return view.workers.map((worker) => {
    const bar = make("svg", { viewBox: "0 0 1000 10", preserveAspectRatio: "none" });
    for (const span of spans.filter((s) => s.worker === worker)) {
      const x = ((span.start - start) / (end - start || 1)) * 1000;
      const width = Math.max(2, ((span.end - span.start) / (end - start || 1)) * 1000);
      bar.append(make("rect", { x, width, y: 0, height: 10, class: span.trial.state },
        make("title", {}, `${span.trial.name}: ${span.trial.state}`)));
    }
    return make("div", { class: "worker" }, make("span", { class: "quiet" }, worker), bar);
  });
}

function show(view) {
  document.title = `${view.name} · tuneoff`;
  get("name").textContent = view.name;
  get("says").textContent = view.says;
  get("says").className = view.state;
  get("time").textContent = view.time;
  get("plan").replaceChildren(...Object.entries(view.plan).map(([stage, count]) =>
    make("div", { class: "stage" }, make("span", {}, stage),
      make("progress", { max: Math.max(1, count.of), value: count.done, "aria-label": stage }),
      make("span", {}, `${count.done} of ${count.is_most ? "at most " : ""}${count.of}`))));
  get("verdict").className = view.decided ? "decided" : "";
  get("verdict").replaceChildren(...view.verdict.map((line) => make("p", {}, line)));
  get("decisions").replaceChildren(...view.decisions.map((line) => make("p", { class: "interrupted" }, line)));
  get("timeline").replaceChildren(...drawTimeline(view));
  const labels = [...new Set(view.trials.map((trial) => trial.label))];
  get("methods").replaceChildren(...labels.map((label) =>
    make("div", { class: "method" }, make("h3", {}, label),
      make("div", { class: "trials" }, ...view.trials.filter((trial) => trial.label === label).map(drawTrial)))));
  get("decide").hidden = !token || view.state === "finished";
  get("extend").disabled = !view.budget;
  if (get("method").options.length !== view.labels.length)
    get("method").replaceChildren(...view.labels.map((label, i) => make("option", { value: label }, view.methods[i])));
}

async function decide(decision, what) {
  if (!confirm(`Do you want to ${what}? This is recorded.`)) return;
  const body = JSON.stringify({ ...decision, by: get("by").value, why: get("why").value });
  const reply = await fetch("decide", { method: "POST", body,
    headers: { "Content-Type": "application/json", "X-Token": token } });
  get("answer").textContent = (await reply.json()).says;
  poll();
}

async function poll() {
  try {
    const reply = await fetch("view.json", { cache: "no-store" });
    const view = await reply.json();
    if (reply.ok) show(view); else get("says").textContent = view.says;
  } catch { get("says").textContent = "tuneoff watch has ended: this page shows how it was."; }
}

get("drop").addEventListener("click", () => decide({ drop: get("method").value }, `leave ${get("method").value} out`));
get("extend").addEventListener("click", () => decide({ extend: `${get("minutes").value}m` }, "extend the budget"));
poll();
setInterval(poll, 2000);
