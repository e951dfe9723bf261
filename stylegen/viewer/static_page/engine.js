// The engine of a static page: the network runs in a worker of the browser. The methods equal ../page/engine.js.

const elsewhere = () => new Error("This page has no server: use python -m stylegen view.");

export class Engine {
  features = new Set(["grid", "map", "keyframes", "directions", "png"]);
  #worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  #number = 0;
  #pending = new Map(); // id -> {resolve, reject}
  #jobs = Promise.resolve();
  #name;

  constructor(onConnection) {
    this.#name = new Promise((resolve, reject) => {
      this.#worker.onmessage = ({ data }) => {
        if (data.id) return this.#receive(data);
        if (data.error) reject(new Error(data.error));
        else resolve(data.name);
      };
      this.#worker.onerror = () => reject(new Error("This browser cannot run the model: it is older than 2023."));
    });
    this.#name.catch(() => {}); // models() has it
    queueMicrotask(() => onConnection(true));
  }

  async models() {
    return { models: [{ name: await this.#name, run: null }], runs: [] };
  }

  async run() {
    throw elsewhere();
  }

  gridAddress() {
    throw elsewhere();
  }

  async upload() {
    throw elsewhere();
  }

  latest(kind, slot, state, fields = {}) {
    return new Promise((resolve, reject) => {
      const id = ++this.#number;
      this.#pending.set(id, { resolve, reject });
      this.#worker.postMessage({ id, kind, slot, state, fields });
    });
  }

  job(kind, state, fields = {}) {
    const result = this.#jobs.then(() => this.latest(kind, "job", state, fields));
    this.#jobs = result.catch(() => {});
    return result;
  }

  async cancel() { /* no job takes longer than an image */ }

  #receive({ id, error, header, payload }) {
    const { resolve, reject } = this.#pending.get(id);
    this.#pending.delete(id);
    if (error) reject(new Error(error));
    else resolve(header ? { header, payload } : null);
  }
}
