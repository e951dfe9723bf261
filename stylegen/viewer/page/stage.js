// The large image, its caption, and the measured speed.

const WINDOW = 60; // images of the shown figures
const KEPT = 2000; // measures that the browser keeps

export class Stage {
  #image = document.getElementById("image");
  #ambient = document.getElementById("ambient").getContext("2d");
  #figures = document.getElementById("figures");
  #measured = [];
  #count = 0;
  #requested = 0;
  #shown = 0;

  /** Shows an image, encoded or an ImageBitmap; `at` is the time of the input event that requested it. */
  async show({ header, payload }, at = null) {
    const type = header.encoding === "png" ? "image/png" : "image/jpeg";
    const number = ++this.#requested;
    const bitmap = payload instanceof ImageBitmap ? payload : await createImageBitmap(new Blob([payload], { type }));
    if (number < this.#shown) return bitmap.close(); // a newer image was decoded earlier
    this.#shown = number;
    if (this.#image.width !== bitmap.width) {
      this.#image.width = bitmap.width;
      this.#image.height = bitmap.height;
    }
    const context = this.#image.getContext("2d", { willReadFrequently: true });
    context.globalCompositeOperation = "copy"; // images may be transparent
    context.drawImage(bitmap, 0, 0);
    this.#ambient.drawImage(bitmap, 0, 0, 8, 8);
    bitmap.close();
    this.#image.dataset.encoding = header.encoding ?? "jpeg";
    this.#image.dataset.count = ++this.#count;
    if (at !== null) this.#measure(at, header.milliseconds);
  }

  /** For tests and screen readers. */
  describe(text) {
    this.#image.setAttribute("aria-label", text);
    document.getElementById("caption").textContent = text;
  }

  canvas() {
    return this.#image;
  }

  setPixels(on) {
    this.#image.classList.toggle("pixels", on);
  }

  #measure(at, server) {
    const now = performance.now();
    performance.measure("input to image", { start: Math.min(at, now), end: now });
    if (this.#count % KEPT === 0) performance.clearMeasures();
    this.#measured.push({ now, latency: now - at });
    if (this.#measured.length > WINDOW) this.#measured.shift();
    const recent = this.#measured.filter((m) => now - m.now < 1500);
    const span = now - recent[0].now;
    const rate = recent.length > 4 ? `${Math.round((1000 * (recent.length - 1)) / span)} images/s · ` : "";
    const latency = recent.reduce((sum, m) => sum + m.latency, 0) / recent.length;
    this.#figures.textContent = `${rate}${latency.toFixed(0)} ms, model ${server?.toFixed(0) ?? "–"} ms`;
  }
}
