// Files, and the command and Python lines that make the image.

import { button, download, el, newest, section } from "./widgets.js";

const FILES = [["PNG", "png"], ["WebP", "webp"], ["Latents", "npz"], ["MP4", "mp4"], ["Animated WebP", "animation"]];
const VIDEOS = ["mp4", "animation"];

export function exportPanel(store, engine, onError) {
  const progress = el("progress", { max: 1, value: 0, "aria-label": "Progress of the file", hidden: true });
  const stop = button("Cancel", () => engine.cancel(), { hidden: true, "aria-label": "Cancel the file" });
  const formats = FILES.filter(([, format]) => engine.features.has(format));
  const buttons = formats.map(([label, format]) => button(label, () => save(format), { "data-format": format }));
  const [command, python] = ["Command", "Python"].map((title) => {
    const code = el("code", { id: title.toLowerCase() });
    const copy = button("Copy", async () => {
      const range = document.createRange();
      range.selectNodeContents(code);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      // Browsers have a clipboard for https and for this machine only; the selected text can be copied by hand.
      const copied = await navigator.clipboard?.writeText(code.textContent).then(() => true, () => false);
      copy.textContent = copied || document.execCommand("copy") ? "Copied" : "Selected";
      setTimeout(() => { copy.textContent = "Copy"; }, 1200);
    }, { "aria-label": `Copy: ${title}` });
    return { code, root: el("div", { class: "code" }, el("h3", {}, title, copy), el("pre", { tabindex: 0, "aria-label": title }, code)) };
  });
  const note = el("p", { class: "hint" });
  const { root, isOpen } = section(
    "Export", { onopen: () => refresh() },
    el("div", { class: "exports" }, ...buttons), progress, stop,
    ...(engine.features.has("recipes") ? [command.root, python.root, note] : []),
  );
  const newer = newest();

  const save = async (format) => {
    progress.hidden = false;
    progress.removeAttribute("value");
    try {
      const answer = await engine.job("export", store.state, { format }, ({ header }) => {
        progress.value = header.done / header.total;
        stop.hidden = false;
      });
      if (answer) download(answer.payload, answer.header.name);
    } catch (error) {
      onError(error);
    } finally {
      progress.hidden = stop.hidden = true;
    }
  };

  const refresh = async () => {
    if (!isOpen() || !engine.features.has("recipes")) return;
    try {
      const answer = await newer(
        JSON.stringify([store.state.model, store.state.still]), () => engine.latest("recipes", "recipes", store.state),
      );
      if (!answer) return;
      command.code.textContent = answer.header.command;
      python.code.textContent = answer.header.python;
      note.textContent = answer.header.notes.join(" ");
    } catch (error) {
      onError(error);
    }
  };

  return {
    root,
    sync(state, info, change) {
      for (const control of buttons) {
        control.disabled = VIDEOS.includes(control.dataset.format) && state.keyframes.length < 2;
        control.title = control.disabled ? "Add two keyframes first" : "";
      }
      if (!change.drag) refresh();
    },
  };
}
