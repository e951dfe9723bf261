// A dropped, pasted or chosen image becomes a source; the stage shows the optimization.

export function projection(store, engine, stage, { fileInput, onError, onSource, onEnd }) {
  const drop = document.getElementById("drop");
  const box = document.getElementById("projection");
  const [text, bar] = [document.getElementById("projection-text"), document.getElementById("projection-progress")];
  document.getElementById("projection-cancel").addEventListener("click", () => engine.cancel());

  const project = async (file) => {
    if (!file) return;
    const { model } = store.state;
    box.hidden = false;
    text.textContent = "Reading the image…";
    bar.removeAttribute("value");
    try {
      const upload = await engine.upload(file, model);
      text.textContent = "Starting the projection…";
      const answer = await engine.job("project", { ...store.state, keyframes: [] }, { upload }, ({ header, payload }) => {
        const second = header.phase === "w+";
        bar.value = ((second ? header.total : 0) + header.done) / (2 * header.total);
        text.textContent = `Projecting, ${header.phase}: ${header.text}`;
        stage.show({ header, payload });
      });
      if (answer) {
        onSource(answer.header.sources);
        store.still({ source: answer.header.name, psi: 1, x: 0, y: 0, mixed: [], moves: [] });
        return;
      }
    } catch (error) {
      onError(error);
    } finally {
      box.hidden = true;
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
