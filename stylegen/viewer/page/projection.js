// A dropped, pasted or chosen image becomes a source; the stage shows the optimization.

const QUIET_MS = 800; // after a control has changed the image

export function projection(store, engine, stage, { fileInput, onError, onSource, onEnd }) {
  const drop = document.getElementById("drop");
  const box = document.getElementById("projection");
  const [text, bar] = [document.getElementById("projection-text"), document.getElementById("projection-progress")];
  document.getElementById("projection-cancel").addEventListener("click", () => {
    canceled += 1;
    engine.cancel();
  });

  let changed = -QUIET_MS; // time of the last change of the image by a control
  store.subscribe((state, change) => { if (!change.same) changed = performance.now(); });
  let running = 0;
  let canceled = 0; // number of calls that the button has ended

  const project = async (file) => {
    if (!file) return;
    const { model } = store.state;
    const before = canceled;
    running += 1;
    box.hidden = false;
    text.textContent = "Reading the image…";
    bar.removeAttribute("value");
    try {
      const upload = await engine.upload(file, model);
      if (canceled > before) return;
      text.textContent = "Starting the projection…";
      const answer = await engine.job("project", { ...store.state, keyframes: [] }, { upload }, ({ header, payload }) => {
        const second = header.phase === "w+";
        bar.value = ((second ? header.total : 0) + header.done) / (2 * header.total);
        text.textContent = `Projecting, ${header.phase}: ${header.text}`;
        if (performance.now() - changed > QUIET_MS) stage.show({ header, payload });
      });
      if (answer && store.state.model === model) {
        onSource(answer);
        store.still({ source: answer.header.name, psi: 1, x: 0, y: 0, mixed: [], moves: [] });
        return;
      }
    } catch (error) {
      onError(error);
    } finally {
      running -= 1;
      box.hidden = running === 0;
    }
    onEnd();
  };

  fileInput.addEventListener("change", () => {
    project(fileInput.files[0]);
    fileInput.value = "";
  });
  let depth = 0; // of nested elements under the dragged file
  addEventListener("dragenter", (event) => { event.preventDefault(); drop.classList.toggle("shown", ++depth > 0); });
  addEventListener("dragleave", () => drop.classList.toggle("shown", --depth > 0));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    drop.classList.remove("shown");
    project(event.dataTransfer.files[0]);
  });
  addEventListener("paste", (event) => project(event.clipboardData?.files[0]));
}
