// Keyframes: stills at times, and a video through them.

import { cut, el, icon, iconButton } from "./widgets.js";

const STEP_SECONDS = 2; // from the last keyframe to a new one
const MOST = 32; // as in page_state.py

export class Timeline {
  #store;
  #engine;
  #stage;
  #onError;
  #thumbnails = new Map(); // key of a still -> canvas
  #playing = false;
  #seconds = null; // of the shown frame; null while the still is shown

  constructor(root, store, engine, stage, onError) {
    [this.#store, this.#engine, this.#stage, this.#onError] = [store, engine, stage, onError];
    this.play = iconButton("play", "Play", () => this.toggle(), { id: "play" });
    this.scrubber = el("input", { type: "range", min: 0, max: 1, step: 0.01, value: 0, "aria-label": "Time", id: "scrubber" });
    this.scrubber.addEventListener("input", (event) => this.#show(Number(this.scrubber.value), true, event.timeStamp));
    this.scrubber.addEventListener("change", (event) => this.#show(Number(this.scrubber.value), false, event.timeStamp));
    this.time = el("span", { class: "time" });
    this.add = el("button", { type: "button", id: "add-keyframe", onclick: () => this.#add() }, icon("add"), "Keyframe");
    this.loop = el("input", { type: "checkbox", id: "loop" });
    this.loop.addEventListener("change", () => store.update({ loop: this.loop.checked }, { same: true }));
    this.keyframes = el("ol", { class: "keyframes", "aria-label": "Keyframes" });
    this.controls = el(
      "span", { class: "row grow" }, this.play, this.scrubber, this.time,
      el("label", { class: "check", for: "loop" }, this.loop, "loop"),
    );
    root.append(el("div", { class: "row" }, this.add, this.controls), this.keyframes);
  }

  get duration() {
    const times = this.#store.state.keyframes.map((k) => k.seconds);
    if (times.length < 2) return 0;
    const span = times.at(-1) - times[0];
    return this.#store.state.loop ? span + span / (times.length - 1) : span; // as in latent/timing.py
  }

  toggle() {
    this.#playing = !this.#playing && this.duration > 0;
    this.play.replaceChildren(icon(this.#playing ? "pause" : "play"));
    this.play.setAttribute("aria-label", this.#playing ? "Pause" : "Play");
    if (this.#playing) this.#run();
  }

  stop() {
    if (this.#playing) this.toggle();
    this.#seconds = null;
  }

  async #run() {
    let last = performance.now();
    while (this.#playing) {
      const now = await new Promise(requestAnimationFrame);
      // The time of a frame may be before the time of the click.
      const next = (this.#seconds ?? 0) + Math.max(0, now - last) / 1000;
      last = now;
      if (!this.#store.state.loop && next >= this.duration) {
        this.toggle();
        await this.#show(this.duration, false);
      } else {
        await this.#show(next % this.duration, true);
      }
    }
  }

  async #show(seconds, drag, at = null) {
    this.#seconds = seconds;
    this.scrubber.value = seconds;
    this.time.textContent = `${seconds.toFixed(2)} / ${this.duration.toFixed(2)} s`;
    try {
      const fields = { seconds, encoding: drag ? "jpeg" : "png" };
      const answer = await this.#engine.latest("image", "image", this.#store.state, fields);
      if (answer) await this.#stage.show(answer, at);
    } catch (error) {
      this.stop();
      this.#onError(error);
    }
  }

  #add() {
    const { keyframes, model, still } = this.#store.state;
    const seconds = keyframes.length ? keyframes.at(-1).seconds + STEP_SECONDS : 0;
    this.#keep(model, still, this.#stage.canvas());
    this.#store.update({ keyframes: [...keyframes, { seconds, still }] }, { same: true });
    this.keyframes.lastElementChild?.scrollIntoView({ block: "nearest", inline: "end" });
  }

  #keep(model, still, image) {
    const copy = el("canvas", { width: 64, height: 64, "aria-hidden": "true" });
    copy.getContext("2d").drawImage(image, 0, 0, 64, 64);
    this.#thumbnails.set(JSON.stringify([model, still]), copy);
  }

  /** A copy: two keyframes may have the same still. */
  #thumbnail(still) {
    const copy = el("canvas", { width: 64, height: 64, "aria-hidden": "true" });
    const found = this.#thumbnails.get(JSON.stringify([this.#store.state.model, still]));
    if (found) copy.getContext("2d").drawImage(found, 0, 0);
    return copy;
  }

  /** Images of keyframes that came with the address. */
  async #fetch(state) {
    const answer = await this.#engine.latest("keyframes", "keyframes", state).catch(() => null);
    if (!answer) return;
    const images = await cut(answer);
    state.keyframes.forEach(({ still }, k) => this.#keep(state.model, still, images[k]));
    this.#build(this.#store.state.keyframes);
  }

  #build(keyframes) {
    this.keyframes.replaceChildren(...keyframes.map((keyframe, k) => this.#item(keyframe, k)));
  }

  sync(state) {
    const { keyframes } = state;
    const shown = JSON.stringify([keyframes, state.model, state.loop]);
    this.controls.hidden = keyframes.length < 2;
    this.add.disabled = keyframes.length >= MOST;
    this.loop.checked = state.loop;
    this.scrubber.max = this.duration;
    this.time.textContent = `${(this.#seconds ?? 0).toFixed(2)} / ${this.duration.toFixed(2)} s`;
    if (shown === this.shown) return;
    this.shown = shown;
    this.#build(keyframes);
    if (keyframes.some(({ still }) => !this.#thumbnails.has(JSON.stringify([state.model, still])))) this.#fetch(state);
  }

  #item({ seconds, still }, k) {
    const pick = el(
      "button",
      { type: "button", class: "cell", "aria-label": `Show keyframe ${k + 1}`, onclick: () => this.#store.update({ still }) },
      this.#thumbnail(still),
    );
    const time = el("input", { type: "number", min: 0, max: 600, step: 0.1, value: seconds, "aria-label": `Seconds of keyframe ${k + 1}` });
    time.addEventListener("change", () => {
      const value = Math.min(Math.max(Number(time.value) || 0, 0), 600);
      const changed = this.#store.state.keyframes.map((other, i) => (i === k ? { ...other, seconds: value } : other));
      this.#store.update({ keyframes: changed.sort((a, b) => a.seconds - b.seconds) }, { same: true });
    });
    const remove = iconButton("remove", `Remove keyframe ${k + 1}`, () => {
      this.#store.update({ keyframes: this.#store.state.keyframes.filter((_, i) => i !== k) }, { same: true });
    });
    return el("li", { class: "keyframe" }, pick, time, remove);
  }
}
