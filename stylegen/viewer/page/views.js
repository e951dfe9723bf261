// The views beside the image: grids to pick from, the maps of each layer, and the run of the model.

import { button, cut, el, newest, segments } from "./widgets.js";

/** Seeds, mixing or truncation; a click picks. */
export class GridView {
  constructor(root, store, engine, onError) {
    Object.assign(this, { root, store, engine, onError, newer: newest() });
    this.kind = segments({
      label: "Grid", choices: [["seeds", "Seeds"], ["mixing", "Mixing"], ["truncation", "Truncation"]],
      onchange: (grid) => store.update({ grid }, { same: true }),
    });
    this.sheet = el("div", { class: "sheet", id: "sheet" });
    this.more = el(
      "div", { class: "row" },
      button("Previous", () => this.#turn(-36)), button("Next", () => this.#turn(36)),
    );
    root.append(el("div", { class: "column" }, this.kind.root, this.sheet, this.more));
  }

  #turn(step) {
    this.store.still({ seed: Math.max(0, this.store.state.still.seed + step), source: null });
  }

  async sync(state) {
    this.kind.sync(state.grid);
    this.more.hidden = state.grid !== "seeds";
    if (state.view !== "grid") return;
    try {
      const found = await this.newer(JSON.stringify([state.model, state.still, state.grid]), async () => {
        const answer = await this.engine.latest("grid", "grid", state);
        return answer && { ...answer.header, images: await cut(answer) };
      });
      if (!found) return;
      const { columns, cells, grid, images } = found;
      this.sheet.style.gridTemplateColumns = `repeat(${columns}, 1fr)`;
      this.sheet.dataset.grid = grid;
      this.sheet.replaceChildren(...cells.map(({ name, change }, k) => el(
        "button",
        { type: "button", class: "cell", "aria-label": name, title: name, onclick: () => this.#pick(change) },
        images[k],
      )));
    } catch (error) {
      this.onError(error);
    }
  }

  #pick(change) {
    this.store.update({ still: { ...this.store.state.still, ...change }, view: "image" });
  }
}

/** The mean map of each layer and its noise; a click shows the layer's maps. */
export class LayersView {
  constructor(root, store, engine, onError) {
    Object.assign(this, { root, store, engine, onError, newer: newest(), layer: null });
    this.title = el("p", { class: "caption" });
    this.back = button("All layers", () => this.#open(null));
    this.list = el("div", { class: "thumbnails", id: "layers" });
    root.append(el("div", { class: "column" }, el("div", { class: "row" }, this.back, this.title), this.list));
  }

  #open(layer) {
    this.layer = layer;
    this.sync(this.store.state);
  }

  async sync(state) {
    if (state.view !== "layers") return;
    try {
      const found = await this.newer(JSON.stringify([state.model, state.still, this.layer]), async () => {
        const answer = await this.engine.latest("layers", "layers", state, { layer: this.layer });
        return answer && { ...answer.header, images: await cut(answer) };
      });
      if (!found) return;
      const { cells, layer, layers, images } = found;
      this.back.hidden = layer === null;
      this.title.textContent = layer === null ? "Mean map of each layer, and noise inputs" : layers[layer];
      this.list.replaceChildren(...cells.map((name, k) => {
        if (layer !== null || k >= layers.length) return el("div", { class: "labeled" }, images[k], name);
        const open = el("button", { type: "button", class: "cell", "aria-label": `Maps of ${name}`, onclick: () => this.#open(k) }, images[k]);
        return el("div", { class: "labeled" }, open, name);
      }));
    } catch (error) {
      this.onError(error);
    }
  }
}

const REFRESH_MS = 5000;

/** Sample grids and curves of a run, while it grows. */
export class RunView {
  constructor(root, store, engine, onError) {
    Object.assign(this, { root, store, engine, onError, timer: 0, last: "" });
    this.image = el("img", { alt: "Samples of the run", decoding: "async" });
    this.position = el("input", { type: "range", min: 0, max: 0, step: 1, "aria-label": "Time of training" });
    this.position.addEventListener("input", () => this.#show());
    this.caption = el("p", { class: "caption" });
    this.curves = el("div", { class: "curves", id: "curves" });
    root.append(el("div", { class: "run" }, this.caption, this.image, this.position, this.curves));
  }

  sync(state, info, change) {
    clearInterval(this.timer);
    if (state.view !== "run") return;
    if (!change.drag) this.#refresh();
    this.timer = setInterval(() => this.#refresh(), REFRESH_MS);
  }

  async #refresh() {
    const run = this.run?.(this.store.state.model);
    if (!run) return;
    try {
      const { grids, curves } = await this.engine.run(run);
      const text = JSON.stringify([run, grids, curves]);
      if (text === this.last) return;
      this.last = text;
      const newest = this.position.value === this.position.max;
      [this.grids, this.name] = [grids, run];
      this.position.max = Math.max(0, grids.length - 1);
      if (newest) this.position.value = this.position.max;
      this.position.hidden = grids.length < 2;
      this.#show();
      this.curves.replaceChildren(...Object.entries(curves).map(([name, points]) => curve(name, points)));
    } catch (error) {
      this.onError(error);
    }
  }

  #show() {
    const grid = this.grids[this.position.value];
    this.image.hidden = !grid;
    if (grid) this.image.src = this.engine.gridAddress(this.name, grid);
    this.caption.textContent = grid ? `${this.name}, ${parseFloat(grid)} kimg` : `${this.name}: no samples yet`;
  }
}

/** A line chart of [[kimg, value], ...], with the last value. */
function curve(name, points) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const place = ([x, y]) => `${(100 * (x - left)) / (right - left || 1)},${96 - (92 * (y - low)) / (high - low || 1)}`;
  const path = document.createElementNS(svg.namespaceURI, "path");
  path.setAttribute("d", `M${points.map(place).join("L")}`);
  svg.setAttribute("viewBox", "0 0 100 100");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `${name} from ${ys[0]} to ${ys.at(-1)}, ${left} to ${right} kimg`);
  svg.append(path);
  const value = Number(ys.at(-1).toPrecision(4));
  return el("figure", { class: "curve" }, el("h3", {}, name, el("span", {}, String(value))), svg);
}
