// The network: two ONNX graphs and their tensors. Stills: see ../page/state.js.

import * as ort from "../runtime/ort.js";
import { integer, normals, numpyNormals } from "./random.js";
import { cubic, frameTimes, mix, move, plane, truncate } from "./styles.js";

const CACHED = 512; // w of seeds

/** The bytes of a file of the page, which may be compressed. */
async function read(name) {
  const answer = await fetch(new URL(`../${name}`, import.meta.url));
  if (!answer.ok) throw new Error(`${name}: ${answer.status} ${answer.statusText}`);
  const bytes = new Uint8Array(await answer.arrayBuffer());
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes; // servers may decompress by themselves
  return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer());
}

/** name -> {data, shape} of a safetensors file of float32. */
function tensors(bytes) {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  delete header.__metadata__;
  return Object.fromEntries(Object.entries(header).map(([name, { shape, data_offsets: [start, end] }]) => (
    [name, { shape, data: new Float32Array(bytes.slice(8 + length + start, 8 + length + end).buffer) }]
  )));
}

const whole = (name, value, most) => {
  if (!Number.isInteger(value) || value < 0 || value > most) throw new Error(`${name}=${value}: must be an integer from 0 to ${most}.`);
  return value;
};
const number = (name, value) => {
  if (!Number.isFinite(value)) throw new Error(`${name}=${value}: must be a number.`);
  return value;
};

export class Model {
  #cache = new Map(); // JSON of seed and label -> styles

  static async load() {
    const [text, stored, binary, ...graphs] = await Promise.all(
      ["site.json", "model/tensors.safetensors", "runtime/ort.wasm.gz", "model/mapping.onnx", "model/synthesis.onnx"].map(read),
    );
    Object.assign(ort.env.wasm, { wasmBinary: binary, numThreads: 1, proxy: false });
    ort.env.logLevel = "error";
    const model = new Model();
    Object.assign(model, JSON.parse(new TextDecoder().decode(text)), { tensors: tensors(stored) });
    for (const [name, graph] of [["mapping", graphs[0]], ["synthesis", graphs[1]]]) {
      model[name] = await ort.InferenceSession.create(graph, { executionProviders: ["wasm"] });
    }
    return model;
  }

  /** The final styles: map, truncation, mixing, directions. */
  async styles(still) {
    const { seed, label, x, y, mixed, mix_seed, moves } = still;
    if (still.source || (mixed.length && still.mix_source)) throw new Error("This page has no projected images.");
    let ws = await this.#mapped(seed, label);
    if (x || y) {
      const [right, down] = [await this.#mapped(seed + 1, label), await this.#mapped(seed + 2, label)];
      ws = plane(ws, right, down, number("x", x), number("y", y));
    }
    ws = this.#truncated(ws, still, seed);
    if (mixed.length) {
      const other = this.#truncated(await this.#mapped(mix_seed, label), still, mix_seed);
      ws = mix(ws, other, mixed.map((layer) => whole("layer", layer, this.slots - 1)), this.width);
    }
    for (const { set, index, strength, layers } of moves) {
      if (!strength) continue;
      const found = this.directions[set];
      if (!found) throw new Error(`This page has no directions ${set}.`);
      whole("direction", index, found.names.length - 1);
      const vector = this.#row(`${set}.vectors`, index);
      const step = this.tensors[`${set}.scales`].data[index] * number("strength", strength);
      const last = layers.length ? whole("layer", layers.at(-1), this.slots - 1) : 0;
      const chosen = Array.from({ length: last + 1 }, (_, k) => k).filter((k) => k >= layers[0]);
      ws = move(ws, vector, step, layers.length ? chosen : found.layers);
    }
    return ws;
  }

  /** The styles at a time of the video. */
  async frame({ keyframes, loop, fps }, seconds) {
    const times = frameTimes(keyframes.map((keyframe) => keyframe.seconds), number("fps", fps), loop);
    const points = [];
    for (const { still } of keyframes) points.push(await this.styles(still));
    return cubic(points, times, Math.min(Math.max(seconds * fps, 0), times.at(-1)));
  }

  /** ImageData of final styles, with the noise of a still. */
  async image(ws, still) {
    const inputs = { ws: new ort.Tensor("float32", ws, [1, this.slots, this.width]), ...this.#noise(still) };
    const { image } = await this.synthesis.run(inputs);
    const [, channels, height, width] = image.dims;
    const [size, values] = [height * width, image.data];
    const pixels = new Uint8ClampedArray(4 * size).fill(255);
    const source = { 1: [0, 0, 0], 2: [0, 0, 0, 1], 3: [0, 1, 2], 4: [0, 1, 2, 3] }[channels];
    source.forEach((from, to) => {
      for (let i = 0; i < size; i++) {
        pixels[4 * i + to] = Math.floor(Math.fround(Math.fround(values[from * size + i] * 127.5) + 128));
      }
    });
    image.dispose();
    return new ImageData(pixels, width, height);
  }

  /** Styles of a seed, not truncated; kept. */
  async #mapped(seed, label) {
    whole("seed", seed, this.info.max_seed);
    const key = JSON.stringify([seed, label]);
    let w = this.#cache.get(key);
    if (!w) {
      const z = this.seed_source === "numpy" ? numpyNormals(seed, this.z_dim) : normals(this.keys.z, seed, this.z_dim);
      const inputs = { z: new ort.Tensor("float32", z, [1, this.z_dim]) };
      if (this.info.classes.length) {
        inputs.c = new ort.Tensor("float32", this.#label(label, seed), [1, this.info.classes.length]);
      }
      w = (await this.mapping.run(inputs)).w.data.slice();
      this.#cache.set(key, w);
      if (this.#cache.size > CACHED) this.#cache.delete(this.#cache.keys().next().value);
    }
    const ws = new Float32Array(this.slots * this.width);
    for (let slot = 0; slot < this.slots; slot++) ws.set(w, slot * this.width);
    return ws;
  }

  /** The vector of a class, of a mixture "0:0.5,2:0.5", or of the random class of a seed. */
  #label(label, seed) {
    const count = this.info.classes.length;
    const c = new Float32Array(count);
    const entries = label === null ? [[integer(this.keys.label, seed, count), 1]] : String(label).split(",").map((part) => {
      const [k, weight = "1"] = part.split(":");
      return [Number(k || NaN), number("weight", Number(weight))];
    });
    for (const [k, weight] of entries) c[whole("class", k, count - 1)] += weight;
    return c;
  }

  #truncated(ws, { psi, cutoff, center, label }, seed) {
    const layers = cutoff === null ? null : whole("cutoff", cutoff, this.slots);
    return truncate(ws, this.#center(center, label, seed), number("psi", psi), layers);
  }

  /** The mean of all w, or of a class or mixture. */
  #center(center, label, seed) {
    const average = this.tensors.w_avg.data;
    if (center !== "class" || !this.tensors.centers) return average;
    const weights = this.#label(label, seed).map((weight) => Math.max(weight, 0));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    if (!total) return average;
    const rows = [...weights].flatMap((weight, k) => (weight ? [[weight / total, this.#row("centers", k)]] : []));
    return average.map((_, d) => rows.reduce((sum, [weight, row]) => sum + weight * row[d], 0));
  }

  #row(name, k) {
    const { data, shape } = this.tensors[name];
    return data.subarray(k * shape[1], (k + 1) * shape[1]);
  }

  #noise({ noise, noise_strength, seed }) {
    const strength = number("strength", noise_strength);
    return Object.fromEntries(this.keys.noise.map((key, k) => {
      const { data, shape } = this.tensors[`noise${k}`];
      const values = { const: () => data, none: () => null, random: () => normals(key, seed, data.length) }[noise]();
      return [`noise${k}`, new ort.Tensor("float32", values ? values.map((value) => value * strength) : new Float32Array(data.length), shape)];
    }));
  }
}
