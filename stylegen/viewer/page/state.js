// The state of the page: one object, in the address and in every request. The server checks it: page_state.py.

/** What determines an image; the fields are those of `Still` in page_state.py. */
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

/** The state in an address; defaults for anything that cannot be read. */
export function decode(hash) {
  let found = {};
  try {
    found = JSON.parse(decodeURIComponent(hash.replace(/^#/, "")) || "{}");
  } catch { /* not an address of this page */ }
  if (found === null || typeof found !== "object") found = {};
  const known = Object.fromEntries(Object.entries(found).filter(([name]) => name in PAGE));
  const still = (given) => {
    const full = { ...STILL, ...(given && typeof given === "object" ? given : {}) };
    const moves = Array.isArray(full.moves) ? full.moves : [];
    const mixed = Array.isArray(full.mixed) ? full.mixed : [];
    return { ...full, mixed, moves: moves.map((move) => ({ layers: [], ...move })) };
  };
  const keyframes = Array.isArray(known.keyframes) ? known.keyframes : [];
  return {
    ...PAGE, ...known, still: still(known.still),
    keyframes: keyframes.map((k) => ({ seconds: Number(k?.seconds) || 0, still: still(k?.still) })),
  };
}

/**
 * Holds the state, writes it to the address, and tells subscribers about each change.
 * A subscriber gets (state, change): `change.drag` while a control moves, `change.at` the time of the input event.
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
    this.state = { ...this.state, ...fields };
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
