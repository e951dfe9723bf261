// The plane through the w of three seeds: (0, 0) is the seed, (1, 0) the next one, (0, 1) the one after it.

import { button, cut, el, newest, section, slider } from "./widgets.js";

const SLOP = 12; // pixels

/** What the map depends on: walking does not change it. */
const key = ({ model, still }) => JSON.stringify([model, { ...still, x: 0, y: 0 }]);

export function mapPanel(store, engine, onError) {
  const canvas = el("canvas", { width: 448, height: 448, "aria-hidden": "true" });
  const pin = el("div", { class: "pin", "aria-hidden": "true" });
  const map = el("div", { class: "map", id: "map" }, canvas, pin);
  const axis = (name) => slider({
    label: name, min: -1.5, max: 1.5, step: 0.01, attributes: { id: `map-${name}` },
    onchange: (value, change) => store.still({ [name]: value }, change),
  });
  const [x, y] = [axis("x"), axis("y")];
  const center = button("Back to the seed", () => store.still({ x: 0, y: 0 }));
  const newer = newest();
  let reach = 1.5; // as in grids.py, until the first sheet comes
  let columns = 7;

  const { root, state: text, isOpen } = section(
    "Map", { onopen: () => refresh() }, map, x.root, y.root, center,
  );

  const refresh = async () => {
    if (!isOpen()) return;
    try {
      const found = await newer(key(store.state), async () => {
        const answer = await engine.latest("map", "map", store.state);
        return answer && { header: answer.header, images: await cut(answer) };
      });
      if (!found) return;
      ({ reach, columns } = found.header);
      const context = canvas.getContext("2d");
      const size = canvas.width / columns;
      found.images.forEach((cell, k) => {
        context.drawImage(cell, (k % columns) * size, Math.floor(k / columns) * size, size, size);
      });
      map.dataset.ready = "true";
    } catch (error) {
      onError(error);
    }
  };

  const walk = (event, drag) => {
    const box = map.getBoundingClientRect();
    // The centers of the outer cells are at -reach and reach.
    const at = (part) => Math.max(-reach, Math.min(reach, ((part * columns - columns / 2) * 2 * reach) / (columns - 1)));
    const round = (value) => Math.round(value * 100) / 100;
    store.still(
      { x: round(at((event.clientX - box.left) / box.width)), y: round(at((event.clientY - box.top) / box.height)) },
      { drag, at: event.timeStamp },
    );
  };
  let walking = false;
  let touched = null; // where a touch began that may become a scroll of the page
  map.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    walking = true;
    map.setPointerCapture(event.pointerId);
    touched = event.pointerType === "touch" ? event : null;
    if (!touched) walk(event, true);
  });
  map.addEventListener("pointermove", (event) => {
    // A vertical touch scrolls the page (controls.css); a horizontal one walks, then in all directions.
    if (touched && Math.abs(event.clientX - touched.clientX) > SLOP) touched = null;
    if (walking && !touched) walk(event, true);
  });
  map.addEventListener("pointerup", (event) => {
    if (walking) walk(event, false);
    walking = false;
  });
  map.addEventListener("pointercancel", () => { walking = false; });

  return {
    root,
    sync(state, info, change) {
      const place = (value) => `${50 + (100 * value * (columns - 1)) / (2 * reach * columns)}%`;
      pin.style.left = place(state.still.x);
      pin.style.top = place(state.still.y);
      x.sync(state.still.x);
      y.sync(state.still.y);
      text.textContent = state.still.x || state.still.y ? `${state.still.x.toFixed(2)}, ${state.still.y.toFixed(2)}` : "";
      if (!change.drag) refresh();
    },
  };
}
