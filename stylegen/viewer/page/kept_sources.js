// The styles of projected images, kept by the browser: a server that was started again gets them back.

const PREFIX = "source "; // then the network's id and the name
const MOST = 32; // of a network, as in renderer.py

/** Names of the sources of a network, the oldest first. */
function kept(network) {
  const start = `${PREFIX}${network} `;
  const names = Object.keys(localStorage).filter((key) => key.startsWith(start)).map((key) => key.slice(start.length));
  return names.sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
}

/** Keeps float32 styles; without storage, or if it is full, they last as long as the server. */
export function keepSource(network, name, payload) {
  const bytes = Array.from(new Uint8Array(payload), (byte) => String.fromCharCode(byte));
  for (const old of kept(network).slice(0, 1 - MOST)) localStorage.removeItem(`${PREFIX}${network} ${old}`);
  try {
    localStorage.setItem(`${PREFIX}${network} ${name}`, btoa(bytes.join("")));
  } catch { /* see above */ }
}

/** The information on a model, with the sources of this browser that its server no longer had. */
export async function restoreSources(engine, state, info) {
  for (const name of kept(info.weights).filter((other) => !info.sources.includes(other))) {
    const key = `${PREFIX}${info.weights} ${name}`;
    try {
      const answer = await engine.latest("restore", "open", { ...state, keyframes: [] }, { name, ws: localStorage.getItem(key) });
      if (!answer) break; // another model is being opened
      info.sources = answer.header.sources;
    } catch {
      localStorage.removeItem(key);
    }
  }
  return info;
}
