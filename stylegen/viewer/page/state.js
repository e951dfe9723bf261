// The state of the page: one object, in the address and in every request. The server checks it: page_state.py.

/** What determines an image; the fields equal `Still` in page_state.py. */
export const STILL = Object.freeze({
  seed: 0, source: null, x: 0, y: 0, psi: 0.7, cutoff: null, center: "all", label: null,
  mix_seed: 1, mix_source: null, mixed: [], noise: "const", noise_strength: 1, moves: [],
});

const PAGE = Object.freeze({
  model: "", still: STILL, view: "image", grid: "seeds", keyframes: [], fps: 24, loop: true,
});

/** Leaves out fields that have their defaults. */
function compact(object, defaults) {
  return Object.fromEntries(
    Object.entries(object).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(defaults[name])),
  );
}

export function encode(state) {
  const short = compact({ ...state, still: compact(state.still, STILL) }, { ...PAGE, still: {} });
  if (short.keyframes) {
    short.keyframes = short.keyframes.map(({ seconds, still }) => ({ seconds, still: compact(still, STILL) }));
  }
  return encodeURIComponent(JSON.stringify(short)).replace(/%(22|2C|3A|7B|7D|5B|5D)/g, decodeURIComponent);
}

const KINDS = { cutoff: "number", source: "string", mix_source: "string", label: "string" }; // where the default is null
const VIEWS = ["image", "grid", "layers", "run"];

/** The fields of `defaults` in an object; the default in place of a value of another type. */
function read(given, defaults) {
  const fits = (name, value) => (value === null ? defaults[name] === null
    : Array.isArray(value) === Array.isArray(defaults[name]) && typeof value === (KINDS[name] ?? typeof defaults[name]));
  const own = (name) => given !== null && typeof given === "object" && Object.hasOwn(given, name) && fits(name, given[name]);
  return Object.fromEntries(Object.keys(defaults).map((name) => [name, own(name) ? given[name] : defaults[name]]));
}

function readStill(given) {
  const still = read(given, STILL);
  return { ...still, moves: still.moves.map((move) => ({ layers: [], ...move })) };
}

/** The state in an address; defaults for anything that cannot be read. */
export function decode(hash) {
  let found = {};
  try {
    found = JSON.parse(decodeURIComponent(hash.replace(/^#/, "")) || "{}");
  } catch { /* not an address of this page */ }
  const page = read(found, PAGE);
  return {
    ...page, still: readStill(page.still), view: VIEWS.includes(page.view) ? page.view : PAGE.view,
    keyframes: page.keyframes.map((k) => ({ seconds: Number(k?.seconds) || 0, still: readStill(k?.still) })),
  };
}

/**
 * Holds the state, writes it to the address, and notifies subscribers of each change.
 * A subscriber gets (state, change): `change.drag` while a control moves, `change.at` the time of the input event,
 * `change.old` if "Back" should not return to the state before.
 */
export class Store {
  #subscribers = [];
  #timer = 0;

  constructor(hash) {
    this.state = decode(hash);
  }

  subscribe(subscriber) {
    this.#subscribers.push(subscriber);
  }

  /** Changes fields of the state. */
  update(fields, change = {}) {
    const next = { ...this.state, ...fields };
    if (!change.old && (next.view !== this.state.view || next.model !== this.state.model)) {
      this.write(); // "Back" returns to the last view and the last model
      history.pushState(null, "");
    }
    this.state = next;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.write(), change.drag ? 300 : 0);
    for (const subscriber of this.#subscribers) subscriber(this.state, { at: performance.now(), ...change });
  }

  /** Changes fields of the still. */
  still(fields, change) {
    this.update({ still: { ...this.state.still, ...fields } }, change);
  }

  write() {
    clearTimeout(this.#timer);
    history.replaceState(null, "", `${location.pathname}#${encode(this.state)}`);
  }
}
