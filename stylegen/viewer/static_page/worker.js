// The thread of the model. The newest request of a slot replaces the one that waits; an image interrupts a sheet.

import { Model } from "./model.js";
import { SHEETS } from "./sheets.js";

const SLOTS = ["open", "image", "job", "keyframes", "map", "grid", "directions"]; // the most urgent first
const MAX_CELL = 128; // pixels
const waiting = new Map(); // slot -> request
const bell = new MessageChannel();
let model = null;
let running = false;

class Replaced extends Error {}

/** Lets messages come in, which wait while the network runs. */
const messages = () => new Promise((resolve) => {
  bell.port1.onmessage = resolve;
  bell.port2.postMessage(null);
});

async function image({ state, fields }) {
  const start = performance.now();
  const video = fields.seconds !== undefined && state.keyframes.length > 1;
  const ws = video ? await model.frame(state, fields.seconds) : await model.styles(state.still);
  const pixels = await model.image(ws, video ? state.keyframes[0].still : state.still);
  const payload = await createImageBitmap(pixels, { premultiplyAlpha: "none", colorSpaceConversion: "none" });
  return { header: { encoding: "raw", milliseconds: performance.now() - start }, payload };
}

async function sheet(request) {
  const { columns, cells, fields } = SHEETS[request.kind](request.state, model.info.layers.length);
  const side = Math.min(model.info.resolution, MAX_CELL);
  const canvas = new OffscreenCanvas(columns * side, Math.ceil(cells.length / columns) * side);
  for (const [k, { still }] of cells.entries()) {
    const bitmap = await createImageBitmap(await model.image(await model.styles(still), still));
    canvas.getContext("2d").drawImage(bitmap, (k % columns) * side, Math.floor(k / columns) * side, side, side);
    bitmap.close();
    await pause(request);
  }
  const named = cells.map(({ change, name }) => ({ change, name }));
  return { header: { columns, side, cells: named, ...fields }, payload: canvas.transferToImageBitmap() };
}

/** Between two images of a sheet. */
async function pause(request) {
  await messages();
  for (const slot of ["open", "image"]) await answer(slot);
  if (waiting.has(request.slot)) throw new Replaced();
}

async function exported({ state }) {
  const pixels = await model.image(await model.styles(state.still), state.still);
  const canvas = new OffscreenCanvas(pixels.width, pixels.height);
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  const payload = await (await canvas.convertToBlob({ type: "image/png" })).arrayBuffer();
  return { header: { name: `${state.model.replaceAll("/", "-")}-seed${state.still.seed}.png` }, payload };
}

function directions({ fields }) {
  const found = model.directions[fields.set];
  if (!found) throw new Error(`This page has no directions ${fields.set}.`);
  return { header: { set: fields.set, ...found } };
}

const KINDS = {
  open: () => ({ header: model.info }), image, map: sheet, grid: sheet, keyframes: sheet, directions, export: exported,
};

/** Answers the request that waits in a slot, if there is one. */
async function answer(slot) {
  const request = waiting.get(slot);
  if (!request) return;
  waiting.delete(slot);
  const { id, kind } = request;
  try {
    const { header, payload } = await KINDS[kind](request);
    postMessage({ id, header, payload }, payload ? [payload] : []);
  } catch (error) {
    postMessage(error instanceof Replaced ? { id } : { id, error: error.message });
  }
}

async function work() {
  if (running || !model) return;
  running = true;
  for (let slot = null; (slot = SLOTS.find((name) => waiting.has(name)));) {
    await answer(slot);
    await messages();
  }
  running = false;
}

onmessage = ({ data }) => {
  const older = waiting.get(data.slot);
  if (older) postMessage({ id: older.id });
  waiting.set(data.slot, data);
  work();
};

try {
  model = await Model.load();
  postMessage({ name: model.name });
  work();
} catch (error) {
  postMessage({ error: `The model cannot be loaded: ${error.message}` });
}
