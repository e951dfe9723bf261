// Wires the parts of the page together.

import { directionsPanel } from "./directions_panel.js";
import { Engine } from "./engine.js";
import { exportPanel } from "./export_panel.js";
import { mapPanel } from "./map_panel.js";
import { mixingPanel } from "./mixing_panel.js";
import { projection } from "./projection.js";
import { keepSource, restoreSources } from "./kept_sources.js";
import { classPanel, noisePanel, sourcePanel, truncationPanel } from "./source_panel.js";
import { Stage } from "./stage.js";
import { Store } from "./state.js";
import { Timeline } from "./timeline.js";
import { GridView, LayersView, RunView } from "./views.js";
import { button, el, icon, sourceLabel } from "./widgets.js";

const MODELS_MS = 10_000;
const $ = (id) => document.getElementById(id);

const store = new Store(location.hash);
const stage = new Stage();
store.write(); // without the token
const engine = new Engine((connected, reason) => {
  const before = lost;
  lost = "";
  if (connected) start();
  else if (before !== reason.message) fail(reason);
  lost = connected ? "" : reason.message;
});
let info = null; // of the open model
let models = [];
let shown = null; // the last state of an open model
let lost = ""; // why there is no connection: shown until there is one

function fail(error) {
  if (lost) return;
  $("message").textContent = error.message;
  $("message").hidden = false;
  clearTimeout(fail.timer);
  fail.timer = setTimeout(() => { $("message").hidden = !lost && info !== null; }, 8000);
}

const source = sourcePanel(store, engine);
const timeline = new Timeline($("timeline"), store, engine, stage, fail);
const run = new RunView($("view-run"), store, engine, fail);
run.run = (model) => models.find(({ name }) => name === model)?.run;
const parts = [
  source, truncationPanel(store), classPanel(store), mixingPanel(store), mapPanel(store, engine, fail),
  directionsPanel(store, engine, fail), noisePanel(store), exportPanel(store, engine, fail),
];
$("panel").append(...parts.map(({ root }) => root));
parts.push(timeline, new GridView($("view-grid"), store, engine, fail));
if (engine.features.has("layers")) parts.push(new LayersView($("view-layers"), store, engine, fail));
if (engine.features.has("run")) parts.push(run);
if (engine.features.has("project")) projection(store, engine, stage, {
  fileInput: source.file, onError: fail, onEnd: () => show(store.state, {}),
  onSource: ({ header, payload }) => {
    info.sources = header.sources;
    keepSource(info.weights, header.name, payload);
  },
});

// Views

const names = ["image", "grid", ...["layers", "run"].filter((name) => engine.features.has(name))];
const views = names.map((name) => {
  const tab = button(name[0].toUpperCase() + name.slice(1), () => store.update({ view: name }, { same: true }));
  tab.dataset.view = name;
  return tab;
});
$("views").append(...views);

function showView({ view: wanted, model }) {
  const view = names.includes(wanted) ? wanted : "image";
  for (const tab of views) {
    if (tab.dataset.view === view) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
    $(`view-${tab.dataset.view}`).hidden = tab.dataset.view !== view;
  }
  const runTab = views[names.indexOf("run")];
  if (runTab) runTab.hidden = !run.run(model) && view !== "run";
}

// The image

async function show(state, change) {
  try {
    const answer = await engine.latest("image", "image", state, { encoding: change.drag ? "jpeg" : "png" });
    if (answer) await stage.show(answer, change.at);
  } catch (error) {
    fail(error);
  }
}

function describe({ still }) {
  const from = still.source ? `Projected ${sourceLabel(still.source)}` : `Seed ${still.seed}`;
  const other = still.mix_source ? sourceLabel(still.mix_source) : `seed ${still.mix_seed}`;
  const mixed = still.mixed.length ? `, mixed with ${other}` : "";
  const moved = still.moves.some((move) => move.strength) ? ", moved" : "";
  return `${from}${mixed}${moved}, psi ${still.psi.toFixed(2)}`;
}

function render(state, change) {
  if (!info) return;
  shown = state;
  for (const part of parts) part.sync(state, info, change);
  showView(state);
  if (change.same) return;
  timeline.stop();
  stage.describe(describe(state));
  if (!change.drag) $("announcement").textContent = describe(state);
  show(state, change);
}

store.subscribe((state, change) => {
  if (change.model) openModel(change);
  else render(state, change);
});

// Models

async function listModels() {
  const listed = await engine.models();
  if (JSON.stringify(listed.models) === JSON.stringify(models)) return;
  models = listed.models;
  const runs = [...new Set(models.map((model) => model.run))];
  const kimg = (name) => (Number.isNaN(Number(name)) ? name : `${Number(name)} kimg`);
  const option = ({ name, run: of }) => el("option", { value: name }, of ? `${of} · ${kimg(name.slice(of.length + 1))}` : name);
  $("model").replaceChildren(...runs.flatMap((of) => {
    const options = models.filter((model) => model.run === of).map(option);
    return of ? [el("optgroup", { label: of }, ...options)] : options;
  }));
  $("model").value = store.state.model;
}

/** An address may name images that another browser, or an earlier server, has projected. */
function dropLostSources() {
  const gone = (name) => name !== null && !info.sources.includes(name);
  const { still } = store.state;
  if (!gone(still.source) && !gone(still.mix_source)) return;
  fail(new Error("The projected image of this address is no longer there. Drop it again."));
  const [source, mix_source] = [still.source, still.mix_source].map((name) => (gone(name) ? null : name));
  store.state = { ...store.state, still: { ...still, source, mix_source } };
  store.write();
}

async function openModel(change) {
  const { model } = store.state;
  try {
    const answer = await engine.latest("open", "open", { ...store.state, keyframes: [] });
    if (!answer) return;
    const found = engine.features.has("project") ? await restoreSources(engine, store.state, answer.header) : answer.header;
    if (store.state.model !== model) return;
    info = found;
    dropLostSources();
    $("model").value = store.state.model;
    document.title = `${store.state.model} · stylegen`;
    stage.setPixels(info.resolution <= 32);
    render(store.state, { ...change, model: false });
  } catch (error) {
    fail(error);
    const last = shown ?? { ...new Store("").state, model: models[0].name };
    if (!change.last) store.update(last, { model: true, old: true, last: true });
  }
}

/** The state, with the first model and its defaults in place of a model that is not in the list. */
function known(state) {
  if (models.some(({ name }) => name === state.model)) return state;
  if (state.model) fail(new Error(`There is no model ${state.model} in the list.`));
  const fresh = state.model ? new Store("").state : state;
  return { ...fresh, model: models[0].name };
}

async function start() {
  try {
    await listModels();
    $("message").hidden = true;
    if (shown) $("announcement").textContent = "Connected again.";
    store.update(known(store.state), { model: true, old: true });
    document.body.dataset.ready = "true";
  } catch (error) {
    fail(error);
  }
}
setInterval(() => listModels().catch(() => {}), MODELS_MS);

$("model").addEventListener("change", () => {
  // Layers, classes and projected images belong to a network.
  const { seed, mix_seed, psi, noise } = store.state.still;
  const fresh = new Store("").state.still;
  const sameRun = run.run($("model").value) && run.run($("model").value) === run.run(store.state.model);
  const still = sameRun ? { ...store.state.still, source: null, mix_source: null, moves: [] } : { ...fresh, seed, mix_seed, psi, noise };
  const keyframes = sameRun ? store.state.keyframes : [];
  store.update({ model: $("model").value, still, keyframes }, { model: true });
});

// On a narrow page the timeline scrolls with the controls.

const narrow = matchMedia("(max-width: 900px)");
const placeTimeline = () => (narrow.matches ? $("panel").prepend($("timeline")) : document.querySelector(".stage").append($("timeline")));
narrow.addEventListener("change", placeTimeline);
placeTimeline();

// Theme, keys, address

$("theme").append(icon("theme"));
$("theme").addEventListener("click", () => {
  const given = document.documentElement.dataset.theme;
  const dark = given ? given === "dark" : !matchMedia("(prefers-color-scheme: light)").matches;
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("theme", document.documentElement.dataset.theme);
});
const theme = localStorage.getItem("theme");
if (theme) document.documentElement.dataset.theme = theme;

addEventListener("keydown", (event) => {
  if (event.target.closest("input, select, textarea, pre") || event.ctrlKey || event.metaKey || event.altKey) return;
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step) source.step(step);
  else if (event.key.toLowerCase() === "r") source.dice();
  else if (event.key === " " && !event.target.closest("button, summary")) timeline.toggle();
  else return;
  event.preventDefault();
});

addEventListener("hashchange", () => {
  const next = known(new Store(location.hash).state);
  store.update(next, { model: next.model !== store.state.model, old: true });
});
