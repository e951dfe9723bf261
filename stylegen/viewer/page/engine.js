// Where images come from. The rest of the page uses these members only, so that another engine can take its place: that
// of ../static_page runs the network in the browser.
//
//   features                            what not every engine has; the page hides the rest
//   models()                            -> {models: [{name, run}], runs: [name]}
//   latest(kind, slot, state, fields)   -> {header, payload}, or null if a newer request of the slot came first; images
//                                       are encoded, or an ImageBitmap
//   job(kind, state, fields, progress)  -> {header, payload}; one at a time; progress({header, payload})
//   cancel()                            ends the job
//   upload(file, model)                 -> name of an image, for job("project")
//   run(name)                           -> {curves, grids};  gridAddress(run, grid) -> address of an image

const NO_SERVER = "No connection to the server. If it has ended, start it again and open the address that it prints.";
const OTHER_TOKEN = "The server was started again. Open the address that it printed; this page then continues.";

/** Requests of a slot that may be pending at the same time: hides the time of the network. */
const PIPELINED = 2;
const RECONNECT_MS = 1500;
const MAX_BYTES = 2 ** 25; // of a file, as in uploads.py

export class Engine {
  features = new Set(["layers", "run", "project", "recipes", "png", "webp", "npz", "mp4", "animation"]);
  #socket = null;
  #number = 0;
  #pending = new Map(); // id -> {slot, resolve, reject, progress}
  #waiting = new Map(); // slot -> {send, resolve}: the newest request that is not sent yet
  #jobs = Promise.resolve();
  #connected;
  #opened; // resolves #connected

  constructor(onConnection) {
    this.onConnection = onConnection; // (true), or (false, error) after each failed attempt
    this.#disconnected();
    this.#connect();
  }

  async models() {
    return (await this.#fetch("models")).json();
  }

  async run(name) {
    return (await this.#fetch(`runs/${encodeURIComponent(name)}`)).json();
  }

  gridAddress(run, grid) {
    return `runs/${encodeURIComponent(run)}/${encodeURIComponent(grid)}`;
  }

  async upload(file, model) {
    if (file.size > MAX_BYTES) throw new Error(`A file of more than ${MAX_BYTES / 2 ** 20} MiB is not read.`);
    const answer = await this.#fetch(`uploads?model=${encodeURIComponent(model)}`, { method: "POST", body: file });
    return (await answer.json()).upload;
  }

  async #fetch(address, options) {
    const answer = await fetch(address, options).catch(() => { throw new Error(NO_SERVER); });
    if (!answer.ok) throw new Error(answer.status === 403 ? OTHER_TOKEN : await answer.text());
    return answer;
  }

  latest(kind, slot, state, fields = {}) {
    return new Promise((resolve, reject) => {
      const send = () => this.#send(kind, slot, state, fields, resolve, reject);
      const under = [...this.#pending.values()].filter((request) => request.slot === slot).length;
      if (slot === "image" && under >= PIPELINED) {
        this.#waiting.get(slot)?.resolve(null);
        this.#waiting.set(slot, { send, resolve });
      } else {
        send();
      }
    });
  }

  job(kind, state, fields = {}, progress = () => {}) {
    const run = () => new Promise((resolve, reject) => {
      this.#send(kind, "job", state, fields, resolve, reject, progress);
    });
    const result = this.#jobs.then(run);
    this.#jobs = result.catch(() => {});
    return result;
  }

  async cancel() {
    await this.#connected;
    this.#socket.send(JSON.stringify({ kind: "cancel", slot: "job", id: this.#number }));
  }

  async #send(kind, slot, state, fields, resolve, reject, progress) {
    const id = ++this.#number;
    if (slot !== "job" && slot !== "image") { // the server drops the older one
      for (const [other, request] of this.#pending) {
        if (request.slot === slot) {
          this.#pending.delete(other);
          request.resolve(null);
        }
      }
    }
    this.#pending.set(id, { slot, resolve, reject, progress });
    await this.#connected;
    if (!this.#pending.has(id)) return; // the connection was lost meanwhile, or a newer request came
    const { view, grid, ...rest } = state;
    this.#socket.send(JSON.stringify({ kind, slot, id, state: { ...rest, view, grid }, ...fields }));
  }

  #connect() {
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/socket`);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    socket.onopen = () => {
      this.#opened();
      this.onConnection(true);
    };
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = async () => {
      for (const { resolve } of [...this.#pending.values(), ...this.#waiting.values()]) resolve(null);
      this.#pending.clear();
      this.#waiting.clear();
      this.#disconnected();
      setTimeout(() => this.#connect(), RECONNECT_MS);
      const reason = await this.#fetch("models").then(() => new Error(NO_SERVER), (error) => error);
      if (this.#socket.readyState !== WebSocket.OPEN) this.onConnection(false, reason);
    };
  }

  /** Requests wait for the next connection. */
  #disconnected() {
    this.#connected = new Promise((resolve) => { this.#opened = resolve; });
  }

  #receive(data) {
    const length = new DataView(data).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    const request = this.#pending.get(header.id);
    if (!request) return;
    const answer = { header, payload: data.slice(4 + length) };
    if (header.kind === "progress" || header.kind === "projecting") {
      request.progress?.(answer);
      return;
    }
    // Answers come in order, so an older request of the slot was dropped by the server.
    for (const [id, other] of this.#pending) {
      if (other.slot === request.slot && id <= header.id) {
        this.#pending.delete(id);
        if (id < header.id) other.resolve(null);
      }
    }
    if (header.kind === "error") request.reject(new Error(header.message));
    else request.resolve(header.kind === "abandoned" ? null : answer);
    const next = this.#waiting.get(request.slot);
    this.#waiting.delete(request.slot);
    next?.send();
  }
}
