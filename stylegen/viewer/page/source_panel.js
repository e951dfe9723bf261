// Seed, truncation, class and noise.

import { button, el, section, seedField, segments, slider, sourceLabel } from "./widgets.js";

export function sourcePanel(store, engine) {
  const seed = seedField("Seed", (value) => store.still({ seed: value, source: null, x: 0, y: 0 }));
  const sources = el("div", { class: "row wraps" });
  const file = el("input", { type: "file", accept: "image/*", class: "visually-hidden", id: "file", tabindex: -1 });
  const choose = button("Project an image…", () => file.click());
  const { root } = section(
    "Source",
    { open: true },
    seed.root,
    ...(engine.features.has("project") ? [el("label", { class: "visually-hidden", for: "file" }, "Image to project"), file] : []),
    sources,
    engine.features.has("project") ? choose : null,
  );
  return {
    root, file, dice: seed.dice, step: seed.step,
    sync(state, info) {
      seed.setMax(info.max_seed);
      seed.sync(state.still.seed);
      sources.replaceChildren(...info.sources.map((name) => button(sourceLabel(name), () => {
        store.still({ source: state.still.source === name ? null : name, psi: 1, x: 0, y: 0 });
      }, { "aria-pressed": String(state.still.source === name) })));
      sources.hidden = info.sources.length === 0;
    },
  };
}

export function truncationPanel(store) {
  const psi = slider({
    label: "psi", min: -1.5, max: 1.5, step: 0.01, onchange: (value, change) => store.still({ psi: value }, change),
    attributes: { id: "psi" },
  });
  const cutoff = slider({
    label: "Layers", min: 0, max: 1, step: 1, attributes: { id: "cutoff" },
    format: (value) => (value >= count ? "all" : `first ${value}`),
    onchange: (value, change) => store.still({ cutoff: value >= count ? null : value }, change),
  });
  const center = segments({
    label: "Toward", choices: [["all", "mean of all"], ["class", "mean of the class"]],
    onchange: (value) => store.still({ center: value }),
  });
  let count = 1;
  const { root, state: text } = section("Truncation", { open: true }, psi.root, cutoff.root, center.root);
  return {
    root,
    sync(state, info) {
      count = info.layers.length;
      cutoff.setMax(count);
      psi.sync(state.still.psi);
      cutoff.sync(state.still.cutoff ?? count);
      center.root.hidden = info.classes.length === 0;
      center.sync(state.still.center);
      text.textContent = `psi ${state.still.psi.toFixed(2)}`;
    },
  };
}

/** One class, or a mixture: sliders for the weights of classes. The label is a text such as "0:0.5,2:0.5". */
export function classPanel(store) {
  const select = el("select", { id: "class" });
  const weights = el("div", {});
  const add = el("select", { id: "add-class" });
  const mixture = el("div", { class: "row" }, el("label", { for: "add-class", class: "hint" }, "Mix with"), add);
  const { root, state: text } = section(
    "Class",
    { open: true },
    el("label", { for: "class", class: "visually-hidden" }, "Class"),
    select,
    mixture,
    weights,
  );
  let entries = []; // [index, weight]
  let controls = []; // a slider for each
  let names = [];
  let shown = "";
  const write = (change) => {
    const label = entries.map(([k, weight]) => `${k}:${Number(weight.toFixed(3))}`).join(",");
    store.still({ label: label || null }, change);
  };
  select.addEventListener("change", () => store.still({ label: select.value === "" ? null : select.value }));
  add.addEventListener("change", () => {
    const current = entries.length ? entries : [[Number(select.value) || 0, 1]];
    entries = [...current.map(([k, weight]) => [k, weight / 2]), [Number(add.value), 0.5]];
    write({});
  });
  const show = () => {
    controls = entries.map(([k], i) => slider({
      label: String(names[k]), min: 0, max: 1, step: 0.01,
      onchange: (value, change) => { entries[i][1] = value; write(change); },
    }));
    weights.replaceChildren(...controls.map((control) => control.root));
  };
  return {
    root,
    sync(state, info) {
      root.hidden = info.classes.length === 0;
      if (names.join() !== info.classes.join()) {
        names = info.classes;
        const options = (first) => [el("option", { value: "" }, first), ...names.map((n, k) => el("option", { value: k }, n))];
        select.replaceChildren(...options("Random for each seed"), el("option", { value: "mixture", hidden: true }, "Mixture"));
        add.replaceChildren(...options("another class…"));
      }
      const label = state.still.label;
      const isMixture = label !== null && label.includes(":");
      const parsed = isMixture ? label.split(",").map((part) => part.split(":").map(Number)) : [];
      select.value = isMixture ? "mixture" : label ?? "";
      add.value = "";
      entries = parsed;
      if (parsed.map(([k]) => k).join() !== shown) {
        shown = parsed.map(([k]) => k).join();
        show();
      }
      controls.forEach((control, i) => control.sync(entries[i][1]));
      mixture.hidden = label === null;
      text.textContent = label === null ? "random" : isMixture ? "mixture" : String(names[label] ?? label);
    },
  };
}

export function noisePanel(store) {
  const mode = segments({
    label: "Noise", choices: [["const", "const"], ["none", "none"], ["random", "random"]],
    onchange: (value) => store.still({ noise: value }),
  });
  const strength = slider({
    label: "Strength", min: 0, max: 3, step: 0.05, attributes: { id: "noise-strength" },
    onchange: (value, change) => store.still({ noise_strength: value }, change),
  });
  const none = el("p", { class: "hint" }, "This network has no noise inputs.");
  const { root, state: text } = section("Noise", {}, mode.root, strength.root, none);
  return {
    root,
    sync(state, info) {
      none.hidden = info.noise;
      strength.root.hidden = mode.root.hidden = !info.noise;
      mode.sync(state.still.noise);
      strength.sync(state.still.noise_strength);
      text.textContent = info.noise ? state.still.noise : "none";
    },
  };
}
