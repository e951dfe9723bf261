// Elements of the panel. Each control has a `sync` that shows a value without causing a change.

/** An element with attributes, properties that begin with `on`, and children. */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

const PATHS = {
  dice: "M5 3h14a2 2 0 0 1 2 2v14a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2zM8 8h.01M16 8h.01M12 12h.01M8 16h.01M16 16h.01",
  left: "M15 5l-7 7 7 7",
  right: "M9 5l7 7-7 7",
  play: "M7 4l13 8-13 8z",
  pause: "M8 5v14M16 5v14",
  add: "M12 5v14M5 12h14",
  remove: "M6 6l12 12M18 6L6 18",
  theme: "M12 3v18a9 9 0 0 0 0-18zM12 3a9 9 0 0 0 0 18",
  swap: "M7 4v16l-4-4M17 20V4l4 4",
};

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS(svg.namespaceURI, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

export function button(label, onclick, attributes = {}) {
  return el("button", { type: "button", onclick, ...attributes }, label);
}

/** A square button whose label is for screen readers and the tooltip. */
export function iconButton(name, label, onclick, attributes = {}) {
  return el(
    "button",
    { type: "button", class: "icon-button", "aria-label": label, title: label, onclick, ...attributes },
    icon(name),
  );
}

let count = 0;

/**
 * A slider with its name and value.
 * `onchange(value, {drag, at})`: drag while it moves; at the end once more without.
 */
export function slider({ label, min, max, step, onchange, format = (v) => Number(v).toFixed(2), attributes = {} }) {
  const id = attributes.id ?? `slider${++count}`;
  const output = el("output", { for: id });
  const input = el("input", { type: "range", min, max, step, ...attributes, id });
  const show = () => {
    output.textContent = format(Number(input.value));
    input.style.setProperty("--filled", `${(100 * (input.value - input.min)) / (input.max - input.min || 1)}%`);
    input.setAttribute("aria-valuetext", output.textContent);
  };
  input.addEventListener("input", (event) => {
    show();
    onchange(Number(input.value), { drag: true, at: event.timeStamp });
  });
  input.addEventListener("change", (event) => onchange(Number(input.value), { at: event.timeStamp }));
  const root = el("div", { class: "slider" }, el("label", { for: id }, label), output, input);
  const sync = (value) => {
    if (document.activeElement !== input || Number(input.value) !== value) input.value = value;
    show();
  };
  return { root, input, sync, setMax: (value) => { input.max = value; show(); } };
}

/** Radio buttons side by side; `choices` is [[value, label], ...]. */
export function segments({ label, choices, onchange }) {
  const name = `segments${++count}`;
  const inputs = choices.map(([value]) => el("input", { type: "radio", name, value }));
  for (const input of inputs) input.addEventListener("change", () => onchange(input.value));
  const root = el(
    "fieldset",
    { class: "segments" },
    el("legend", { class: "visually-hidden" }, label),
    ...choices.map(([, text], k) => el("label", {}, inputs[k], text)),
  );
  return {
    root,
    sync: (value) => inputs.forEach((input) => { input.checked = input.value === value; }),
    disable: (off) => inputs.forEach((input) => { input.disabled = off; }),
  };
}

/** A section of the panel that opens and closes; `state` is a short text beside its title. */
export function section(title, { open = false, onopen = null } = {}, ...children) {
  const state = el("span", { class: "state" });
  const root = el(
    "details",
    { class: "section", open },
    el("summary", {}, el("h2", {}, title), state),
    el("div", { class: "body" }, ...children),
  );
  root.addEventListener("toggle", () => { if (root.open) onopen?.(); });
  return { root, state, isOpen: () => root.open };
}

/** A seed: number, one down, one up, dice. */
export function seedField(label, onchange) {
  const input = el("input", { type: "number", min: 0, step: 1, inputmode: "numeric", "aria-label": label });
  let most = 2 ** 32 - 1;
  const set = (value) => onchange(Math.min(Math.max(Math.trunc(value) || 0, 0), most));
  input.addEventListener("change", () => set(Number(input.value)));
  const step = (by) => set(Number(input.value) + by);
  const dice = () => set(crypto.getRandomValues(new Uint32Array(1))[0] % 1_000_000);
  const root = el(
    "div",
    { class: "row" },
    iconButton("left", `${label}: one down`, () => step(-1)),
    input,
    iconButton("right", `${label}: one up`, () => step(1)),
    iconButton("dice", `${label}: random`, dice),
  );
  return { root, dice, step, sync: (value) => { input.value = value; }, setMax: (value) => { most = value; } };
}

/**
 * A function (key, request) -> the result of `request`; null if the last call had the same key or a newer one came
 * meanwhile. What was lost with the connection, or failed, is requested again.
 */
export function newest() {
  let last = {};
  return async (key, request) => {
    if (key === last.key) return null;
    const own = { key };
    last = own;
    let found = null;
    try {
      found = await request();
    } finally {
      if (!found && last === own) last = {};
    }
    return last === own ? found : null;
  };
}

/** The cells of a sheet as canvases, row by row. */
export async function cut({ header: { columns, side, cells }, payload }) {
  const type = new Uint8Array(payload)[0] === 0x89 ? "image/png" : "image/jpeg";
  const bitmap = payload instanceof ImageBitmap ? payload : await createImageBitmap(new Blob([payload], { type }));
  const canvases = Array.from({ length: cells.length }, (_, k) => {
    const canvas = el("canvas", { width: side, height: side, "aria-hidden": "true" });
    const [x, y] = [(k % columns) * side, Math.floor(k / columns) * side];
    canvas.getContext("2d").drawImage(bitmap, x, y, side, side, 0, 0, side, side);
    return canvas;
  });
  bitmap.close();
  return canvases;
}

/** Of a projected image: "image 3". */
export const sourceLabel = (name) => name.replace(/^image(\d+).*/, "image $1");

/** Offers bytes as a file. */
export function download(payload, name) {
  const address = URL.createObjectURL(new Blob([payload]));
  el("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
