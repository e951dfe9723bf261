// Directions: SeFa and PCA, computed on first use, and files. A slider and a range of layers for each.

import { button, el, newest, section, slider } from "./widgets.js";

export function directionsPanel(store, engine, onError) {
  const choice = el("select", { id: "direction-set" });
  const list = el("div", { class: "directions" });
  const hint = el("p", { class: "hint", "aria-live": "polite" });
  const reset = button("Reset all", () => store.still({ moves: [] }));
  const { root, state: text, isOpen } = section(
    "Directions",
    { onopen: () => load() },
    el("label", { for: "direction-set", class: "visually-hidden" }, "Set of directions"),
    choice, hint, list, reset,
  );
  let sets = "";
  const newer = newest(); // by model and set
  let controls = [];
  let layers = [];

  const find = (index) => store.state.still.moves.find((m) => m.set === choice.value && m.index === index);
  const write = (index, fields, change) => {
    const set = choice.value;
    const old = find(index) ?? { set, index, strength: 0, layers: [] };
    const rest = store.state.still.moves.filter((m) => m !== old);
    const move = { ...old, ...fields };
    store.still({ moves: move.strength === 0 && !move.layers.length ? rest : [...rest, move] }, change);
  };

  const load = async () => {
    if (!isOpen() || !choice.value) return;
    try {
      const answer = await newer(`${store.state.model} ${choice.value}`, () => {
        hint.textContent = "Finding directions…";
        list.replaceChildren();
        return engine.latest("directions", "directions", store.state, { set: choice.value });
      });
      if (!answer) return;
      hint.textContent = "In standard deviations of w.";
      build(answer.header.names);
    } catch (error) {
      hint.textContent = "";
      onError(error);
    }
  };

  const build = (names) => {
    controls = names.map((name, index) => {
      const control = slider({
        label: name, min: -8, max: 8, step: 0.05,
        onchange: (strength, change) => write(index, { strength }, change),
        attributes: { "data-direction": index },
      });
      const options = () => layers.map((px, k) => el("option", { value: k }, `${k} (${px} px)`));
      const [first, last] = [el("select", { "aria-label": `${name}: first layer` }), el("select", { "aria-label": `${name}: last layer` })];
      first.append(...options());
      last.append(...options());
      const range = el("div", { class: "range" }, "layers", first, "to", last);
      const changed = () => {
        const [a, b] = [Number(first.value), Number(last.value)];
        const whole = a === 0 && b === layers.length - 1;
        write(index, { layers: whole ? [] : [Math.min(a, b), Math.max(a, b)] });
      };
      first.addEventListener("change", changed);
      last.addEventListener("change", changed);
      const item = el("div", { class: "direction" }, control.root, range);
      return {
        item,
        sync: () => {
          const move = find(index);
          control.sync(move?.strength ?? 0);
          range.hidden = !move;
          first.value = move?.layers[0] ?? 0;
          last.value = move?.layers[1] ?? layers.length - 1;
        },
      };
    });
    list.replaceChildren(...controls.map(({ item }) => item));
    for (const control of controls) control.sync();
  };

  choice.addEventListener("change", load);
  return {
    root,
    sync(state, info) {
      layers = info.layers;
      if (sets !== info.sets.join()) {
        sets = info.sets.join();
        const label = (name) => ({ sefa: "SeFa", pca: "PCA" })[name] ?? name;
        choice.replaceChildren(...info.sets.map((name) => el("option", { value: name }, label(name))));
      }
      const used = state.still.moves.filter((m) => m.strength).length;
      text.textContent = used ? `${used} in use` : "";
      reset.hidden = state.still.moves.length === 0;
      for (const control of controls) control.sync();
      load();
    },
  };
}
