// Style mixing: chips, one for each layer, that are dragged between the lanes of A and B.

import { button, el, iconButton, section, seedField, sourceLabel } from "./widgets.js";

/** Names of resolutions, as in latent/mixing.py. */
const RANGES = [["Coarse", 4, 8], ["Middle", 16, 32], ["Fine", 64, 4096]];

export function mixingPanel(store) {
  const seed = seedField("Seed B", (value) => store.still({ mix_seed: value, mix_source: null }));
  const chips = el("div", { class: "chips", role: "group", "aria-label": "Layers from A or B" });
  const presets = el("div", { class: "row presets" });
  const scale = el("div", { class: "scale", "aria-hidden": "true" }, el("span", {}, "coarse"), el("span", {}, "fine"));
  const sources = el("div", { class: "row wraps" });
  const { root, state: text } = section(
    "Style mixing",
    { open: true },
    el("div", { class: "row" }, el("strong", { class: "hint" }, "B"), el("div", { class: "grow" }, seed.root)),
    sources,
    el(
      "div",
      { class: "mixer" },
      el("div", { class: "lanes", "aria-hidden": "true" }, el("span", { class: "a" }, "A"), el("span", { class: "b" }, "B")),
      chips,
      scale,
    ),
    presets,
  );
  let layers = [];
  let mixed = new Set();

  const write = (change) => {
    const list = [...mixed].sort((a, b) => a - b);
    if (list.join() !== store.state.still.mixed.join() || !change.drag) store.still({ mixed: list }, change);
  };
  const put = (layer, fromB, change) => {
    if (fromB) mixed.add(layer);
    else mixed.delete(layer);
    write(change);
  };

  // A drag paints: every chip under the pointer moves to the lane that the pointer is in.
  let dragging = false;
  let moved = false;
  const paint = (event) => {
    const target = document.elementFromPoint(event.clientX, event.clientY)?.closest(".chip");
    if (!target || !chips.contains(target)) return;
    const box = target.getBoundingClientRect();
    const fromB = event.clientY > box.top + box.height / 2;
    if (mixed.has(Number(target.dataset.layer)) !== fromB) {
      moved = true;
      put(Number(target.dataset.layer), fromB, { drag: true, at: event.timeStamp });
    }
  };
  chips.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    dragging = true;
    moved = false;
    chips.setPointerCapture(event.pointerId);
  });
  chips.addEventListener("pointermove", (event) => { if (dragging) paint(event); });
  chips.addEventListener("pointerup", (event) => {
    if (!dragging) return;
    dragging = false;
    if (moved) return write({});
    const target = document.elementFromPoint(event.clientX, event.clientY)?.closest(".chip");
    if (target) put(Number(target.dataset.layer), !mixed.has(Number(target.dataset.layer)), { at: event.timeStamp });
  });
  chips.addEventListener("pointercancel", () => {
    if (dragging && moved) write({});
    dragging = false;
  });
  // Clicks of the keyboard and of screen readers have no pointer.
  chips.addEventListener("click", (event) => {
    const chip = event.target.closest(".chip");
    if (chip && event.detail === 0) put(Number(chip.dataset.layer), !mixed.has(Number(chip.dataset.layer)), { at: event.timeStamp });
  });
  chips.addEventListener("keydown", (event) => {
    const next = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const lane = { ArrowUp: false, ArrowDown: true }[event.key];
    const chip = event.target.closest(".chip");
    if (!chip || (next === undefined && lane === undefined)) return;
    event.preventDefault();
    event.stopPropagation();
    if (next !== undefined) chips.children[Number(chip.dataset.layer) + next]?.focus();
    else put(Number(chip.dataset.layer), lane, { at: event.timeStamp });
  });

  const build = () => {
    chips.replaceChildren(...layers.map((px, k) => el(
      "button",
      { type: "button", class: "chip", role: "switch", "data-layer": k, "aria-checked": "false",
        "aria-label": `Layer ${k}, ${px} px: styles of B`, title: `layer ${k}, ${px} px` },
      el("span", {}, String(px >= 1000 ? `${px / 1024}k` : px)),
    )));
    const set = (list) => { mixed = new Set(list); write({}); };
    const of = (low, high) => layers.flatMap((px, k) => (px >= low && px <= high ? [k] : []));
    presets.replaceChildren(
      ...RANGES.filter(([, low]) => layers.includes(low)).map(([name, low, high]) => button(name, () => set(of(low, high)))),
      button("None", () => set([])),
      iconButton("swap", "Exchange A and B", () => {
        const { seed: a, mix_seed: b, source, mix_source } = store.state.still;
        store.still({ seed: b, mix_seed: a, source: mix_source, mix_source: source });
      }),
    );
  };

  return {
    root,
    sync(state, info) {
      root.hidden = !info.mixing;
      if (layers.join() !== info.layers.join()) {
        layers = info.layers;
        build();
      }
      seed.setMax(info.max_seed);
      seed.sync(state.still.mix_seed);
      mixed = new Set(state.still.mixed);
      [...chips.children].forEach((chip, k) => chip.setAttribute("aria-checked", String(mixed.has(k))));
      sources.replaceChildren(...info.sources.map((name) => button(sourceLabel(name), () => {
        store.still({ mix_source: state.still.mix_source === name ? null : name });
      }, { "aria-pressed": String(state.still.mix_source === name), "aria-label": `B: ${sourceLabel(name)}` })));
      sources.hidden = info.sources.length === 0;
      text.textContent = mixed.size ? `${mixed.size} of ${layers.length} layers from B` : "";
    },
  };
}
